//! Integer arithmetic.

use super::encode::{ADD, AND, Alu, CMP, IMUL, LEA, LOAD_ZX16, LOAD32, OR, SUB, TEST, XOR};
use super::{Assembler, R11, RAX, RCX, RDX, asm};
use crate::jit::abi::TrapCode;
use crate::jit::masm::{Address, Dst, Fixed, Label, Masm, Src};
use crate::jit::ops::{Cond, IntOp, IntUnOp, Width};
use crate::jit::reg::{Reg, RegSet};
use dynasmrt::DynasmApi;

/// The power of two that a constant is, if it is one.
fn power_of_two(width: Width, bits: u64) -> Option<u8> {
    let bits = match width {
        Width::W32 => bits & 0xffff_ffff,
        Width::W64 => bits,
    };
    bits.is_power_of_two().then(|| bits.trailing_zeros() as u8)
}

/// One shift or rotation: by a constant, or by CL.
macro_rules! shift {
    ($self:ident, $width:expr, $dst:expr, $by:expr, $op:ident) => {{
        let d = $dst.number();
        match ($width, $by) {
            (Width::W32, Some(by)) => asm!($self; $op Rd(d), BYTE by),
            (Width::W64, Some(by)) => asm!($self; $op Rq(d), BYTE by),
            (Width::W32, None) => asm!($self; $op Rd(d), cl),
            (Width::W64, None) => asm!($self; $op Rq(d), cl),
        }
    }};
}

impl Assembler {
    pub(super) fn fixed_impl(&self, op: IntOp, width: Width, rhs: Src) -> Fixed {
        match (op, rhs) {
            (IntOp::DivU | IntOp::RemU | IntOp::DivS | IntOp::RemS, Src::Imm(bits))
                if power_of_two(width, bits).is_some() =>
            {
                Fixed::default()
            }
            (op, Src::Imm(bits)) if let Some(fixed) = self.reciprocal_fixed(op, width, bits) => fixed,
            (op, _) if op.divides() => Fixed {
                lhs: Some(RAX),
                rhs: None,
                dst: Some(if matches!(op, IntOp::DivS | IntOp::DivU) { RAX } else { RDX }),
                clobbers: RegSet::of(&[RAX, RDX]),
            },
            (IntOp::Shl | IntOp::ShrS | IntOp::ShrU, Src::Reg(_) | Src::Slot(_)) if self.features.bmi2 => {
                Fixed::default()
            }
            (IntOp::Shl | IntOp::ShrS | IntOp::ShrU | IntOp::Rotl | IntOp::Rotr, Src::Reg(_) | Src::Slot(_)) => {
                Fixed { rhs: Some(RCX), clobbers: RegSet::of(&[RCX]), ..Fixed::default() }
            }
            _ => Fixed::default(),
        }
    }

    pub(super) fn int_op_impl(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        let rhs = match rhs {
            Src::Imm(bits) if width == Width::W64 && i32::try_from(bits as i64).is_err() => self.wide_imm(op, bits),
            rhs => rhs,
        };
        match op {
            IntOp::Add => self.add(width, dst, lhs, rhs),
            IntOp::Sub => self.sub(width, dst, lhs, rhs),
            IntOp::Mul => self.mul(width, dst, lhs, rhs),
            IntOp::And => self.and(width, dst, lhs, rhs),
            IntOp::Or => {
                let rhs = self.first_operand(width, dst, lhs, rhs);
                self.alu(OR, width, dst, rhs);
                self.flags_tell(width, dst);
            }
            IntOp::Xor => {
                let rhs = self.first_operand(width, dst, lhs, rhs);
                self.alu(XOR, width, dst, rhs);
                self.flags_tell(width, dst);
            }
            IntOp::Shl | IntOp::ShrS | IntOp::ShrU | IntOp::Rotl | IntOp::Rotr => self.shift(op, width, dst, lhs, rhs),
            IntOp::DivS | IntOp::DivU | IntOp::RemS | IntOp::RemU => match rhs {
                Src::Imm(bits) if let Some(power) = power_of_two(width, bits) => {
                    self.divide_by_power(op, width, dst, lhs, power);
                }
                Src::Imm(bits) if self.reciprocal_fixed(op, width, bits).is_some() => {
                    self.divide_by_reciprocal(op, width, dst, lhs, bits);
                }
                rhs => self.divide(op, width, rhs),
            },
        }
    }

    /// `dst op= src`. A constant is taken as 32 bits, and sign-extended.
    fn alu(&mut self, op: Alu, width: Width, dst: Reg, src: Src) {
        let d = dst.number();
        match src {
            Src::Reg(src) => self.op_reg(op.op(width), d, src.number()),
            Src::Slot(from) => self.op_mem(op.op(width), d, self.slot(from)),
            Src::Imm(bits) => self.alu_imm(op, width, d, bits as i32),
        }
    }

    /// Notes that the last instruction set the flags by its result.
    fn flags_tell(&mut self, width: Width, dst: Reg) {
        self.zero_flag = Some((dst, width, self.buf.position()));
    }

    /// A 64-bit constant that fits no instruction: one that a mask, a power of two or a shift handles stays.
    fn wide_imm(&mut self, op: IntOp, bits: u64) -> Src {
        let stays = op.shifts()
            || (op == IntOp::And && bits == 0xffff_ffff)
            || (op != IntOp::Add
                && op != IntOp::Sub
                && power_of_two(Width::W64, bits).is_some()
                && (op == IntOp::Mul || op.divides()));
        if stays {
            return Src::Imm(bits);
        }
        self.imm(R11, bits);
        Src::Reg(R11)
    }

    /// Brings one operand of a commutative operation into `dst` and gives the other.
    fn first_operand(&mut self, width: Width, dst: Reg, lhs: Reg, rhs: Src) -> Src {
        if rhs == Src::Reg(dst) {
            return Src::Reg(lhs);
        }
        self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(lhs));
        rhs
    }

    fn add(&mut self, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        match rhs {
            Src::Imm(bits) if dst != lhs => self.lea(width, dst, lhs, bits as i32),
            Src::Reg(rhs) if dst != lhs && dst != rhs => {
                let place = Address::indexed64(lhs, rhs);
                self.op_mem(LEA.sized(width), dst.number(), place);
            }
            rhs => {
                let rhs = self.first_operand(width, dst, lhs, rhs);
                self.alu(ADD, width, dst, rhs);
                self.flags_tell(width, dst);
            }
        }
    }

    fn lea(&mut self, width: Width, dst: Reg, base: Reg, offset: i32) {
        let place = Address::new(base, offset as u32);
        self.op_mem(LEA.sized(width), dst.number(), place);
    }

    fn sub(&mut self, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        match rhs {
            // The negative of the most negative displacement is none.
            Src::Imm(bits) if dst != lhs && bits as i32 != i32::MIN => self.lea(width, dst, lhs, -(bits as i32)),
            rhs if rhs == Src::Reg(dst) && dst != lhs => {
                match width {
                    Width::W32 => asm!(self; neg Rd(dst.number())),
                    Width::W64 => asm!(self; neg Rq(dst.number())),
                }
                self.alu(ADD, width, dst, Src::Reg(lhs));
            }
            rhs => {
                self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(lhs));
                self.alu(SUB, width, dst, rhs);
                self.flags_tell(width, dst);
            }
        }
    }

    fn mul(&mut self, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        let (d, l) = (dst.number(), lhs.number());
        match rhs {
            Src::Imm(bits) => match (bits, power_of_two(width, bits)) {
                (_, Some(power)) => {
                    self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(lhs));
                    shift!(self, width, dst, Some(power as i8), shl);
                }
                (3, _) => self.add_scaled_impl(width, dst, lhs, lhs, 1),
                (5, _) => self.add_scaled_impl(width, dst, lhs, lhs, 2),
                (9, _) => self.add_scaled_impl(width, dst, lhs, lhs, 3),
                _ => match width {
                    Width::W32 => asm!(self; imul Rd(d), Rd(l), bits as i32),
                    Width::W64 => asm!(self; imul Rq(d), Rq(l), bits as i32),
                },
            },
            rhs => {
                let rhs = self.first_operand(width, dst, lhs, rhs);
                match (width, rhs) {
                    (width, Src::Slot(from)) => self.op_mem(IMUL.sized(width), d, self.slot(from)),
                    (width, Src::Reg(rhs)) => self.op_reg(IMUL.sized(width), d, rhs.number()),
                    (_, Src::Imm(_)) => unreachable!("constants have forms of their own"),
                }
            }
        }
    }

    fn and(&mut self, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        let (d, l) = (dst.number(), lhs.number());
        match rhs {
            Src::Imm(0xff) => asm!(self; movzx Rd(d), Rb(l)),
            Src::Imm(0xffff) => self.op_reg(LOAD_ZX16, d, l),
            Src::Imm(0xffff_ffff) if width == Width::W64 => self.op_reg(LOAD32, d, l),
            rhs => {
                let rhs = self.first_operand(width, dst, lhs, rhs);
                self.alu(AND, width, dst, rhs);
                self.flags_tell(width, dst);
            }
        }
    }

    fn shift(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        if let Src::Imm(bits) = rhs {
            let by = (bits & u64::from(width.bits() - 1)) as i8;
            self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(lhs));
            return self.shift_in_place(op, width, dst, Some(by));
        }
        if self.features.bmi2 && matches!(op, IntOp::Shl | IntOp::ShrS | IntOp::ShrU) {
            let rhs = self.in_reg(width.int(), rhs);
            return self.shift_bmi2(op, width, dst, lhs, rhs);
        }
        self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(lhs));
        self.shift_in_place(op, width, dst, None);
    }

    fn shift_in_place(&mut self, op: IntOp, width: Width, dst: Reg, by: Option<i8>) {
        match op {
            IntOp::Shl => shift!(self, width, dst, by, shl),
            IntOp::ShrS => shift!(self, width, dst, by, sar),
            IntOp::ShrU => shift!(self, width, dst, by, shr),
            IntOp::Rotl => shift!(self, width, dst, by, rol),
            _ => shift!(self, width, dst, by, ror),
        }
    }

    fn shift_bmi2(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, rhs: Reg) {
        let (d, l, r) = (dst.number(), lhs.number(), rhs.number());
        match (op, width) {
            (IntOp::Shl, Width::W32) => asm!(self; shlx Rd(d), Rd(l), Rd(r)),
            (IntOp::Shl, Width::W64) => asm!(self; shlx Rq(d), Rq(l), Rq(r)),
            (IntOp::ShrS, Width::W32) => asm!(self; sarx Rd(d), Rd(l), Rd(r)),
            (IntOp::ShrS, Width::W64) => asm!(self; sarx Rq(d), Rq(l), Rq(r)),
            (_, Width::W32) => asm!(self; shrx Rd(d), Rd(l), Rd(r)),
            (_, Width::W64) => asm!(self; shrx Rq(d), Rq(l), Rq(r)),
        }
    }

    pub(super) fn add_scaled_impl(&mut self, width: Width, dst: Reg, base: Reg, index: Reg, shift: u8) {
        let (d, b, i) = (dst.number(), base.number(), index.number());
        match (width, shift) {
            (Width::W32, 1) => asm!(self; lea Rd(d), [BYTE Rq(b) + Rq(i) * 2 + 0]),
            (Width::W32, 2) => asm!(self; lea Rd(d), [BYTE Rq(b) + Rq(i) * 4 + 0]),
            (Width::W32, _) => asm!(self; lea Rd(d), [BYTE Rq(b) + Rq(i) * 8 + 0]),
            (Width::W64, 1) => asm!(self; lea Rq(d), [BYTE Rq(b) + Rq(i) * 2 + 0]),
            (Width::W64, 2) => asm!(self; lea Rq(d), [BYTE Rq(b) + Rq(i) * 4 + 0]),
            (Width::W64, _) => asm!(self; lea Rq(d), [BYTE Rq(b) + Rq(i) * 8 + 0]),
        }
    }

    /// Division of RDX:RAX; the processor itself faults on a quotient that is out of range.
    fn divide(&mut self, op: IntOp, width: Width, rhs: Src) {
        let divisor = self.in_reg(width.int(), rhs);
        let r = divisor.number();
        self.compare(width, Src::Reg(divisor), Src::Imm(0));
        self.trap_if(Cond::Eq, TrapCode::IntegerDivisionByZero);
        let mut done = Label::default();
        if op == IntOp::RemS {
            // The most negative number by -1 would fault, and its remainder is 0.
            let mut other = Label::default();
            self.compare(width, Src::Reg(divisor), Src::Imm(u64::MAX));
            self.branch(Cond::Ne, &mut other);
            asm!(self; xor edx, edx);
            self.jump(&mut done);
            self.bind(&mut other);
        }
        match (op, width) {
            (IntOp::DivS | IntOp::RemS, Width::W32) => asm!(self; cdq; idiv Rd(r)),
            (IntOp::DivS | IntOp::RemS, Width::W64) => asm!(self; cqo; idiv Rq(r)),
            (_, Width::W32) => asm!(self; xor edx, edx; div Rd(r)),
            (_, Width::W64) => asm!(self; xor edx, edx; div Rq(r)),
        }
        if op == IntOp::RemS {
            self.bind(&mut done);
        }
    }

    fn divide_by_power(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, power: u8) {
        match op {
            IntOp::DivU => {
                self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(lhs));
                shift!(self, width, dst, Some(power as i8), shr);
            }
            IntOp::RemU => {
                let mask = (1u64 << power) - 1;
                self.int_op_impl(IntOp::And, width, dst, lhs, Src::Imm(mask));
            }
            _ => self.divide_by_power_signed(op, width, dst, lhs, power),
        }
    }

    /// Rounds towards zero by adding `2^power - 1` to negative numbers.
    fn divide_by_power_signed(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, power: u8) {
        let bits = width.bits() as u8;
        if power == bits - 1 {
            // The divisor is the most negative number: the quotient is 1 for itself, else 0.
            return self.divide_by_minimum(op, width, dst, lhs);
        }
        if power == 0 {
            return match op {
                IntOp::DivS => self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(lhs)),
                _ => self.imm(dst, 0),
            };
        }
        self.mov_impl(width.int(), Dst::Reg(R11), Src::Reg(lhs));
        shift!(self, width, R11, Some(bits as i8 - 1), sar);
        shift!(self, width, R11, Some((bits - power) as i8), shr);
        if op == IntOp::DivS {
            self.add(width, R11, R11, Src::Reg(lhs));
            shift!(self, width, R11, Some(power as i8), sar);
            self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(R11));
        } else {
            self.add(width, dst, lhs, Src::Reg(R11));
            // Clear the low bits of what is subtracted: lhs - (dst rounded down), kept in `dst`.
            self.keep_low(width, dst, power);
            self.alu(SUB, width, dst, Src::Reg(R11));
        }
    }

    /// `dst &= 2^power - 1`.
    fn keep_low(&mut self, width: Width, dst: Reg, power: u8) {
        let unused = (width.bits() - u32::from(power)) as i8;
        if power <= 31 {
            self.and(width, dst, dst, Src::Imm((1u64 << power) - 1));
        } else {
            shift!(self, width, dst, Some(unused), shl);
            shift!(self, width, dst, Some(unused), shr);
        }
    }

    fn divide_by_minimum(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg) {
        let minimum = 1u64 << (width.bits() - 1);
        self.imm(R11, minimum);
        self.compare(width, Src::Reg(lhs), Src::Reg(R11));
        if op == IntOp::DivS {
            self.set(Cond::Eq, dst);
        } else {
            self.imm(R11, 0);
            self.mov_impl(width.int(), Dst::Reg(dst), Src::Reg(lhs));
            self.select(width.int(), Cond::Eq, dst, Src::Reg(R11), Src::Reg(dst));
        }
    }

    pub(super) fn int_unop_impl(&mut self, op: IntUnOp, width: Width, dst: Reg, src: Src) {
        let src = self.in_reg(width.int(), src);
        let (d, s) = (dst.number(), src.number());
        match (op, width) {
            (IntUnOp::Extend8, Width::W32) => asm!(self; movsx Rd(d), Rb(s)),
            (IntUnOp::Extend8, Width::W64) => asm!(self; movsx Rq(d), Rb(s)),
            (IntUnOp::Extend16, Width::W32) => asm!(self; movsx Rd(d), Rw(s)),
            (IntUnOp::Extend16, Width::W64) => asm!(self; movsx Rq(d), Rw(s)),
            (IntUnOp::Extend32, _) => asm!(self; movsxd Rq(d), Rd(s)),
            (IntUnOp::Clz, _) if self.features.lzcnt => match width {
                Width::W32 => asm!(self; lzcnt Rd(d), Rd(s)),
                Width::W64 => asm!(self; lzcnt Rq(d), Rq(s)),
            },
            (IntUnOp::Ctz, _) if self.features.bmi1 => match width {
                Width::W32 => asm!(self; tzcnt Rd(d), Rd(s)),
                Width::W64 => asm!(self; tzcnt Rq(d), Rq(s)),
            },
            (IntUnOp::Popcnt, _) if self.features.popcnt => match width {
                Width::W32 => asm!(self; popcnt Rd(d), Rd(s)),
                Width::W64 => asm!(self; popcnt Rq(d), Rq(s)),
            },
            (IntUnOp::Clz, _) => self.clz_by_scan(width, dst, src),
            (IntUnOp::Ctz, _) => self.ctz_by_scan(width, dst, src),
            (IntUnOp::Popcnt, _) => self.popcnt_by_parts(width, dst, src),
        }
    }

    /// `bsr` leaves its target undefined for 0, which counts as the width.
    fn clz_by_scan(&mut self, width: Width, dst: Reg, src: Reg) {
        let (s, t) = (src.number(), R11.number());
        let ones = u64::from(width.bits() * 2 - 1);
        match width {
            Width::W32 => asm!(self; bsr Rd(t), Rd(s)),
            Width::W64 => asm!(self; bsr Rq(t), Rq(s)),
        }
        self.imm(dst, ones);
        self.select(width.int(), Cond::Ne, dst, Src::Reg(R11), Src::Reg(dst));
        self.alu(XOR, width, dst, Src::Imm(u64::from(width.bits() - 1)));
    }

    fn ctz_by_scan(&mut self, width: Width, dst: Reg, src: Reg) {
        let (s, t) = (src.number(), R11.number());
        match width {
            Width::W32 => asm!(self; bsf Rd(t), Rd(s)),
            Width::W64 => asm!(self; bsf Rq(t), Rq(s)),
        }
        self.imm(dst, u64::from(width.bits()));
        self.select(width.int(), Cond::Ne, dst, Src::Reg(R11), Src::Reg(dst));
    }

    /// Counts by shifting bits out, one by one: processors without `popcnt` are rare, and correct is enough.
    fn popcnt_by_parts(&mut self, width: Width, dst: Reg, src: Reg) {
        let (d, t) = (dst.number(), R11.number());
        let mut again = Label::default();
        self.mov_impl(width.int(), Dst::Reg(R11), Src::Reg(src));
        self.imm(dst, 0);
        self.bind(&mut again);
        asm!(self; shr Rq(t), 1; adc Rd(d), 0; test Rq(t), Rq(t));
        self.branch(Cond::Ne, &mut again);
    }

    /// Sets the flags for [`Cond::Eq`] and [`Cond::Ne`] with zero, unless the last instruction has.
    pub(super) fn compare_zero_impl(&mut self, width: Width, src: Src) {
        match src {
            Src::Reg(reg) if self.zero_flag == Some((reg, width, self.buf.position())) => {}
            src => self.compare_impl(width, src, Src::Imm(0)),
        }
    }

    pub(super) fn compare_impl(&mut self, width: Width, lhs: Src, rhs: Src) {
        let lhs = match (lhs, rhs) {
            (Src::Slot(place), Src::Imm(bits)) if i32::try_from(bits as i64).is_ok() || width == Width::W32 => {
                return self.alu_mem_imm(CMP, width, self.slot(place), bits as i32);
            }
            (lhs, _) => lhs,
        };
        let rhs = match rhs {
            Src::Imm(bits) if width == Width::W64 && i32::try_from(bits as i64).is_err() => {
                self.imm(R11, bits);
                Src::Reg(R11)
            }
            rhs => rhs,
        };
        let lhs = self.in_reg(width.int(), lhs);
        let l = lhs.number();
        match (width, rhs) {
            (width, Src::Imm(0)) => self.op_reg(TEST.sized(width), l, l),
            (width, rhs) => self.alu(CMP, width, lhs, rhs),
        }
    }

    pub(super) fn test_impl(&mut self, width: Width, lhs: Reg, rhs: Src) {
        let l = lhs.number();
        match (width, rhs) {
            (Width::W32, Src::Imm(bits)) => asm!(self; test Rd(l), bits as i32),
            (Width::W64, Src::Imm(bits)) if i32::try_from(bits as i64).is_ok() => asm!(self; test Rq(l), bits as i32),
            (width, rhs) => {
                let rhs = self.in_reg(width.int(), rhs).number();
                self.op_reg(TEST.sized(width), rhs, l);
            }
        }
    }
}
