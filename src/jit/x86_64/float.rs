//! Float arithmetic. IEEE 754 as WebAssembly has it: min and max know NaN and the sign of zero.

use super::{Assembler, X14, X15, asm};
use crate::jit::env::Kind;
use crate::jit::masm::{Dst, Label, Masm, Src};
use crate::jit::ops::{Cond, FloatOp, FloatUnOp, Width};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

/// One arithmetic instruction: three operands with AVX, two without.
macro_rules! arithmetic {
    ($self:ident, $width:expr, $dst:expr, $lhs:expr, $rhs:expr, $vss:ident $ss:ident, $vsd:ident $sd:ident, $commutes:expr) => {{
        let (d, a, b) = ($dst.number(), $lhs.number(), $rhs.number());
        match $width {
            Width::W32 if $self.features.avx => asm!($self; $vss Rx(d), Rx(a), Rx(b)),
            Width::W64 if $self.features.avx => asm!($self; $vsd Rx(d), Rx(a), Rx(b)),
            width => {
                let b = $self.two_operands($dst, $lhs, $rhs, $commutes);
                match width {
                    Width::W32 => asm!($self; $ss Rx(d), Rx(b)),
                    Width::W64 => asm!($self; $sd Rx(d), Rx(b)),
                }
            }
        }
    }};
}

impl Assembler {
    /// Brings `lhs` into `dst` and gives the number of the register that then holds the other operand.
    fn two_operands(&mut self, dst: Reg, lhs: Reg, rhs: Reg, commutes: bool) -> u8 {
        let mut other = rhs;
        if dst == rhs && dst != lhs {
            if commutes {
                return lhs.number();
            }
            other = Reg::vector(X15);
            self.mov_impl(Kind::F64, Dst::Reg(other), Src::Reg(rhs));
        }
        self.mov_impl(Kind::F64, Dst::Reg(dst), Src::Reg(lhs));
        other.number()
    }

    pub(super) fn float_op_impl(&mut self, op: FloatOp, width: Width, dst: Reg, lhs: Reg, rhs: Reg) {
        match op {
            FloatOp::Add => arithmetic!(self, width, dst, lhs, rhs, vaddss addss, vaddsd addsd, true),
            FloatOp::Sub => arithmetic!(self, width, dst, lhs, rhs, vsubss subss, vsubsd subsd, false),
            FloatOp::Mul => arithmetic!(self, width, dst, lhs, rhs, vmulss mulss, vmulsd mulsd, true),
            FloatOp::Div => arithmetic!(self, width, dst, lhs, rhs, vdivss divss, vdivsd divsd, false),
            FloatOp::Min | FloatOp::Max => self.min_max(op, width, dst, lhs, rhs),
            FloatOp::Copysign => self.copysign(width, dst, lhs, rhs),
        }
    }

    /// The machine's min and max give the second operand for NaN and for two zeros; both cases leave the straight path.
    fn min_max(&mut self, op: FloatOp, width: Width, dst: Reg, lhs: Reg, rhs: Reg) {
        let b = self.two_operands(dst, lhs, rhs, true);
        let d = dst.number();
        let (mut ordered, mut nan, mut done) = (Label::default(), Label::default(), Label::default());
        self.ucomis(width, d, b);
        self.branch(Cond::Ne, &mut ordered);
        self.parity_branch(true, &mut nan);
        match op {
            FloatOp::Min => asm!(self; orps Rx(d), Rx(b)),
            _ => asm!(self; andps Rx(d), Rx(b)),
        }
        self.jump(&mut done);
        self.bind(&mut nan);
        match width {
            Width::W32 => asm!(self; addss Rx(d), Rx(b)),
            Width::W64 => asm!(self; addsd Rx(d), Rx(b)),
        }
        self.jump(&mut done);
        self.bind(&mut ordered);
        match (op, width) {
            (FloatOp::Min, Width::W32) => asm!(self; minss Rx(d), Rx(b)),
            (FloatOp::Min, Width::W64) => asm!(self; minsd Rx(d), Rx(b)),
            (_, Width::W32) => asm!(self; maxss Rx(d), Rx(b)),
            (_, Width::W64) => asm!(self; maxsd Rx(d), Rx(b)),
        }
        self.bind(&mut done);
    }

    /// All ones but the sign, in `x`.
    fn magnitude_mask(&mut self, width: Width, x: u8) {
        asm!(self; pcmpeqd Rx(x), Rx(x));
        match width {
            Width::W32 => asm!(self; psrld Rx(x), 1),
            Width::W64 => asm!(self; psrlq Rx(x), 1),
        }
    }

    /// The sign alone, in `x`.
    fn sign_mask(&mut self, width: Width, x: u8) {
        asm!(self; pcmpeqd Rx(x), Rx(x));
        match width {
            Width::W32 => asm!(self; pslld Rx(x), 31),
            Width::W64 => asm!(self; psllq Rx(x), 63),
        }
    }

    fn copysign(&mut self, width: Width, dst: Reg, lhs: Reg, rhs: Reg) {
        self.sign_mask(width, X15);
        asm!(self; movaps Rx(X14), Rx(X15); andps Rx(X15), Rx(rhs.number()); andnps Rx(X14), Rx(lhs.number()));
        asm!(self; orps Rx(X14), Rx(X15); movaps Rx(dst.number()), Rx(X14));
    }

    pub(super) fn float_unop_impl(&mut self, op: FloatUnOp, width: Width, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match op {
            FloatUnOp::Abs => {
                self.magnitude_mask(width, X15);
                self.mov_impl(Kind::F64, Dst::Reg(dst), Src::Reg(src));
                asm!(self; andps Rx(d), Rx(X15));
            }
            FloatUnOp::Neg => {
                self.sign_mask(width, X15);
                self.mov_impl(Kind::F64, Dst::Reg(dst), Src::Reg(src));
                asm!(self; xorps Rx(d), Rx(X15));
            }
            FloatUnOp::Sqrt => {
                self.break_dependency(dst, src);
                match width {
                    Width::W32 => asm!(self; sqrtss Rx(d), Rx(s)),
                    Width::W64 => asm!(self; sqrtsd Rx(d), Rx(s)),
                }
            }
            FloatUnOp::Nearest => self.round(width, dst, src, 8),
            FloatUnOp::Floor => self.round(width, dst, src, 9),
            FloatUnOp::Ceil => self.round(width, dst, src, 10),
            FloatUnOp::Trunc => self.round(width, dst, src, 11),
        }
    }

    /// `mode`: the rounding in the low bits; 8 keeps the inexact exception quiet.
    fn round(&mut self, width: Width, dst: Reg, src: Reg, mode: i8) {
        self.break_dependency(dst, src);
        let (d, s) = (dst.number(), src.number());
        match width {
            Width::W32 => asm!(self; roundss Rx(d), Rx(s), BYTE mode),
            Width::W64 => asm!(self; roundsd Rx(d), Rx(s), BYTE mode),
        }
    }

    /// Instructions that write only the low part of `dst` wait for whatever wrote it last, unless it is cleared.
    pub(super) fn break_dependency(&mut self, dst: Reg, src: Reg) {
        if dst != src {
            asm!(self; xorps Rx(dst.number()), Rx(dst.number()));
        }
    }

    pub(super) fn ucomis(&mut self, width: Width, a: u8, b: u8) {
        match width {
            Width::W32 => asm!(self; ucomiss Rx(a), Rx(b)),
            Width::W64 => asm!(self; ucomisd Rx(a), Rx(b)),
        }
    }

    /// "Above" is false for unordered operands and "below" is true, so less-than asks with the operands exchanged.
    pub(super) fn compare_floats_impl(&mut self, width: Width, cond: Cond, lhs: Reg, rhs: Reg) {
        match cond {
            Cond::FLt | Cond::FLe | Cond::FNotLt | Cond::FNotLe => self.ucomis(width, rhs.number(), lhs.number()),
            _ => self.ucomis(width, lhs.number(), rhs.number()),
        }
    }
}
