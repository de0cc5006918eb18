//! Vectors: which instructions each operator becomes, by concern.
//!
//! Most operators are one instruction; see [`encode`] for how these are written down. Sequences compute in the assembler's own
//! registers (V29 to V31) and write their destination last, so that it may be one of the sources.

mod arith;
mod compare;
mod convert;
mod encode;
mod memory;
mod shift;
mod shuffle;

pub(super) use encode::Constants;

use super::{Assembler, V31};
use crate::jit::lanes::{LaneOp, LaneUnOp, Shape};
use crate::jit::masm::Src;
use crate::jit::reg::Reg;
use encode::ops;

ops! {
    MOV 0x4ea0_1c00;
    NOT 0x6e20_5800;
    BSL 0x6e60_1c00;
    BIT 0x6ea0_1c00;
    BIF 0x6ee0_1c00;
}

impl Assembler {
    pub(super) fn lanes_impl(&mut self, op: LaneOp, shape: Shape, dst: Reg, lhs: Reg, rhs: Src) {
        let Src::Reg(rhs) = rhs else { unreachable!("a right operand is in a register") };
        let (d, a, b) = (dst.number(), lhs.number(), rhs.number());
        // Nothing that is relaxed would be faster here.
        match op.strict() {
            LaneOp::Compare(cond) => self.lanes_compare(cond, shape, d, a, b),
            LaneOp::Narrow(sign) => self.narrow(sign, shape, d, a, b),
            LaneOp::Swizzle => self.swizzle(d, a, b),
            op => self.lanes_arith(op, shape, d, a, b),
        }
    }

    pub(super) fn lanes_unary_impl(&mut self, op: LaneUnOp, shape: Shape, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        let op = op.strict();
        match op {
            LaneUnOp::Extend(half, sign) => self.extend(half, sign, shape, d, s),
            LaneUnOp::Convert(_)
            | LaneUnOp::TruncSat(_)
            | LaneUnOp::TruncSatZero(_)
            | LaneUnOp::Demote
            | LaneUnOp::Promote => self.lanes_convert(op, shape, d, s),
            _ => self.lanes_arith_unary(op, shape, d, s),
        }
    }

    /// Each of the three instructions keeps one of the operands as its destination.
    pub(super) fn bitselect_impl(&mut self, dst: Reg, yes: Reg, no: Reg, mask: Reg) {
        let (d, y, n, m) = (dst.number(), yes.number(), no.number(), mask.number());
        if d == y {
            self.packed(BIF, d, n, m);
        } else if d == n {
            self.packed(BIT, d, y, m);
        } else {
            self.copy(d, m);
            self.packed(BSL, d, y, n);
        }
    }

    /// `d` = `yes` where V31 has ones, else `no`.
    fn select_by_own(&mut self, d: u8, yes: u8, no: u8) {
        self.packed(BSL, V31, yes, no);
        self.copy(d, V31);
    }

    fn copy(&mut self, d: u8, s: u8) {
        if d != s {
            self.packed(MOV, d, s, s);
        }
    }

    fn invert(&mut self, d: u8) {
        self.packed_unary(NOT, d, d);
    }
}
