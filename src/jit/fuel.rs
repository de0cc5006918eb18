//! What functions use up: the cost of each straight run of operators, taken at its beginning.
//!
//! The costs are found by a reading of their own, so that compiling without fuel has nothing to do with it.

use wasmparser::{BinaryReaderError, FunctionBody, Operator};

/// The cost of the operators from a place in the body to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Where the run begins, from the body's beginning.
    pub(super) at: usize,
    pub(super) units: u32,
}

/// The costs of a function's runs, in order.
pub(super) fn costs(body: &FunctionBody<'_>) -> Result<Vec<Cost>, BinaryReaderError> {
    let start = body.range().start;
    let mut reader = body.get_operators_reader()?;
    let mut present = Cost { at: (reader.original_position() - start) as usize, units: 0 };
    let mut costs = Vec::new();
    while !reader.eof() {
        let operator = reader.read()?;
        present.units = present.units.saturating_add(cost(&operator));
        if ends_run(&operator) {
            costs.push(present);
            present = Cost { at: (reader.original_position() - start) as usize, units: 0 };
        }
    }
    Ok(costs)
}

/// What only marks places, or drops, is free.
fn cost(operator: &Operator<'_>) -> u32 {
    match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::TryTable { .. }
        | Operator::Else
        | Operator::End
        | Operator::Unreachable
        | Operator::Return => 0,
        _ => 1,
    }
}

/// Whether what follows may run another number of times.
fn ends_run(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::End
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef
            | Operator::TryTable { .. }
            | Operator::Unreachable
    )
}
