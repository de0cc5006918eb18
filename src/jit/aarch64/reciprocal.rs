//! Division by constants that are no powers of two, without dividing.

use super::{Assembler, X16, X17, asm, sized};
use crate::jit::ops::{IntOp, Width};
use crate::jit::reciprocal::Reciprocal;
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

impl Assembler {
    /// Whether it is done in this way: signed numbers have only positive divisors here. `bits` is no power of two.
    pub(super) fn divide_by_reciprocal(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, bits: u64) -> bool {
        let divisor = match (op, width) {
            (IntOp::DivU | IntOp::RemU, Width::W32) => u64::from(bits as u32),
            (IntOp::DivU | IntOp::RemU, Width::W64) => bits,
            (_, Width::W32) => (bits as i32).max(0) as u64,
            (_, Width::W64) => (bits as i64).max(0) as u64,
        };
        if divisor < 3 {
            return false;
        }
        let quotient = if matches!(op, IntOp::DivU | IntOp::DivS) { dst } else { X16 };
        match op {
            IntOp::DivU | IntOp::RemU => self.unsigned_quotient(width, quotient, lhs, divisor),
            _ => self.signed_quotient(width, quotient, lhs, divisor),
        }
        if quotient != dst {
            let (d, a, q, b) = (dst.number(), lhs.number(), quotient.number(), X17.number());
            self.imm(X17, divisor);
            sized!(self, width; msub d, q, b, a);
        }
        true
    }

    fn unsigned_quotient(&mut self, width: Width, quotient: Reg, lhs: Reg, divisor: u64) {
        let Reciprocal { by, shift, plus_one } = Reciprocal::unsigned(width.bits(), divisor);
        let (q, a) = (quotient.number(), lhs.number());
        self.imm(X17, by);
        match (width, plus_one) {
            (Width::W32, false) => asm!(self; umull x16, W(a), w17),
            // by * (x + 1) = by * x + by.
            (Width::W32, true) => asm!(self; umaddl x16, W(a), w17, x17),
            (Width::W64, false) => asm!(self; umulh x16, X(a), x17),
            // The greatest number stays itself: were its quotient another than that of the one before, the divisor would be a divisor
            // of 2^64 - 1, and such ones need nothing added.
            (Width::W64, true) => asm!(self; adds x16, XSP(a), 1; csinv x16, x16, xzr, cc; umulh x16, x16, x17),
        }
        match width {
            Width::W32 => asm!(self; lsr X(q), x16, shift),
            Width::W64 => asm!(self; lsr X(q), x16, shift - 64),
        }
    }

    fn signed_quotient(&mut self, width: Width, quotient: Reg, lhs: Reg, divisor: u64) {
        let Reciprocal { by, shift, .. } = Reciprocal::signed(width.bits(), divisor);
        let (q, a) = (quotient.number(), lhs.number());
        self.imm(X17, by);
        match width {
            Width::W32 => {
                if by <= i32::MAX as u64 {
                    asm!(self; smull x16, W(a), w17);
                } else {
                    asm!(self; sxtw x16, W(a); mul x16, x16, x17);
                }
                asm!(self; asr x16, x16, shift; add W(q), w16, W(a), lsr 31);
            }
            Width::W64 => {
                asm!(self; smulh x16, X(a), x17);
                if by > i64::MAX as u64 {
                    // It was taken for 2^64 less than it is.
                    asm!(self; add x16, x16, X(a));
                }
                asm!(self; asr x16, x16, shift - 64; add X(q), x16, X(a), lsr 63);
            }
        }
    }
}
