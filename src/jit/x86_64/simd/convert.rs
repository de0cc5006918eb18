//! Conversions between shapes.

use super::arith::{
    ADDPD, ADDPS, ANDPS, CMPPD, CMPPS, MAXPD, MAXPS, MINPD, PADDD, PMAXSD, PSUBD, RIGHT, RIGHT_SIGNED, SHIFT_D, SUBPD,
    SUBPS, by_integer,
};
use super::encode::ops;
use super::shuffle::{PBLENDW, SHUFPS};
use super::{Assembler, PAND, PSHUFD, PXOR, X15};
use crate::jit::lanes::{Half, LaneUnOp, Shape, Sign};
use crate::jit::x86_64::X14;

ops! {
    PACKSSWB 0x66 0x0f 0x63;
    PACKUSWB 0x66 0x0f 0x67;
    PACKSSDW 0x66 0x0f 0x6b;
    PACKUSDW 0x66 0x0f38 0x2b;
    PMOVSXBW 0x66 0x0f38 0x20;
    PMOVSXWD 0x66 0x0f38 0x23;
    PMOVSXDQ 0x66 0x0f38 0x25;
    PMOVZXBW 0x66 0x0f38 0x30;
    PMOVZXWD 0x66 0x0f38 0x33;
    PMOVZXDQ 0x66 0x0f38 0x35;
    PUNPCKLDQ 0x66 0x0f 0x62;
    CVTDQ2PS 0x00 0x0f 0x5b;
    CVTDQ2PD 0xf3 0x0f 0xe6;
    CVTTPS2DQ 0xf3 0x0f 0x5b;
    CVTTPD2DQ 0x66 0x0f 0xe6;
    CVTPD2PS 0x66 0x0f 0x5a;
    CVTPS2PD 0x00 0x0f 0x5a;
}

/// Predicates of float comparisons.
const EQUAL: u8 = 0;
const LESS_OR_EQUAL: u8 = 2;

impl Assembler {
    pub(super) fn narrow(&mut self, sign: Sign, shape: Shape, d: u8, a: u8, b: u8) {
        let op = match (shape, sign) {
            (Shape::I8x16, Sign::S) => PACKSSWB,
            (Shape::I8x16, Sign::U) => PACKUSWB,
            (_, Sign::S) => PACKSSDW,
            (_, Sign::U) => PACKUSDW,
        };
        self.packed(op, d, a, b);
    }

    pub(super) fn extend(&mut self, half: Half, sign: Sign, shape: Shape, d: u8, s: u8) {
        let mut from = s;
        if half == Half::High {
            self.packed_unary_imm(PSHUFD, d, s, 0xee);
            from = d;
        }
        self.packed_unary(extension(sign, shape), d, from);
    }

    pub(super) fn lanes_convert(&mut self, op: LaneUnOp, shape: Shape, d: u8, s: u8) {
        match (op, shape) {
            (LaneUnOp::Convert(Sign::S), Shape::F32x4) => self.packed_unary(CVTDQ2PS, d, s),
            (LaneUnOp::Convert(Sign::S), _) => self.packed_unary(CVTDQ2PD, d, s),
            (LaneUnOp::Convert(Sign::U), Shape::F32x4) => self.convert_unsigned(d, s),
            (LaneUnOp::Convert(Sign::U), _) => self.convert_unsigned_wide(d, s),
            (LaneUnOp::TruncSat(Sign::S), _) => self.trunc_signed(d, s),
            (LaneUnOp::TruncSat(Sign::U), _) => self.trunc_unsigned(d, s),
            (LaneUnOp::TruncSatZero(Sign::S), _) => self.trunc_signed_wide(d, s),
            (LaneUnOp::TruncSatZero(Sign::U), _) => self.trunc_unsigned_wide(d, s),
            (LaneUnOp::RelaxedTrunc, _) => self.packed_unary(CVTTPS2DQ, d, s),
            (LaneUnOp::RelaxedTruncZero, _) => self.packed_unary(CVTTPD2DQ, d, s),
            (LaneUnOp::Demote, _) => self.packed_unary(CVTPD2PS, d, s),
            (LaneUnOp::Promote, _) => self.packed_unary(CVTPS2PD, d, s),
            _ => unreachable!("{op:?} is no conversion"),
        }
    }

    /// The upper and the lower 16 bits, each exact as a float, so that only their sum is rounded. The upper ones
    /// are halved first, which keeps them positive.
    fn convert_unsigned(&mut self, d: u8, s: u8) {
        self.zero(X15);
        self.packed_imm(PBLENDW, X15, X15, s, 0x55);
        self.packed(PSUBD, d, s, X15);
        self.packed_unary(CVTDQ2PS, X15, X15);
        self.packed_shift(SHIFT_D, RIGHT, d, d, 1);
        self.packed_unary(CVTDQ2PS, d, d);
        self.packed(ADDPS, d, d, d);
        self.packed(ADDPS, d, d, X15);
    }

    /// As the low bits of 2^52, which is then taken away.
    fn convert_unsigned_wide(&mut self, d: u8, s: u8) {
        const EXPONENT: u64 = 0x4330_0000;
        self.packed_by_const(PUNPCKLDQ, d, s, Shape::I32x4.splat(EXPONENT));
        self.packed_by_const(SUBPD, d, d, Shape::I64x2.splat(EXPONENT << 32));
    }

    /// NaN becomes 0 first. "Out of range" comes as the minimum; where the source was positive, it is inverted to the maximum.
    fn trunc_signed(&mut self, d: u8, s: u8) {
        self.packed_imm(CMPPS, X15, s, s, EQUAL);
        self.packed(ANDPS, d, s, X15);
        self.packed(PXOR, X15, X15, d);
        self.packed_unary(CVTTPS2DQ, d, d);
        self.packed(PAND, X15, X15, d);
        self.packed_shift(SHIFT_D, RIGHT_SIGNED, X15, X15, 31);
        self.packed(PXOR, d, d, X15);
    }

    /// Negative and NaN become 0. From 2^31 on the conversion gives 2^31, and what is above that is converted by
    /// itself, saturated, and added.
    fn trunc_unsigned(&mut self, d: u8, s: u8) {
        const TWO_TO_31: u64 = 0x4f00_0000;
        self.zero(X15);
        self.packed(MAXPS, X14, s, X15);
        self.copy(d, X14);
        self.packed_const(X15, Shape::F32x4.splat(TWO_TO_31));
        self.packed(SUBPS, X14, X14, X15);
        self.packed_imm(CMPPS, X15, X15, X14, LESS_OR_EQUAL);
        self.packed_unary(CVTTPS2DQ, X14, X14);
        self.packed(PXOR, X14, X14, X15);
        self.zero(X15);
        self.packed(PMAXSD, X14, X14, X15);
        self.packed_unary(CVTTPS2DQ, d, d);
        self.packed(PADDD, d, d, X14);
    }

    /// NaN takes 0 for the maximum, which the machine then prefers to it.
    fn trunc_signed_wide(&mut self, d: u8, s: u8) {
        self.packed_imm(CMPPD, X15, s, s, EQUAL);
        self.packed_by_const(ANDPS, X15, X15, Shape::F64x2.splat(f64::from(i32::MAX).to_bits()));
        self.packed(MINPD, d, s, X15);
        self.packed_unary(CVTTPD2DQ, d, d);
    }

    /// Clamped and rounded, the number is the low half of its sum with 2^52.
    fn trunc_unsigned_wide(&mut self, d: u8, s: u8) {
        const TWO_TO_52: u64 = 0x4330_0000_0000_0000;
        self.zero(X15);
        self.packed(MAXPD, d, s, X15);
        self.packed_by_const(MINPD, d, d, Shape::F64x2.splat(f64::from(u32::MAX).to_bits()));
        self.round_lanes(Shape::F64x2, d, d, 11);
        self.packed_by_const(ADDPD, d, d, Shape::F64x2.splat(TWO_TO_52));
        self.packed_imm(SHUFPS, d, d, X15, 0x88);
    }
}

/// The extension to lanes of a shape.
pub(super) fn extension(sign: Sign, shape: Shape) -> super::encode::Op {
    match sign {
        Sign::S => by_integer(shape, [PMOVSXBW, PMOVSXBW, PMOVSXWD, PMOVSXDQ]),
        Sign::U => by_integer(shape, [PMOVZXBW, PMOVZXBW, PMOVZXWD, PMOVZXDQ]),
    }
}
