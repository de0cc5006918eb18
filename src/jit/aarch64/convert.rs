//! Conversions between kinds.
//!
//! The truncating instructions saturate and take NaN for 0, as the saturating operators do. The trapping ones look at
//! what came out: where it may be wrong, the function's end finds out what it was.

use super::jumps::OVERFLOW;
use super::{Assembler, Cold, V31, X16, asm, scalar};
use crate::jit::abi::TrapCode;
use crate::jit::masm::{Dst, Label, Masm, Src};
use crate::jit::ops::{Cond, Convert, Width};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

/// A truncation whose result is suspicious.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trunc {
    from: Width,
    src: Reg,
    /// Whether the minimum itself came out, perhaps rightly.
    minimum: bool,
}

/// A conversion between a general and a float register: of each pair of widths.
macro_rules! between {
    ($self:ident, $op:ident $d:ident $to:expr, $s:ident $from:expr) => {
        match ($from, $to) {
            (Width::W32, Width::W32) => asm!($self; $op W($d), S($s)),
            (Width::W32, Width::W64) => asm!($self; $op X($d), S($s)),
            (Width::W64, Width::W32) => asm!($self; $op W($d), D($s)),
            (Width::W64, Width::W64) => asm!($self; $op X($d), D($s)),
        }
    };
}

/// The other way.
macro_rules! to_float {
    ($self:ident, $op:ident $d:ident $to:expr, $s:ident $from:expr) => {
        match ($from, $to) {
            (Width::W32, Width::W32) => asm!($self; $op S($d), W($s)),
            (Width::W32, Width::W64) => asm!($self; $op D($d), W($s)),
            (Width::W64, Width::W32) => asm!($self; $op S($d), X($s)),
            (Width::W64, Width::W64) => asm!($self; $op D($d), X($s)),
        }
    };
}

impl Assembler {
    pub(super) fn convert_impl(&mut self, op: Convert, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match op {
            Convert::Wrap => asm!(self; mov W(d), W(s)),
            Convert::ExtendS => asm!(self; sxtw X(d), W(s)),
            Convert::SatS(from, to) => between!(self, fcvtzs d to, s from),
            Convert::SatU(from, to) => between!(self, fcvtzu d to, s from),
            Convert::TruncS(from, Width::W32) => self.truncate32(from, true, dst, src),
            Convert::TruncU(from, Width::W32) => self.truncate32(from, false, dst, src),
            Convert::TruncS(from, Width::W64) => self.truncate64(from, dst, src),
            Convert::TruncU(from, Width::W64) => self.truncate64_unsigned(from, dst, src),
            Convert::FloatS(from, to) => to_float!(self, scvtf d to, s from),
            Convert::FloatU(from, to) => to_float!(self, ucvtf d to, s from),
            Convert::Demote => asm!(self; fcvt S(d), D(s)),
            Convert::Promote => asm!(self; fcvt D(d), S(s)),
            Convert::BitsOfFloat(Width::W32) => asm!(self; fmov W(d), S(s)),
            Convert::BitsOfFloat(Width::W64) => asm!(self; fmov X(d), D(s)),
            Convert::FloatOfBits(Width::W32) => asm!(self; fmov S(d), W(s)),
            Convert::FloatOfBits(Width::W64) => asm!(self; fmov D(d), X(s)),
        }
    }

    /// Through 64 bits, which must be the extension of their lower half; if they are, the source must be no NaN.
    fn truncate32(&mut self, from: Width, signed: bool, dst: Reg, src: Reg) {
        let (d, s, t) = (dst.number(), src.number(), X16.number());
        between!(self, fcvtzs t Width::W64, s from);
        if signed {
            asm!(self; cmp XSP(t), W(t), sxtw);
        } else {
            asm!(self; cmp XSP(t), W(t), uxtw);
        }
        scalar!(self, from; fccmp s, s; 1, eq);
        self.truncated_if(OVERFLOW, Trunc { from, src, minimum: false });
        asm!(self; mov W(d), W(t));
    }

    /// The extremes, and NaN, are suspicious.
    fn truncate64(&mut self, from: Width, dst: Reg, src: Reg) {
        let (d, s, t) = (dst.number(), src.number(), X16.number());
        between!(self, fcvtzs d Width::W64, s from);
        // Both extremes become the maximum, to which 1 cannot be added.
        asm!(self; eor X(t), X(d), X(d), asr 63; cmn XSP(t), 1);
        scalar!(self, from; fccmp s, s; 1, vc);
        self.truncated_if(OVERFLOW, Trunc { from, src, minimum: true });
    }

    /// The maximum is suspicious, and sources from -1 down, and NaN.
    fn truncate64_unsigned(&mut self, from: Width, dst: Reg, src: Reg) {
        let (d, s, x) = (dst.number(), src.number(), V31);
        between!(self, fcvtzu d Width::W64, s from);
        scalar!(self, from; fmov x; -1.0);
        scalar!(self, from; fcmp s, x);
        asm!(self; ccmn X(d), 1, 4, gt);
        self.truncated_if(super::jumps::condition_code(Cond::Eq), Trunc { from, src, minimum: false });
    }

    fn truncated_if(&mut self, code: u32, trunc: Trunc) {
        let (mut from, mut back) = (Label::default(), Label::default());
        self.branch_code(code, &mut from);
        self.bind(&mut back);
        self.delay(Cold::Truncated { from, back, trunc });
    }

    /// Out of line: why it is a trap, if it is one.
    pub(super) fn truncated(&mut self, trunc: Trunc, back: &mut Label) {
        let Trunc { from, src, minimum } = trunc;
        let mut nan = Label::default();
        self.compare_floats_impl(from, src, src);
        self.branch_code(OVERFLOW, &mut nan);
        if minimum {
            let limit = -9_223_372_036_854_775_808.0f64;
            let bits = if from == Width::W32 { u64::from((limit as f32).to_bits()) } else { limit.to_bits() };
            let limit = Reg::vector(V31);
            self.mov(from.float(), Dst::Reg(limit), Src::Imm(bits));
            self.compare_floats_impl(from, src, limit);
            self.branch(Cond::FEq, back);
        }
        self.trap(TrapCode::IntegerOverflow);
        self.bind(&mut nan);
        self.trap(TrapCode::InvalidConversionToInteger);
    }
}
