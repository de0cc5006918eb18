//! Where parameters travel.

use super::env::Kind;
use super::masm::{Machine, is_vector};
use super::reg::Reg;

/// Where one parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Reg(Reg),
    /// This many bytes above the first stack argument.
    Stack(u32),
}

/// Hands out the places of parameters in order, as the machine's C ABI does behind two integer arguments.
#[derive(Debug)]
pub(crate) struct Places<M> {
    general: usize,
    vector: usize,
    stack: u32,
    machine: std::marker::PhantomData<M>,
}

impl<M: Machine> Places<M> {
    pub(crate) fn new() -> Places<M> {
        Places { general: 0, vector: 0, stack: 0, machine: std::marker::PhantomData }
    }

    pub(crate) fn next(&mut self, kind: Kind) -> Place {
        let (registers, used) =
            if is_vector(kind) { (M::VECTOR_ARGS, &mut self.vector) } else { (M::GENERAL_ARGS, &mut self.general) };
        if let Some(&reg) = registers.get(*used) {
            *used += 1;
            return Place::Reg(reg);
        }
        let size = if kind == Kind::V128 { 16 } else { 8 };
        let at = self.stack.next_multiple_of(size);
        self.stack = at + size;
        Place::Stack(at)
    }

    /// Bytes of stack arguments of a whole signature.
    pub(crate) fn stack_bytes(params: &[Kind]) -> u32 {
        let mut places = Places::<M>::new();
        for &kind in params {
            places.next(kind);
        }
        places.stack
    }
}
