//! Vectors: which instructions each operator becomes, by concern.
//!
//! Everything is written once, for three operands: [`encode`] makes AVX's form of it where the processor has that, and else
//! a move and SSE's. The floor is SSE4.1. Sequences compute in the assembler's own registers (X14, X15) and write their
//! destination last, so that it may be one of the sources.

mod arith;
mod compare;
mod convert;
mod encode;
mod memory;
mod shift;
mod shuffle;

pub(super) use encode::Constant;

use super::{Assembler, X14, X15};
use crate::jit::lanes::{LaneOp, LaneUnOp, Shape};
use crate::jit::masm::Src;
use crate::jit::reg::Reg;
use encode::{Rm, ops};

ops! {
    MOVAPS 0x00 0x0f 0x28;
    MOVUPS 0x00 0x0f 0x10;
    MOVSS 0xf3 0x0f 0x10;
    MOVSD 0xf2 0x0f 0x10;
    MOVD_TO 0x66 0x0f 0x6e;
    MOVQ_TO 0x66 0x0f 0x6e w;
    PCMPEQD 0x66 0x0f 0x76;
    PXOR 0x66 0x0f 0xef;
    PAND 0x66 0x0f 0xdb;
    PANDN 0x66 0x0f 0xdf;
    POR 0x66 0x0f 0xeb;
    PSHUFD 0x66 0x0f 0x70;
    PSHUFB 0x66 0x0f38 0x00;
    VPBLENDVB 0x66 0x0f3a 0x4c;
    VBLENDVPS 0x66 0x0f3a 0x4a;
    VBLENDVPD 0x66 0x0f3a 0x4b;
}

impl Assembler {
    pub(super) fn lanes_impl(&mut self, op: LaneOp, shape: Shape, dst: Reg, lhs: Reg, rhs: Src) {
        let (d, mut a) = (dst.number(), lhs.number());
        let mut b = match rhs {
            Src::Reg(rhs) => rhs.number(),
            Src::Imm(number) => return self.lanes_from_memory(op, shape, d, a, Rm::Const(number)),
            Src::Slot(from) => return self.lanes_from_memory(op, shape, d, a, Rm::Mem(self.slot(from))),
        };
        if op.commutes() && d == b {
            std::mem::swap(&mut a, &mut b);
        }
        match op {
            LaneOp::Compare(cond) => self.lanes_compare(cond, shape, d, a, b),
            LaneOp::Narrow(sign) => self.narrow(sign, shape, d, a, b),
            LaneOp::Swizzle => self.swizzle(d, a, b),
            LaneOp::RelaxedSwizzle => self.packed(PSHUFB, d, a, b),
            _ => self.lanes_arith(op, shape, d, a, b),
        }
    }

    pub(super) fn lanes_unary_impl(&mut self, op: LaneUnOp, shape: Shape, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match op {
            LaneUnOp::Extend(half, sign) => self.extend(half, sign, shape, d, s),
            LaneUnOp::Convert(_)
            | LaneUnOp::TruncSat(_)
            | LaneUnOp::TruncSatZero(_)
            | LaneUnOp::RelaxedTrunc
            | LaneUnOp::RelaxedTruncZero
            | LaneUnOp::Demote
            | LaneUnOp::Promote => self.lanes_convert(op, shape, d, s),
            _ => self.lanes_arith_unary(op, shape, d, s),
        }
    }

    pub(super) fn bitselect_impl(&mut self, dst: Reg, yes: Reg, no: Reg, mask: Reg) {
        let m = mask.number();
        self.packed(PAND, X15, m, yes.number());
        self.packed(PANDN, X14, m, no.number());
        self.packed(POR, dst.number(), X14, X15);
    }

    pub(super) fn blend_impl(&mut self, shape: Shape, dst: Reg, yes: Reg, no: Reg, mask: Reg) {
        let op = match shape {
            Shape::I8x16 => VPBLENDVB,
            Shape::I32x4 => VBLENDVPS,
            _ => VBLENDVPD,
        };
        self.packed_imm(op, dst.number(), no.number(), yes.number(), mask.number() << 4);
    }

    /// Inverts all bits.
    fn invert(&mut self, d: u8, s: u8) {
        self.ones(X15);
        self.packed(PXOR, d, s, X15);
    }
}
