//! Division by constants that are no powers of two, without dividing.

use super::{Assembler, R11, RAX, RDX, asm};
use crate::jit::env::Kind;
use crate::jit::masm::{Dst, Fixed, Src};
use crate::jit::ops::{IntOp, Width};
use crate::jit::reciprocal::Reciprocal;
use crate::jit::reg::{Reg, RegSet};
use dynasmrt::DynasmApi;

impl Assembler {
    /// What dividing by `bits` in this way needs, if it can be done so.
    pub(super) fn reciprocal_fixed(&self, op: IntOp, width: Width, bits: u64) -> Option<Fixed> {
        match (op, width) {
            (IntOp::DivU | IntOp::RemU, Width::W32) if bits as u32 > 2 => Some(Fixed::default()),
            (IntOp::DivS, Width::W32) if bits as i32 > 2 => Some(Fixed::default()),
            (IntOp::RemS, Width::W32) if bits as i32 > 2 => {
                Some(Fixed { clobbers: RegSet::of(&[RAX]), ..Fixed::default() })
            }
            (IntOp::DivU | IntOp::RemU, Width::W64)
                if self.features.bmi2
                    && (3..=i32::MAX as u64).contains(&bits)
                    && !Reciprocal::unsigned(64, bits).plus_one =>
            {
                Some(Fixed {
                    lhs: Some(RDX),
                    rhs: None,
                    dst: Some(if op == IntOp::DivU { RAX } else { RDX }),
                    clobbers: RegSet::of(&[RAX, RDX]),
                })
            }
            _ => None,
        }
    }

    /// `bits` is what [`Assembler::reciprocal_fixed`] said yes to, and no power of two.
    pub(super) fn divide_by_reciprocal(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, bits: u64) {
        match (op, width) {
            (IntOp::DivU, Width::W32) => {
                self.unsigned_quotient(lhs, bits as u32);
                self.mov_impl(Kind::I32, Dst::Reg(dst), Src::Reg(R11));
            }
            (IntOp::RemU, Width::W32) => {
                self.unsigned_quotient(lhs, bits as u32);
                self.remainder(R11, dst, lhs, bits as i32);
            }
            (IntOp::DivS, Width::W32) => {
                self.signed_product(lhs, bits as u32);
                self.mov_impl(Kind::I32, Dst::Reg(dst), Src::Reg(lhs));
                asm!(self; shr Rd(dst.number()), 31; add Rd(dst.number()), r11d);
            }
            (_, Width::W32) => {
                self.signed_product(lhs, bits as u32);
                self.mov_impl(Kind::I32, Dst::Reg(RAX), Src::Reg(lhs));
                asm!(self; shr eax, 31; add eax, r11d);
                self.remainder(RAX, dst, lhs, bits as i32);
            }
            (op, Width::W64) => self.divide_wide(op, bits),
        }
    }

    /// The quotient of an unsigned 32-bit number, in R11.
    fn unsigned_quotient(&mut self, lhs: Reg, divisor: u32) {
        let Reciprocal { by, shift, plus_one } = Reciprocal::unsigned(32, divisor.into());
        let l = lhs.number();
        if plus_one {
            asm!(self; lea r11, [BYTE Rq(l) + 1]);
            self.multiply_by_constant(R11, by);
        } else if let Ok(by) = i32::try_from(by) {
            asm!(self; imul r11, Rq(l), by);
        } else {
            self.imm(R11, by);
            asm!(self; imul r11, Rq(l));
        }
        asm!(self; shr r11, BYTE shift as i8);
    }

    /// The quotient of a signed 32-bit number, rounded down, in R11.
    fn signed_product(&mut self, lhs: Reg, divisor: u32) {
        let Reciprocal { by, shift, .. } = Reciprocal::signed(32, divisor.into());
        asm!(self; movsxd r11, Rd(lhs.number()));
        self.multiply_by_constant(R11, by);
        asm!(self; sar r11, BYTE shift as i8);
    }

    /// `dst = lhs - quotient * divisor`.
    fn remainder(&mut self, quotient: Reg, dst: Reg, lhs: Reg, divisor: i32) {
        let q = quotient.number();
        asm!(self; imul Rd(q), Rd(q), divisor);
        self.mov_impl(Kind::I32, Dst::Reg(dst), Src::Reg(lhs));
        asm!(self; sub Rd(dst.number()), Rd(q));
    }

    /// RDX by a constant: the quotient in RAX or the remainder in RDX.
    fn divide_wide(&mut self, op: IntOp, divisor: u64) {
        let Reciprocal { by, shift, .. } = Reciprocal::unsigned(64, divisor);
        self.imm(R11, by);
        asm!(self; mulx rax, r11, r11);
        if shift > 64 {
            asm!(self; shr rax, BYTE (shift - 64) as i8);
        }
        if op == IntOp::RemU {
            asm!(self; imul rax, rax, divisor as i32; sub rdx, rax);
        }
    }
}
