//! Float arithmetic. The instructions know NaN and the sign of zero as WebAssembly has them.

use super::{Assembler, V31, asm, scalar};
use crate::jit::ops::{FloatOp, FloatUnOp, Width};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

impl Assembler {
    pub(super) fn float_op_impl(&mut self, op: FloatOp, width: Width, dst: Reg, lhs: Reg, rhs: Reg) {
        let (d, a, b) = (dst.number(), lhs.number(), rhs.number());
        match op {
            FloatOp::Add => scalar!(self, width; fadd d, a, b),
            FloatOp::Sub => scalar!(self, width; fsub d, a, b),
            FloatOp::Mul => scalar!(self, width; fmul d, a, b),
            FloatOp::Div => scalar!(self, width; fdiv d, a, b),
            FloatOp::Min => scalar!(self, width; fmin d, a, b),
            FloatOp::Max => scalar!(self, width; fmax d, a, b),
            FloatOp::Copysign => self.copysign(width, d, a, b),
        }
    }

    /// The sign's bit of `b`, all others of `a`.
    fn copysign(&mut self, width: Width, d: u8, a: u8, b: u8) {
        match width {
            Width::W32 => asm!(self; movi V(V31).s2, 0x80, lsl 24),
            Width::W64 => asm!(self; movi D(V31), 0; fneg D(V31), D(V31)),
        }
        asm!(self; bsl V(V31).b8, V(b).b8, V(a).b8; fmov D(d), D(V31));
    }

    pub(super) fn float_unop_impl(&mut self, op: FloatUnOp, width: Width, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match op {
            FloatUnOp::Abs => scalar!(self, width; fabs d, s),
            FloatUnOp::Neg => scalar!(self, width; fneg d, s),
            FloatUnOp::Sqrt => scalar!(self, width; fsqrt d, s),
            FloatUnOp::Nearest => scalar!(self, width; frintn d, s),
            FloatUnOp::Floor => scalar!(self, width; frintm d, s),
            FloatUnOp::Ceil => scalar!(self, width; frintp d, s),
            FloatUnOp::Trunc => scalar!(self, width; frintz d, s),
        }
    }

    pub(super) fn compare_floats_impl(&mut self, width: Width, lhs: Reg, rhs: Reg) {
        let (a, b) = (lhs.number(), rhs.number());
        scalar!(self, width; fcmp a, b);
    }
}
