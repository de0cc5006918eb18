//! Shifts of lanes. The machine shifts by a vector of counts, of which negative ones go to the right.

use super::arith::SHL;
use super::compare::SSHR;
use super::encode::{Op, log2, ops};
use super::shuffle::DUP_GENERAL;
use crate::jit::aarch64::{Assembler, V31, X17, asm};
use crate::jit::lanes::{LaneShift, Shape, Sign};
use crate::jit::masm::Src;
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

ops! {
    USHR 0x6f00_0400;
    SSHL 0x4e20_4400;
    USHL 0x6e20_4400;
}

impl Assembler {
    pub(in crate::jit::aarch64) fn lanes_shift_impl(
        &mut self,
        op: LaneShift,
        shape: Shape,
        dst: Reg,
        lhs: Reg,
        by: Src,
    ) {
        let (d, s) = (dst.number(), lhs.number());
        let mask = shape.bits() - 1;
        match by {
            Src::Imm(by) => self.shift_lanes_by(op, shape, d, s, by as u32 & mask),
            by => {
                let (b, t) = (self.in_reg(crate::jit::env::Kind::I32, by).number(), X17.number());
                asm!(self; and WSP(t), W(b), mask);
                if op != LaneShift::Shl {
                    asm!(self; neg W(t), W(t));
                }
                self.packed(Op(DUP_GENERAL.0 | 1 << (16 + log2(shape))), V31, t, 0);
                let shift = if op == LaneShift::Shr(Sign::S) { SSHL } else { USHL };
                self.packed(shift.of(shape), d, s, V31);
            }
        }
    }

    /// The field holds the size of lanes and the count in one: added for the left, taken from twice the size for the right.
    fn shift_lanes_by(&mut self, op: LaneShift, shape: Shape, d: u8, s: u8, by: u32) {
        let bits = shape.bits();
        match op {
            _ if by == 0 => self.copy(d, s),
            LaneShift::Shl => self.packed_imm(SHL, d, s, bits + by),
            LaneShift::Shr(Sign::S) => self.packed_imm(SSHR, d, s, 2 * bits - by),
            LaneShift::Shr(Sign::U) => self.packed_imm(USHR, d, s, 2 * bits - by),
        }
    }
}
