//! Conversions between kinds.
//!
//! The truncating instructions answer "invalid" with the most negative number. What that means (out of range,
//! NaN, or just this number) is found out at the function's end.

use super::{Assembler, Cold, R11, X15, asm};
use crate::jit::abi::TrapCode;
use crate::jit::masm::{Dst, Label, Masm, Src};
use crate::jit::ops::{Cond, Convert, Width};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

/// A truncation whose straight path failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trunc {
    from: Width,
    to: Width,
    signed: bool,
    saturate: bool,
    dst: Reg,
    src: Reg,
}

impl Assembler {
    pub(super) fn convert_impl(&mut self, op: Convert, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match op {
            Convert::Wrap => asm!(self; mov Rd(d), Rd(s)),
            Convert::ExtendS => asm!(self; movsxd Rq(d), Rd(s)),
            Convert::TruncS(from, to) => self.truncate(from, to, true, false, dst, src),
            Convert::TruncU(from, to) => self.truncate(from, to, false, false, dst, src),
            Convert::SatS(from, to) => self.truncate(from, to, true, true, dst, src),
            Convert::SatU(from, to) => self.truncate(from, to, false, true, dst, src),
            Convert::FloatS(from, to) => self.float_signed(from, to, dst, src),
            Convert::FloatU(Width::W32, to) => self.float_signed(Width::W64, to, dst, src),
            Convert::FloatU(Width::W64, to) => self.float_unsigned64(to, dst, src),
            Convert::Demote => {
                self.break_dependency(dst, src);
                asm!(self; cvtsd2ss Rx(d), Rx(s));
            }
            Convert::Promote => {
                self.break_dependency(dst, src);
                asm!(self; cvtss2sd Rx(d), Rx(s));
            }
            Convert::BitsOfFloat(Width::W32) => asm!(self; movd Rd(d), Rx(s)),
            Convert::BitsOfFloat(Width::W64) => asm!(self; movq Rq(d), Rx(s)),
            Convert::FloatOfBits(Width::W32) => asm!(self; movd Rx(d), Rd(s)),
            Convert::FloatOfBits(Width::W64) => asm!(self; movq Rx(d), Rq(s)),
        }
    }

    fn float_signed(&mut self, from: Width, to: Width, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        asm!(self; xorps Rx(d), Rx(d));
        match (from, to) {
            (Width::W32, Width::W32) => asm!(self; cvtsi2ss Rx(d), Rd(s)),
            (Width::W32, Width::W64) => asm!(self; cvtsi2sd Rx(d), Rd(s)),
            (Width::W64, Width::W32) => asm!(self; cvtsi2ss Rx(d), Rq(s)),
            (Width::W64, Width::W64) => asm!(self; cvtsi2sd Rx(d), Rq(s)),
        }
    }

    /// A number with the top bit set is halved, with its lowest bit kept sticky for the rounding, and doubled as a float.
    fn float_unsigned64(&mut self, to: Width, dst: Reg, src: Reg) {
        let (d, s, t) = (dst.number(), src.number(), R11.number());
        let (mut large, mut done) = (Label::default(), Label::default());
        self.compare(Width::W64, Src::Reg(src), Src::Imm(0));
        self.branch(Cond::LtS, &mut large);
        self.float_signed(Width::W64, to, dst, src);
        self.jump(&mut done);
        self.bind(&mut large);
        // The carry of the shift is the bit that went out.
        let mut even = Label::default();
        asm!(self; mov Rq(t), Rq(s); shr Rq(t), 1);
        self.branch(Cond::GeU, &mut even);
        asm!(self; or Rq(t), 1);
        self.bind(&mut even);
        self.float_signed(Width::W64, to, dst, R11);
        match to {
            Width::W32 => asm!(self; addss Rx(d), Rx(d)),
            Width::W64 => asm!(self; addsd Rx(d), Rx(d)),
        }
        self.bind(&mut done);
    }

    fn cvtt(&mut self, from: Width, to: Width, dst: Reg, x: u8) {
        let d = dst.number();
        match (from, to) {
            (Width::W32, Width::W32) => asm!(self; cvttss2si Rd(d), Rx(x)),
            (Width::W32, Width::W64) => asm!(self; cvttss2si Rq(d), Rx(x)),
            (Width::W64, Width::W32) => asm!(self; cvttsd2si Rd(d), Rx(x)),
            (Width::W64, Width::W64) => asm!(self; cvttsd2si Rq(d), Rx(x)),
        }
    }

    fn truncate(&mut self, from: Width, to: Width, signed: bool, saturate: bool, dst: Reg, src: Reg) {
        let mut rest = Label::default();
        let mut back = Label::default();
        if signed {
            self.cvtt(from, to, dst, src.number());
            // Only the most negative number overflows when 1 is taken from it.
            self.compare(to, Src::Reg(dst), Src::Imm(1));
            self.overflow_branch(&mut rest);
        } else if to == Width::W32 {
            self.cvtt(from, Width::W64, dst, src.number());
            self.mov(to.int(), Dst::Reg(R11), Src::Reg(dst));
            self.compare(Width::W64, Src::Reg(dst), Src::Reg(R11));
            self.branch(Cond::Ne, &mut rest);
        } else {
            self.truncate_unsigned64(from, dst, src, &mut rest);
        }
        self.bind(&mut back);
        let trunc = Trunc { from, to, signed, saturate, dst, src };
        self.delay(Cold::Truncated { from: rest, back, trunc });
    }

    /// From 2^63 on, the difference to it is truncated and the top bit set again.
    fn truncate_unsigned64(&mut self, from: Width, dst: Reg, src: Reg, rest: &mut Label) {
        let (mut large, mut done) = (Label::default(), Label::default());
        self.float_imm(from, X15, -9_223_372_036_854_775_808.0);
        self.add_to(from, X15, src.number());
        // x - 2^63 is not negative exactly when x has the top bit; unordered is "below".
        asm!(self; xorps Rx(super::X14), Rx(super::X14));
        self.ucomis(from, X15, super::X14);
        self.branch(Cond::GeU, &mut large);
        self.cvtt(from, Width::W64, dst, src.number());
        self.compare(Width::W64, Src::Reg(dst), Src::Imm(0));
        self.branch(Cond::LtS, rest);
        self.jump(&mut done);
        self.bind(&mut large);
        self.cvtt(from, Width::W64, dst, X15);
        self.compare(Width::W64, Src::Reg(dst), Src::Imm(0));
        self.branch(Cond::LtS, rest);
        asm!(self; btc Rq(dst.number()), 63);
        self.bind(&mut done);
    }

    /// A constant in one of the assembler's own registers.
    fn float_imm(&mut self, width: Width, x: u8, value: f64) {
        let bits = match width {
            Width::W32 => u64::from((value as f32).to_bits()),
            Width::W64 => value.to_bits(),
        };
        self.mov(width.float(), Dst::Reg(Reg::vector(x)), Src::Imm(bits));
    }

    fn add_to(&mut self, width: Width, x: u8, y: u8) {
        match width {
            Width::W32 => asm!(self; addss Rx(x), Rx(y)),
            Width::W64 => asm!(self; addsd Rx(x), Rx(y)),
        }
    }

    /// Out of line: what "invalid" meant.
    pub(super) fn truncated(&mut self, trunc: Trunc, back: &mut Label) {
        if trunc.saturate { self.truncated_saturating(trunc, back) } else { self.truncated_trapping(trunc, back) }
    }

    fn truncated_trapping(&mut self, trunc: Trunc, back: &mut Label) {
        let Trunc { from, to, signed, src, .. } = trunc;
        let s = src.number();
        let (mut nan, mut over) = (Label::default(), Label::default());
        self.ucomis(from, s, s);
        self.parity_branch(true, &mut nan);
        if signed {
            // In range are only values that truncate to the minimum itself: from it down to where the next would be.
            let (limit, exact) = match (from, to) {
                (Width::W64, Width::W32) => (-2_147_483_649.0, false),
                (Width::W32, Width::W32) => (-2_147_483_648.0, true),
                (_, Width::W64) => (-9_223_372_036_854_775_808.0, true),
            };
            self.float_imm(from, X15, limit);
            self.ucomis(from, s, X15);
            self.branch(if exact { Cond::LtU } else { Cond::LeU }, &mut over);
            self.float_imm(from, X15, 0.0);
            self.ucomis(from, s, X15);
            self.branch(Cond::LtU, back);
        }
        self.bind(&mut over);
        self.trap(TrapCode::IntegerOverflow);
        self.bind(&mut nan);
        self.trap(TrapCode::InvalidConversionToInteger);
    }

    fn truncated_saturating(&mut self, trunc: Trunc, back: &mut Label) {
        let Trunc { from, to, signed, dst, src, .. } = trunc;
        let s = src.number();
        let (minimum, maximum) = match (signed, to) {
            (true, Width::W32) => (u64::from(i32::MIN as u32), i32::MAX as u64),
            (true, Width::W64) => (i64::MIN as u64, i64::MAX as u64),
            (false, Width::W32) => (0, u64::from(u32::MAX)),
            (false, Width::W64) => (0, u64::MAX),
        };
        self.float_imm(from, X15, 0.0);
        self.ucomis(from, s, X15);
        self.imm(dst, 0);
        self.parity_branch(true, back);
        self.imm(dst, minimum);
        self.branch(Cond::LtU, back);
        self.imm(dst, maximum);
        self.jump(back);
    }
}
