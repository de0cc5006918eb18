//! Comparisons of lanes, and questions about whole vectors.

use super::arith::{AND, FCMGT};
use super::encode::ops;
use super::shuffle::{EXT, ZIP1};
use crate::jit::aarch64::{Assembler, V30, V31, X17, asm};
use crate::jit::lanes::{LaneTest, Shape};
use crate::jit::masm::Src;
use crate::jit::ops::{Cond, Width};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

ops! {
    CMEQ 0x6e20_8c00;
    CMGT 0x4e20_3400;
    CMGE 0x4e20_3c00;
    CMHI 0x6e20_3400;
    CMHS 0x6e20_3c00;
    CMEQ_ZERO 0x4e20_9800;
    FCMEQ 0x4e20_e400;
    FCMGE 0x6e20_e400;
    UMAXP 0x6e20_a400;
    SSHR 0x4f00_0400;
    ADDV 0x4e31_b800;
}

impl Assembler {
    pub(super) fn lanes_compare(&mut self, cond: Cond, shape: Shape, d: u8, a: u8, b: u8) {
        let (op, a, b) = match cond {
            Cond::Eq | Cond::Ne => (CMEQ, a, b),
            Cond::GtS => (CMGT, a, b),
            Cond::LtS => (CMGT, b, a),
            Cond::GeS => (CMGE, a, b),
            Cond::LeS => (CMGE, b, a),
            Cond::GtU => (CMHI, a, b),
            Cond::LtU => (CMHI, b, a),
            Cond::GeU => (CMHS, a, b),
            Cond::LeU => (CMHS, b, a),
            Cond::FGt => (FCMGT, a, b),
            Cond::FLt => (FCMGT, b, a),
            Cond::FGe => (FCMGE, a, b),
            Cond::FLe => (FCMGE, b, a),
            _ => (FCMEQ, a, b),
        };
        self.packed(op.of(shape), d, a, b);
        if matches!(cond, Cond::Ne | Cond::FNe) {
            self.invert(d);
        }
    }

    pub(in crate::jit::aarch64) fn lanes_test_impl(&mut self, test: LaneTest, shape: Shape, src: Reg) -> Cond {
        let (s, t) = (src.number(), X17.number());
        // The greater of each pair: what is left in 64 bits is zero if all was.
        let (folded, cond) = match test {
            LaneTest::AnyTrue => (s, Cond::Ne),
            LaneTest::AllTrue => {
                self.packed_unary(CMEQ_ZERO.of(shape), V31, s);
                (V31, Cond::Eq)
            }
        };
        self.packed(UMAXP.size(2), V31, folded, folded);
        asm!(self; fmov X(t), D(V31));
        self.compare_impl(Width::W64, Src::Reg(X17), Src::Imm(0));
        cond
    }

    /// Each lane gets a bit of its own where it is negative, and these are added up.
    pub(in crate::jit::aarch64) fn bitmask_impl(&mut self, shape: Shape, dst: Reg, src: Reg) {
        const BYTES: u128 = 0x8040_2010_0804_0201_8040_2010_0804_0201;
        const WORDS: u128 = 0x0080_0040_0020_0010_0008_0004_0002_0001;
        const DOUBLES: u128 = 0x0000_0008_0000_0004_0000_0002_0000_0001;
        let (d, s, t) = (dst.number(), src.number(), X17.number());
        match shape {
            Shape::I8x16 => {
                self.negative_bits(shape, s, BYTES);
                // The upper eight beside the lower ones, so that a sum of words has both.
                self.packed(super::encode::Op(EXT.0 | 8 << 11), V30, V31, V31);
                self.packed(ZIP1.size(0), V31, V31, V30);
                self.packed_unary(ADDV.size(1), V31, V31);
            }
            Shape::I16x8 => {
                self.negative_bits(shape, s, WORDS);
                self.packed_unary(ADDV.size(1), V31, V31);
            }
            Shape::I32x4 | Shape::F32x4 => {
                self.negative_bits(shape, s, DOUBLES);
                self.packed_unary(ADDV.size(2), V31, V31);
            }
            Shape::I64x2 | Shape::F64x2 => {
                asm!(self; mov X(t), V(s).d[1]; fmov X(d), D(s); lsr X(t), X(t), 63; lsr X(d), X(d), 63);
                return asm!(self; add X(d), X(d), X(t), lsl 1);
            }
        }
        asm!(self; fmov W(d), S(V31));
    }

    /// V31 = the bits of the lanes that are negative.
    fn negative_bits(&mut self, shape: Shape, s: u8, bits: u128) {
        self.packed_imm(SSHR, V31, s, shape.bits() + 1);
        self.packed_const(V30, bits);
        self.packed(AND, V31, V31, V30);
    }
}
