//! Integer arithmetic.

use super::jumps::OVERFLOW;
use super::{Assembler, Cold, V31, X16, X17, asm, sized};
use crate::jit::abi::TrapCode;
use crate::jit::masm::{Dst, Label, Masm, Src};
use crate::jit::ops::{Cond, IntOp, IntUnOp, Width};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;
use dynasmrt::aarch64::{encode_logical_immediate_32bit, encode_logical_immediate_64bit};

/// A constant of the width, with its sign.
const fn signed(width: Width, bits: u64) -> i64 {
    match width {
        Width::W32 => bits as i32 as i64,
        Width::W64 => bits as i64,
    }
}

/// The power of two that a constant is, if it is one.
fn power_of_two(width: Width, bits: u64) -> Option<u32> {
    let bits = match width {
        Width::W32 => bits & 0xffff_ffff,
        Width::W64 => bits,
    };
    bits.is_power_of_two().then(|| bits.trailing_zeros())
}

/// Whether bitwise operators take the constant as it is.
fn is_logical(width: Width, bits: u64) -> bool {
    match width {
        Width::W32 => encode_logical_immediate_32bit(bits as u32).is_some(),
        Width::W64 => encode_logical_immediate_64bit(bits).is_some(),
    }
}

/// One bitwise instruction, with a register or a constant.
macro_rules! bitwise {
    ($self:ident, $width:expr, $d:ident, $a:ident, $rhs:expr, $op:ident) => {
        match ($width, $rhs) {
            (Width::W32, Src::Imm(bits)) if is_logical(Width::W32, bits) => {
                asm!($self; $op WSP($d), W($a), bits as u32);
            }
            (Width::W64, Src::Imm(bits)) if is_logical(Width::W64, bits) => {
                asm!($self; $op XSP($d), X($a), bits);
            }
            (width, rhs) => {
                let b = $self.in_reg(width.int(), rhs).number();
                sized!($self, width; $op $d, $a, b);
            }
        }
    };
}

/// One shift or rotation by a register.
macro_rules! shift {
    ($self:ident, $width:expr, $d:ident, $a:ident, $b:ident, $op:ident) => {
        sized!($self, $width; $op $d, $a, $b)
    };
}

impl Assembler {
    pub(super) fn int_op_impl(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        let (d, a) = (dst.number(), lhs.number());
        match op {
            IntOp::Add => self.add(width, dst, lhs, rhs),
            IntOp::Sub => self.sub(width, dst, lhs, rhs),
            IntOp::Mul => self.mul(width, dst, lhs, rhs),
            IntOp::And => bitwise!(self, width, d, a, rhs, and),
            IntOp::Or => bitwise!(self, width, d, a, rhs, orr),
            IntOp::Xor => bitwise!(self, width, d, a, rhs, eor),
            IntOp::Shl | IntOp::ShrS | IntOp::ShrU | IntOp::Rotl | IntOp::Rotr => match rhs {
                Src::Imm(bits) => self.shift_by(op, width, dst, lhs, bits as u32 & (width.bits() - 1)),
                rhs => self.shift(op, width, dst, lhs, rhs),
            },
            IntOp::DivS | IntOp::DivU | IntOp::RemS | IntOp::RemU => self.divide(op, width, dst, lhs, rhs),
        }
    }

    fn add(&mut self, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        match rhs {
            Src::Imm(bits) => self.add_imm(width, dst, lhs, signed(width, bits)),
            rhs => {
                let (d, a, b) = (dst.number(), lhs.number(), self.in_reg(width.int(), rhs).number());
                sized!(self, width; add d, a, b);
            }
        }
    }

    fn sub(&mut self, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        match rhs {
            Src::Imm(bits) => self.add_imm(width, dst, lhs, signed(width, bits).wrapping_neg()),
            rhs => {
                let (d, a, b) = (dst.number(), lhs.number(), self.in_reg(width.int(), rhs).number());
                sized!(self, width; sub d, a, b);
            }
        }
    }

    /// `dst = lhs + value`, with the value as an immediate where it fits, also in two parts or as its negative.
    fn add_imm(&mut self, width: Width, dst: Reg, lhs: Reg, value: i64) {
        let (d, a) = (dst.number(), lhs.number());
        let size = value.unsigned_abs();
        if size > 0xff_ffff {
            let bits = if width == Width::W32 { u64::from(value as u32) } else { value as u64 };
            let b = self.in_reg(width.int(), Src::Imm(bits)).number();
            return sized!(self, width; add d, a, b);
        }
        let (low, high) = (size as u32 & 0xfff, size as u32 >> 12);
        let mut from = a;
        if high != 0 {
            self.add_part(width, d, a, value < 0, high, true);
            from = d;
        }
        if low != 0 || high == 0 {
            self.add_part(width, d, from, value < 0, low, false);
        }
    }

    fn add_part(&mut self, width: Width, d: u8, a: u8, negative: bool, part: u32, high: bool) {
        match (width, negative, high) {
            (Width::W32, false, false) => asm!(self; add WSP(d), WSP(a), part),
            (Width::W32, false, true) => asm!(self; add WSP(d), WSP(a), part, lsl 12),
            (Width::W32, true, false) => asm!(self; sub WSP(d), WSP(a), part),
            (Width::W32, true, true) => asm!(self; sub WSP(d), WSP(a), part, lsl 12),
            (Width::W64, false, false) => asm!(self; add XSP(d), XSP(a), part),
            (Width::W64, false, true) => asm!(self; add XSP(d), XSP(a), part, lsl 12),
            (Width::W64, true, false) => asm!(self; sub XSP(d), XSP(a), part),
            (Width::W64, true, true) => asm!(self; sub XSP(d), XSP(a), part, lsl 12),
        }
    }

    fn mul(&mut self, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        let (d, a) = (dst.number(), lhs.number());
        if let Src::Imm(bits) = rhs {
            if let Some(power) = power_of_two(width, bits) {
                return self.shift_by(IntOp::Shl, width, dst, lhs, power);
            }
            // One more than a power of two.
            if let Some(power @ 1..) = power_of_two(width, bits.wrapping_sub(1)) {
                return sized!(self, width; add d, a, a; lsl power);
            }
        }
        let b = self.in_reg(width.int(), rhs).number();
        sized!(self, width; mul d, a, b);
    }

    fn shift_by(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, by: u32) {
        let (d, a) = (dst.number(), lhs.number());
        match op {
            _ if by == 0 => self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(lhs)),
            IntOp::Shl => sized!(self, width; lsl d, a; by),
            IntOp::ShrS => sized!(self, width; asr d, a; by),
            IntOp::ShrU => sized!(self, width; lsr d, a; by),
            IntOp::Rotl => sized!(self, width; ror d, a; width.bits() - by),
            _ => sized!(self, width; ror d, a; by),
        }
    }

    /// The instructions take the count modulo the width, as the operators do.
    fn shift(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, by: Src) {
        let (d, a, b) = (dst.number(), lhs.number(), self.in_reg(width.int(), by).number());
        match op {
            IntOp::Shl => shift!(self, width, d, a, b, lsl),
            IntOp::ShrS => shift!(self, width, d, a, b, asr),
            IntOp::ShrU => shift!(self, width, d, a, b, lsr),
            IntOp::Rotl => {
                let t = X17.number();
                sized!(self, width; neg t, b);
                shift!(self, width, d, a, t, ror);
            }
            _ => shift!(self, width, d, a, b, ror),
        }
    }

    pub(super) fn add_scaled_impl(&mut self, width: Width, dst: Reg, base: Reg, index: Reg, shift: u8) {
        let (d, b, i, shift) = (dst.number(), base.number(), index.number(), u32::from(shift));
        sized!(self, width; add d, b, i; lsl shift);
    }

    /// The instructions give 0 for a zero divisor, and the minimum for itself by -1: its remainder comes out as 0 then.
    fn divide(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        if let Src::Imm(bits) = rhs {
            match (op, power_of_two(width, bits)) {
                (IntOp::DivU, Some(power)) => return self.shift_by(IntOp::ShrU, width, dst, lhs, power),
                (IntOp::RemU, Some(power)) => return self.low_bits(width, dst, lhs, power),
                (IntOp::DivS, Some(power)) => return self.divide_by_power(width, dst, lhs, power),
                (IntOp::RemS, Some(power)) => return self.remainder_by_power(width, dst, lhs, power),
                _ if self.divide_by_reciprocal(op, width, dst, lhs, bits) => return,
                _ => {}
            }
        }
        let divisor = self.in_reg(width.int(), rhs);
        let (d, a, b, q) = (dst.number(), lhs.number(), divisor.number(), X16.number());
        let known = |unless: i64| matches!(rhs, Src::Imm(bits) if signed(width, bits) != unless);
        if !known(0) {
            let mut zero = Label::default();
            self.branch_zero(true, width, divisor, &mut zero);
            self.delay(Cold::Trap { from: zero, code: TrapCode::IntegerDivisionByZero });
        }
        if op == IntOp::DivS && !known(-1) {
            self.trap_overflow(width, a, b);
        }
        match op {
            IntOp::DivS => sized!(self, width; sdiv d, a, b),
            IntOp::DivU => sized!(self, width; udiv d, a, b),
            IntOp::RemS => {
                sized!(self, width; sdiv q, a, b);
                sized!(self, width; msub d, q, b, a);
            }
            _ => {
                sized!(self, width; udiv q, a, b);
                sized!(self, width; msub d, q, b, a);
            }
        }
    }

    /// Traps where `b` is -1 and taking 1 from `a` overflows.
    fn trap_overflow(&mut self, width: Width, a: u8, b: u8) {
        let mut over = Label::default();
        match width {
            Width::W32 => asm!(self; cmn WSP(b), 1; ccmp W(a), 1, 0, eq),
            Width::W64 => asm!(self; cmn XSP(b), 1; ccmp X(a), 1, 0, eq),
        }
        self.branch_code(OVERFLOW, &mut over);
        self.delay(Cold::Trap { from: over, code: TrapCode::IntegerOverflow });
    }

    /// `dst = lhs & (2^power - 1)`.
    fn low_bits(&mut self, width: Width, dst: Reg, lhs: Reg, power: u32) {
        match power {
            0 => self.imm(dst, 0),
            _ => self.int_op_impl(IntOp::And, width, dst, lhs, Src::Imm((1 << power) - 1)),
        }
    }

    /// Rounds towards zero by adding `2^power - 1` to negative numbers.
    fn divide_by_power(&mut self, width: Width, dst: Reg, lhs: Reg, power: u32) {
        if power == 0 {
            return self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(lhs));
        }
        if power == width.bits() - 1 {
            // The divisor is the most negative number: the quotient is 1 for itself, else 0.
            self.compare_impl(width, Src::Reg(lhs), Src::Imm(1 << power));
            return self.set_impl(Cond::Eq, dst);
        }
        self.biased(width, lhs, power);
        self.shift_by(IntOp::ShrS, width, dst, X17, power);
    }

    fn remainder_by_power(&mut self, width: Width, dst: Reg, lhs: Reg, power: u32) {
        if power == 0 {
            return self.imm(dst, 0);
        }
        if power == width.bits() - 1 {
            let d = dst.number();
            self.compare_impl(width, Src::Reg(lhs), Src::Imm(1 << power));
            self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(lhs));
            return asm!(self; csel X(d), xzr, X(d), eq);
        }
        // What is left of the number without its quotient.
        self.biased(width, lhs, power);
        self.shift_by(IntOp::ShrS, width, X17, X17, power);
        let (d, a, t) = (dst.number(), lhs.number(), X17.number());
        sized!(self, width; sub d, a, t; lsl power);
    }

    /// X17 = `lhs`, plus `2^power - 1` if it is negative.
    fn biased(&mut self, width: Width, lhs: Reg, power: u32) {
        let (a, t) = (lhs.number(), X17.number());
        let bits = width.bits();
        self.shift_by(IntOp::ShrS, width, X17, lhs, bits - 1);
        sized!(self, width; add t, a, t; lsr bits - power);
    }

    pub(super) fn int_unop_impl(&mut self, op: IntUnOp, width: Width, dst: Reg, src: Src) {
        let src = self.in_reg(width.int(), src);
        let (d, s) = (dst.number(), src.number());
        match (op, width) {
            (IntUnOp::Clz, width) => sized!(self, width; clz d, s),
            (IntUnOp::Ctz, width) => {
                sized!(self, width; rbit d, s);
                sized!(self, width; clz d, d);
            }
            (IntUnOp::Popcnt, _) => {
                // The upper half of an i32 is zero.
                asm!(self; fmov D(V31), X(s); cnt V(V31).b8, V(V31).b8; addv B(V31), V(V31).b8; fmov W(d), S(V31));
            }
            (IntUnOp::Extend8, Width::W32) => asm!(self; sxtb W(d), W(s)),
            (IntUnOp::Extend8, Width::W64) => asm!(self; sxtb X(d), W(s)),
            (IntUnOp::Extend16, Width::W32) => asm!(self; sxth W(d), W(s)),
            (IntUnOp::Extend16, Width::W64) => asm!(self; sxth X(d), W(s)),
            (IntUnOp::Extend32, _) => asm!(self; sxtw X(d), W(s)),
        }
    }

    /// Sets the flags for [`Cond::Eq`] and [`Cond::Ne`] with zero; a branch that follows at once compares itself.
    pub(super) fn compare_zero_impl(&mut self, width: Width, src: Src) {
        let reg = self.in_reg(width.int(), src);
        let a = reg.number();
        match width {
            Width::W32 => asm!(self; cmp WSP(a), 0),
            Width::W64 => asm!(self; cmp XSP(a), 0),
        }
        self.zero_flag = Some((reg, width, self.position()));
    }

    pub(super) fn compare_impl(&mut self, width: Width, lhs: Src, rhs: Src) {
        if rhs == Src::Imm(0) {
            return self.compare_zero_impl(width, lhs);
        }
        let Src::Imm(bits) = rhs else {
            // First, since what is far in the frame is reached through X16.
            let b = self.in_reg(width.int(), rhs).number();
            let a = self.in_reg_or(width.int(), lhs, X16).number();
            return sized!(self, width; cmp a, b);
        };
        let a = self.in_reg_or(width.int(), lhs, X16).number();
        let value = signed(width, bits);
        let size = value.unsigned_abs();
        let (part, high) = if size & 0xfff == 0 { (size >> 12, true) } else { (size, false) };
        match u32::try_from(part) {
            Ok(part @ 0..=0xfff) => self.compare_part(width, a, value < 0, part, high),
            _ => {
                self.imm(X17, bits);
                let b = X17.number();
                sized!(self, width; cmp a, b);
            }
        }
    }

    fn compare_part(&mut self, width: Width, a: u8, negative: bool, part: u32, high: bool) {
        match (width, negative, high) {
            (Width::W32, false, false) => asm!(self; cmp WSP(a), part),
            (Width::W32, false, true) => asm!(self; cmp WSP(a), part, lsl 12),
            (Width::W32, true, false) => asm!(self; cmn WSP(a), part),
            (Width::W32, true, true) => asm!(self; cmn WSP(a), part, lsl 12),
            (Width::W64, false, false) => asm!(self; cmp XSP(a), part),
            (Width::W64, false, true) => asm!(self; cmp XSP(a), part, lsl 12),
            (Width::W64, true, false) => asm!(self; cmn XSP(a), part),
            (Width::W64, true, true) => asm!(self; cmn XSP(a), part, lsl 12),
        }
    }

    pub(super) fn test_impl(&mut self, width: Width, lhs: Reg, rhs: Src) {
        let a = lhs.number();
        match (width, rhs) {
            (Width::W32, Src::Imm(bits)) if is_logical(width, bits) => asm!(self; tst W(a), bits as u32),
            (Width::W64, Src::Imm(bits)) if is_logical(width, bits) => asm!(self; tst X(a), bits),
            (width, rhs) => {
                let b = self.in_reg(width.int(), rhs).number();
                sized!(self, width; tst a, b);
            }
        }
    }
}
