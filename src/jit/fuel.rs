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
    // The function itself is left from everywhere.
    let mut blocks = Blocks(vec![true]);
    while !reader.eof() {
        let operator = reader.read()?;
        present.units = present.units.saturating_add(cost(&operator));
        if blocks.ends_run(&operator)? {
            costs.push(present);
            present = Cost { at: (reader.original_position() - start) as usize, units: 0 };
        }
    }
    Ok(costs)
}

/// The open blocks: whether their ends are reached from elsewhere than from just before.
struct Blocks(Vec<bool>);

impl Blocks {
    /// Follows an operator; whether what comes after it may run another number of times than it.
    fn ends_run(&mut self, operator: &Operator<'_>) -> Result<bool, BinaryReaderError> {
        match *operator {
            Operator::Block { .. } => self.0.push(false),
            Operator::Loop { .. } => self.0.push(false),
            Operator::If { .. } => self.0.push(true),
            // Handlers may lead to any block.
            Operator::TryTable { .. } => {
                self.0.fill(true);
                self.0.push(false);
            }
            Operator::End => return Ok(self.0.pop().unwrap_or(true)),
            Operator::Br { relative_depth }
            | Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => self.branch(relative_depth),
            Operator::BrTable { ref targets } => {
                self.branch(targets.default());
                targets.targets().try_for_each(|target| target.map(|depth| self.branch(depth)))?;
            }
            Operator::Else
            | Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef
            | Operator::Unreachable => {}
            _ => return Ok(false),
        }
        Ok(!matches!(operator, Operator::Block { .. } | Operator::TryTable { .. }))
    }

    /// A branch to a loop leads to its head, which begins a run in any case; it does no harm at the end.
    fn branch(&mut self, depth: u32) {
        if let Some(reached) = self.0.iter_mut().nth_back(depth as usize) {
            *reached = true;
        }
    }
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
