//! Values in arrays of 16 bytes each, as the host passes parameters and gets results: what stubs do with them on any machine.

use super::convention::{Place, Places};
use super::env::Kind;
use super::masm::{Address, Dst, Masm, Slot, Src};
use super::reg::Reg;

/// The place of a value in an array.
pub(crate) const fn value(base: Reg, index: usize) -> Address {
    Address::new(base, 16 * index as u32)
}

/// Copies values through `scratch`, a vector register.
pub(crate) fn copy_values<M: Masm>(m: &mut M, to: Address, from: Address, count: usize, scratch: Reg) {
    for i in 0..count as i32 {
        let from = from.plus(16 * i);
        let to = to.plus(16 * i);
        m.load_field(Kind::V128, scratch, from);
        m.store_field(Kind::V128, to, Src::Reg(scratch));
    }
}

/// From an array at `base` to where the callee expects them, stack arguments from the stack pointer on. Of the scratch registers the
/// second is a vector register.
pub(crate) fn spread_params<M: Masm>(m: &mut M, params: &[Kind], base: Reg, scratch: (Reg, Reg)) {
    let mut places = Places::<M>::new();
    for (i, &kind) in params.iter().enumerate() {
        match places.next(kind) {
            Place::Reg(reg) => m.load_field(kind, reg, value(base, i)),
            Place::Stack(offset) => {
                // Floats travel as integers of their width, so that an i32's upper half is zero on the stack too.
                let (kind, scratch) = match kind {
                    Kind::V128 => (kind, scratch.1),
                    Kind::F32 => (Kind::I32, scratch.0),
                    Kind::F64 => (Kind::I64, scratch.0),
                    kind => (kind, scratch.0),
                };
                m.load_field(kind, scratch, value(base, i));
                m.mov(kind, Dst::Slot(Slot::at(offset)), Src::Reg(scratch));
            }
        }
    }
}

/// From where the caller left them to an array at the stack pointer, `base`, which stack arguments are `above` bytes above.
pub(crate) fn gather_params<M: Masm>(m: &mut M, params: &[Kind], base: Reg, above: u32) {
    let mut places = Places::<M>::new();
    for (i, &kind) in params.iter().enumerate() {
        match places.next(kind) {
            Place::Reg(reg) => m.store_field(kind, value(base, i), Src::Reg(reg)),
            Place::Stack(offset) => {
                m.mov(kind, Dst::Slot(Slot::at(16 * i as u32)), Src::Slot(Slot::at(above + offset)))
            }
        }
    }
}

/// The first result out of an array at `base`, as what is called through a function's entry gives it.
pub(crate) fn first_result<M: Masm>(m: &mut M, results: &[Kind], base: Reg) {
    match results.first() {
        Some(Kind::I32 | Kind::F32) => m.load_field(Kind::I32, M::GENERAL_RESULT, value(base, 0)),
        Some(Kind::I64 | Kind::F64 | Kind::Ref) => m.load_field(Kind::I64, M::GENERAL_RESULT, value(base, 0)),
        Some(Kind::V128) => m.load_field(Kind::V128, M::VECTOR_RESULT, value(base, 0)),
        None => {}
    }
}
