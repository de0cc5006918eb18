//! Checks of the compiler's own promises, in code that is compiled with them: slow, and for tests.
//!
//! An i32 has zero upper bits wherever it is, or an address that is made from it would be another. After each operator this is
//! looked at, and registers that hold nothing get bits that would show if they were taken for a value.

use super::Walk;
use crate::jit::abi::TrapCode;
use crate::jit::env::Kind;
use crate::jit::masm::{Dst, Masm, Src};
use crate::jit::ops::{Cond, IntOp, Width};
use crate::jit::reg::Reg;

/// Values from the top that are looked at: those below have not changed.
const DEPTH: usize = 6;

const POISON: u64 = 0xbad0_f00d_bad0_f00d;

impl<M: Masm> Walk<'_, M> {
    /// Between two operators. A comparison's outcome in flags is left alone, and its operator looked at with the next.
    pub(super) fn check_values(&mut self) {
        if !self.reachable || self.state.has_flags() {
            return;
        }
        let Some(scratch) = self.state.spare() else { return };
        for depth in 0..DEPTH.min(self.state.stack.len()) {
            match self.state.peek(depth) {
                (Kind::I32, Src::Reg(reg)) => self.check_upper_half(reg, scratch),
                (Kind::I32, slot @ Src::Slot(_)) => {
                    self.state.m.mov(Kind::I64, Dst::Reg(scratch), slot);
                    self.check_upper_half(scratch, scratch);
                }
                _ => {}
            }
        }
        for reg in self.state.spares() {
            self.state.m.mov(Kind::I64, Dst::Reg(reg), Src::Imm(POISON));
        }
    }

    fn check_upper_half(&mut self, reg: Reg, scratch: Reg) {
        self.state.m.int_op(IntOp::ShrU, Width::W64, scratch, reg, Src::Imm(32));
        self.state.m.compare_zero(Width::W64, Src::Reg(scratch));
        self.state.m.trap_if(Cond::Ne, TrapCode::Host);
    }
}
