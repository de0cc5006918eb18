//! Comparisons of lanes, and questions about whole vectors.

use super::arith::{
    CMPPD, CMPPS, PCMPEQW, PMAXSB, PMAXSD, PMAXSW, PMAXUB, PMAXUD, PMAXUW, PMINSB, PMINSD, PMINSW, PMINUB, PMINUD,
    PMINUW, PSUBQ, RIGHT_SIGNED, SHIFT_D, by_float, by_integer,
};
use super::convert::PACKSSWB;
use super::encode::ops;
use super::{Assembler, PAND, PCMPEQD, POR, PSHUFD, X15};
use crate::jit::lanes::{LaneTest, Shape, Sign};
use crate::jit::ops::Cond;
use crate::jit::reg::Reg;
use crate::jit::x86_64::{X14, asm};
use dynasmrt::DynasmApi;

ops! {
    PCMPEQB 0x66 0x0f 0x74;
    PCMPEQQ 0x66 0x0f38 0x29;
    PCMPGTB 0x66 0x0f 0x64;
    PCMPGTW 0x66 0x0f 0x65;
    PCMPGTD 0x66 0x0f 0x66;
    PCMPGTQ 0x66 0x0f38 0x37;
    PTEST 0x66 0x0f38 0x17;
    PMOVMSKB 0x66 0x0f 0xd7;
    MOVMSKPS 0x00 0x0f 0x50;
    MOVMSKPD 0x66 0x0f 0x50;
}

impl Assembler {
    pub(super) fn lanes_compare(&mut self, cond: Cond, shape: Shape, d: u8, a: u8, b: u8) {
        match cond {
            Cond::Eq => self.equal(shape, d, a, b),
            Cond::Ne => {
                self.equal(shape, d, a, b);
                self.invert(d, d);
            }
            Cond::GtS => self.greater(shape, d, a, b),
            Cond::LtS => self.greater(shape, d, b, a),
            Cond::LeS | Cond::GeS if shape == Shape::I64x2 => {
                let (a, b) = if cond == Cond::LeS { (a, b) } else { (b, a) };
                self.greater(shape, d, a, b);
                self.invert(d, d);
            }
            Cond::LeS => self.at_most(Sign::S, shape, d, a, b),
            Cond::LeU => self.at_most(Sign::U, shape, d, a, b),
            Cond::GeS => self.at_least(Sign::S, shape, d, a, b),
            Cond::GeU => self.at_least(Sign::U, shape, d, a, b),
            Cond::GtU => {
                self.at_most(Sign::U, shape, d, a, b);
                self.invert(d, d);
            }
            Cond::LtU => {
                self.at_least(Sign::U, shape, d, a, b);
                self.invert(d, d);
            }
            float => self.compare_float_lanes(float, shape, d, a, b),
        }
    }

    fn equal(&mut self, shape: Shape, d: u8, a: u8, b: u8) {
        self.packed(by_integer(shape, [PCMPEQB, PCMPEQW, PCMPEQD, PCMPEQQ]), d, a, b);
    }

    fn greater(&mut self, shape: Shape, d: u8, a: u8, b: u8) {
        if shape == Shape::I64x2 && !self.features.avx {
            return self.greater_quads(d, a, b);
        }
        self.packed(by_integer(shape, [PCMPGTB, PCMPGTW, PCMPGTD, PCMPGTQ]), d, a, b);
    }

    /// SSE4.1 does not compare 64 bits: the upper halves decide, and where they are equal, the sign of the difference.
    fn greater_quads(&mut self, d: u8, a: u8, b: u8) {
        self.packed(PCMPEQD, X14, a, b);
        self.packed(PSUBQ, X15, b, a);
        self.packed(PAND, X14, X14, X15);
        self.packed(PCMPGTD, X15, a, b);
        self.packed(POR, X14, X14, X15);
        self.packed_shift(SHIFT_D, RIGHT_SIGNED, X14, X14, 31);
        self.packed_unary_imm(PSHUFD, d, X14, 0xf5);
    }

    /// Where the lesser of the two is `a`.
    fn at_most(&mut self, sign: Sign, shape: Shape, d: u8, a: u8, b: u8) {
        let least = match sign {
            Sign::S => [PMINSB, PMINSW, PMINSD, PMINSD],
            Sign::U => [PMINUB, PMINUW, PMINUD, PMINUD],
        };
        self.packed(by_integer(shape, least), X15, a, b);
        self.equal(shape, d, a, X15);
    }

    /// Where the greater of the two is `a`.
    fn at_least(&mut self, sign: Sign, shape: Shape, d: u8, a: u8, b: u8) {
        let greatest = match sign {
            Sign::S => [PMAXSB, PMAXSW, PMAXSD, PMAXSD],
            Sign::U => [PMAXUB, PMAXUW, PMAXUD, PMAXUD],
        };
        self.packed(by_integer(shape, greatest), X15, a, b);
        self.equal(shape, d, a, X15);
    }

    fn compare_float_lanes(&mut self, cond: Cond, shape: Shape, d: u8, a: u8, b: u8) {
        const EQUAL: u8 = 0;
        const LESS: u8 = 1;
        const LESS_OR_EQUAL: u8 = 2;
        const NOT_EQUAL: u8 = 4;
        let (predicate, a, b) = match cond {
            Cond::FEq => (EQUAL, a, b),
            Cond::FNe => (NOT_EQUAL, a, b),
            Cond::FLt => (LESS, a, b),
            Cond::FLe => (LESS_OR_EQUAL, a, b),
            Cond::FGt => (LESS, b, a),
            _ => (LESS_OR_EQUAL, b, a),
        };
        self.packed_imm(by_float(shape, CMPPS, CMPPD), d, a, b, predicate);
    }

    pub(in crate::jit::x86_64) fn lanes_test_impl(&mut self, test: LaneTest, shape: Shape, src: Reg) -> Cond {
        let s = src.number();
        match test {
            LaneTest::AnyTrue => {
                self.packed_unary(PTEST, s, s);
                Cond::Ne
            }
            LaneTest::AllTrue => {
                self.zero(X15);
                self.equal(shape, X15, X15, s);
                self.packed_unary(PTEST, X15, X15);
                Cond::Eq
            }
        }
    }

    pub(in crate::jit::x86_64) fn bitmask_impl(&mut self, shape: Shape, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match shape {
            Shape::I8x16 => self.packed_unary(PMOVMSKB, d, s),
            Shape::I16x8 => {
                self.packed(PACKSSWB, X15, s, s);
                self.packed_unary(PMOVMSKB, d, X15);
                asm!(self; movzx Rd(d), Rb(d));
            }
            Shape::I32x4 | Shape::F32x4 => self.packed_unary(MOVMSKPS, d, s),
            Shape::I64x2 | Shape::F64x2 => self.packed_unary(MOVMSKPD, d, s),
        }
    }
}
