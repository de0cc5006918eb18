//! Arithmetic of integer and float lanes.

use super::encode::{Op, Rm, ops};
use super::{Assembler, PAND, PANDN, POR, PSHUFB, PSHUFD, PXOR, X15};
use crate::jit::lanes::{Half, LaneOp, LaneUnOp, Shape, Sign};
use crate::jit::masm::Src;
use crate::jit::x86_64::X14;

ops! {
    PADDB 0x66 0x0f 0xfc;
    PADDW 0x66 0x0f 0xfd;
    PADDD 0x66 0x0f 0xfe;
    PADDQ 0x66 0x0f 0xd4;
    PSUBB 0x66 0x0f 0xf8;
    PSUBW 0x66 0x0f 0xf9;
    PSUBD 0x66 0x0f 0xfa;
    PSUBQ 0x66 0x0f 0xfb;
    PADDSB 0x66 0x0f 0xec;
    PADDSW 0x66 0x0f 0xed;
    PADDUSB 0x66 0x0f 0xdc;
    PADDUSW 0x66 0x0f 0xdd;
    PSUBSB 0x66 0x0f 0xe8;
    PSUBSW 0x66 0x0f 0xe9;
    PSUBUSB 0x66 0x0f 0xd8;
    PSUBUSW 0x66 0x0f 0xd9;
    PMINSB 0x66 0x0f38 0x38;
    PMINSW 0x66 0x0f 0xea;
    PMINSD 0x66 0x0f38 0x39;
    PMINUB 0x66 0x0f 0xda;
    PMINUW 0x66 0x0f38 0x3a;
    PMINUD 0x66 0x0f38 0x3b;
    PMAXSB 0x66 0x0f38 0x3c;
    PMAXSW 0x66 0x0f 0xee;
    PMAXSD 0x66 0x0f38 0x3d;
    PMAXUB 0x66 0x0f 0xde;
    PMAXUW 0x66 0x0f38 0x3e;
    PMAXUD 0x66 0x0f38 0x3f;
    PAVGB 0x66 0x0f 0xe0;
    PAVGW 0x66 0x0f 0xe3;
    PABSB 0x66 0x0f38 0x1c;
    PABSW 0x66 0x0f38 0x1d;
    PABSD 0x66 0x0f38 0x1e;
    PMULLW 0x66 0x0f 0xd5;
    PMULHW 0x66 0x0f 0xe5;
    PMULHUW 0x66 0x0f 0xe4;
    PMULLD 0x66 0x0f38 0x40;
    PMULDQ 0x66 0x0f38 0x28;
    PMULUDQ 0x66 0x0f 0xf4;
    PMULHRSW 0x66 0x0f38 0x0b;
    PMADDWD 0x66 0x0f 0xf5;
    PMADDUBSW 0x66 0x0f38 0x04;
    PCMPEQW 0x66 0x0f 0x75;
    PUNPCKLWD 0x66 0x0f 0x61;
    PUNPCKHWD 0x66 0x0f 0x69;
    SHIFT_W 0x66 0x0f 0x71;
    SHIFT_D 0x66 0x0f 0x72;
    SHIFT_Q 0x66 0x0f 0x73;
    ADDPS 0x00 0x0f 0x58;
    ADDPD 0x66 0x0f 0x58;
    MULPS 0x00 0x0f 0x59;
    MULPD 0x66 0x0f 0x59;
    SUBPS 0x00 0x0f 0x5c;
    SUBPD 0x66 0x0f 0x5c;
    MINPS 0x00 0x0f 0x5d;
    MINPD 0x66 0x0f 0x5d;
    DIVPS 0x00 0x0f 0x5e;
    DIVPD 0x66 0x0f 0x5e;
    MAXPS 0x00 0x0f 0x5f;
    MAXPD 0x66 0x0f 0x5f;
    SQRTPS 0x00 0x0f 0x51;
    SQRTPD 0x66 0x0f 0x51;
    ANDPS 0x00 0x0f 0x54;
    ANDNPS 0x00 0x0f 0x55;
    ORPS 0x00 0x0f 0x56;
    XORPS 0x00 0x0f 0x57;
    CMPPS 0x00 0x0f 0xc2;
    CMPPD 0x66 0x0f 0xc2;
    ROUNDPS 0x66 0x0f3a 0x08;
    ROUNDPD 0x66 0x0f3a 0x09;
    VFMADD213PS 0x66 0x0f38 0xa8;
    VFMADD213PD 0x66 0x0f38 0xa8 w;
    VFNMADD213PS 0x66 0x0f38 0xac;
    VFNMADD213PD 0x66 0x0f38 0xac w;
    VFMADD231PS 0x66 0x0f38 0xb8;
    VFMADD231PD 0x66 0x0f38 0xb8 w;
    VFNMADD231PS 0x66 0x0f38 0xbc;
    VFNMADD231PD 0x66 0x0f38 0xbc w;
}

/// The extensions of the shifts' opcodes.
pub(super) const RIGHT: u8 = 2;
pub(super) const RIGHT_SIGNED: u8 = 4;
pub(super) const LEFT: u8 = 6;

/// The comparison of floats that finds NaN.
const UNORDERED: u8 = 3;

/// The one instruction for each shape that has one.
fn single(op: LaneOp, shape: Shape) -> Option<Op> {
    use Shape::{F32x4, F64x2, I8x16, I16x8, I32x4, I64x2};
    use Sign::{S, U};
    Some(match (op, shape) {
        (LaneOp::And, _) => PAND,
        (LaneOp::Or, _) => POR,
        (LaneOp::Xor, _) => PXOR,
        (LaneOp::Add, I8x16) => PADDB,
        (LaneOp::Add, I16x8) => PADDW,
        (LaneOp::Add, I32x4) => PADDD,
        (LaneOp::Add, I64x2) => PADDQ,
        (LaneOp::Add, F32x4) => ADDPS,
        (LaneOp::Add, F64x2) => ADDPD,
        (LaneOp::Sub, I8x16) => PSUBB,
        (LaneOp::Sub, I16x8) => PSUBW,
        (LaneOp::Sub, I32x4) => PSUBD,
        (LaneOp::Sub, I64x2) => PSUBQ,
        (LaneOp::Sub, F32x4) => SUBPS,
        (LaneOp::Sub, F64x2) => SUBPD,
        (LaneOp::Mul, I16x8) => PMULLW,
        (LaneOp::Mul, I32x4) => PMULLD,
        (LaneOp::Mul, F32x4) => MULPS,
        (LaneOp::Mul, F64x2) => MULPD,
        (LaneOp::Div, F32x4) => DIVPS,
        (LaneOp::Div, F64x2) => DIVPD,
        (LaneOp::AddSat(S), I8x16) => PADDSB,
        (LaneOp::AddSat(S), I16x8) => PADDSW,
        (LaneOp::AddSat(U), I8x16) => PADDUSB,
        (LaneOp::AddSat(U), I16x8) => PADDUSW,
        (LaneOp::SubSat(S), I8x16) => PSUBSB,
        (LaneOp::SubSat(S), I16x8) => PSUBSW,
        (LaneOp::SubSat(U), I8x16) => PSUBUSB,
        (LaneOp::SubSat(U), I16x8) => PSUBUSW,
        (LaneOp::LeastOf(S), I8x16) => PMINSB,
        (LaneOp::LeastOf(S), I16x8) => PMINSW,
        (LaneOp::LeastOf(S), I32x4) => PMINSD,
        (LaneOp::LeastOf(U), I8x16) => PMINUB,
        (LaneOp::LeastOf(U), I16x8) => PMINUW,
        (LaneOp::LeastOf(U), I32x4) => PMINUD,
        (LaneOp::GreatestOf(S), I8x16) => PMAXSB,
        (LaneOp::GreatestOf(S), I16x8) => PMAXSW,
        (LaneOp::GreatestOf(S), I32x4) => PMAXSD,
        (LaneOp::GreatestOf(U), I8x16) => PMAXUB,
        (LaneOp::GreatestOf(U), I16x8) => PMAXUW,
        (LaneOp::GreatestOf(U), I32x4) => PMAXUD,
        (LaneOp::Average, I8x16) => PAVGB,
        (LaneOp::Average, I16x8) => PAVGW,
        (LaneOp::Dot, I32x4) => PMADDWD,
        (LaneOp::RelaxedQ15Mul, _) => PMULHRSW,
        (LaneOp::RelaxedMin, F32x4) => MINPS,
        (LaneOp::RelaxedMin, F64x2) => MINPD,
        (LaneOp::RelaxedMax, F32x4) => MAXPS,
        (LaneOp::RelaxedMax, F64x2) => MAXPD,
        _ => return None,
    })
}

impl Assembler {
    /// Where one instruction does it. Without AVX an operand in memory has to be aligned, as constants are and slots need not be.
    pub(in crate::jit::x86_64) fn takes_impl(&self, op: LaneOp, shape: Shape, rhs: Src) -> bool {
        single(op, shape).is_some() && (self.features.avx || matches!(rhs, Src::Imm(_)))
    }

    /// With the right operand in memory.
    pub(super) fn lanes_from_memory(&mut self, op: LaneOp, shape: Shape, d: u8, a: u8, rhs: Rm) {
        match single(op, shape) {
            Some(instruction) => self.three(instruction, d, a, rhs, None),
            None => unreachable!("{op:?} takes nothing from memory"),
        }
    }

    pub(super) fn lanes_arith(&mut self, op: LaneOp, shape: Shape, d: u8, a: u8, b: u8) {
        if let Some(instruction) = single(op, shape) {
            return self.packed(instruction, d, a, b);
        }
        match op {
            LaneOp::AndNot => self.packed(PANDN, d, b, a),
            LaneOp::Min => self.float_min(shape, d, a, b),
            LaneOp::Max => self.float_max(shape, d, a, b),
            // The machine gives the second operand for NaN and for two zeros, as these do with their first.
            LaneOp::PseudoMin => self.packed(by_float(shape, MINPS, MINPD), d, b, a),
            LaneOp::PseudoMax => self.packed(by_float(shape, MAXPS, MAXPD), d, b, a),
            LaneOp::Q15Mul => self.q15_mul(d, a, b),
            LaneOp::ExtMul(half, sign) => self.ext_mul(half, sign, shape, d, a, b),
            LaneOp::Dot => self.dot_bytes(d, a, b),
            // The machine's first operand is the unsigned one.
            LaneOp::RelaxedDot => self.packed(PMADDUBSW, d, b, a),
            LaneOp::Mul => self.mul_quads(d, a, b),
            _ => unreachable!("{op:?} of {shape:?} is no operator"),
        }
    }

    /// From the three products of halves that reach into the lower 64 bits.
    fn mul_quads(&mut self, d: u8, a: u8, b: u8) {
        self.packed_shift(SHIFT_Q, RIGHT, X14, a, 32);
        self.packed(PMULUDQ, X14, X14, b);
        self.packed_shift(SHIFT_Q, RIGHT, X15, b, 32);
        self.packed(PMULUDQ, X15, X15, a);
        self.packed(PADDQ, X15, X15, X14);
        self.packed_shift(SHIFT_Q, LEFT, X15, X15, 32);
        self.packed(PMULUDQ, d, a, b);
        self.packed(PADDQ, d, d, X15);
    }

    /// Each form overwrites one of its operands: the addend, or a factor.
    pub(in crate::jit::x86_64) fn fused_multiply_add_impl(
        &mut self,
        shape: Shape,
        negated: bool,
        d: u8,
        (a, b, addend): (u8, u8, u8),
    ) {
        let [onto_addend, onto_factor] = match (shape, negated) {
            (Shape::F32x4, false) => [VFMADD231PS, VFMADD213PS],
            (Shape::F32x4, true) => [VFNMADD231PS, VFNMADD213PS],
            (_, false) => [VFMADD231PD, VFMADD213PD],
            (_, true) => [VFNMADD231PD, VFNMADD213PD],
        };
        match d {
            _ if d == addend => self.packed(onto_addend, d, a, b),
            _ if d == a => self.packed(onto_factor, d, b, addend),
            _ if d == b => self.packed(onto_factor, d, a, addend),
            _ => {
                self.copy(d, addend);
                self.packed(onto_addend, d, a, b);
            }
        }
    }

    /// The one product that is out of range, of -1 and -1, wraps to the minimum: inverted, it is the maximum.
    fn q15_mul(&mut self, d: u8, a: u8, b: u8) {
        self.packed(PMULHRSW, X14, a, b);
        self.packed_by_const(PCMPEQW, X15, X14, Shape::I16x8.splat(0x8000));
        self.packed(PXOR, d, X14, X15);
    }

    fn ext_mul(&mut self, half: Half, sign: Sign, shape: Shape, d: u8, a: u8, b: u8) {
        match shape {
            Shape::I16x8 => {
                self.extend(half, sign, shape, X15, a);
                self.extend(half, sign, shape, X14, b);
                self.packed(PMULLW, d, X15, X14);
            }
            Shape::I32x4 => {
                self.packed(PMULLW, X15, a, b);
                self.packed(if sign == Sign::S { PMULHW } else { PMULHUW }, X14, a, b);
                self.packed(if half == Half::Low { PUNPCKLWD } else { PUNPCKHWD }, d, X15, X14);
            }
            _ => {
                // Each source lane twice: the multiplication takes the lower of each pair.
                let order = if half == Half::Low { 0x50 } else { 0xfa };
                self.packed_unary_imm(PSHUFD, X15, a, order);
                self.packed_unary_imm(PSHUFD, X14, b, order);
                self.packed(if sign == Sign::S { PMULDQ } else { PMULUDQ }, d, X15, X14);
            }
        }
    }

    /// Products of the odd bytes and of the even ones, as words.
    fn dot_bytes(&mut self, d: u8, a: u8, b: u8) {
        self.packed_shift(SHIFT_W, RIGHT_SIGNED, X15, a, 8);
        self.packed_shift(SHIFT_W, RIGHT_SIGNED, X14, b, 8);
        self.packed(PMULLW, X15, X15, X14);
        self.packed_shift(SHIFT_W, LEFT, X14, a, 8);
        self.packed_shift(SHIFT_W, RIGHT_SIGNED, X14, X14, 8);
        self.packed_shift(SHIFT_W, LEFT, d, b, 8);
        self.packed_shift(SHIFT_W, RIGHT_SIGNED, d, d, 8);
        self.packed(PMULLW, d, d, X14);
        self.packed(PADDW, d, d, X15);
    }

    /// Asked both ways, since the machine prefers its second operand for NaN and zeros: "or" keeps the sign of
    /// a zero and whatever is NaN.
    fn float_min(&mut self, shape: Shape, d: u8, a: u8, b: u8) {
        let min = by_float(shape, MINPS, MINPD);
        self.packed(min, X15, a, b);
        self.packed(min, X14, b, a);
        self.packed(ORPS, X15, X15, X14);
        self.packed_imm(by_float(shape, CMPPS, CMPPD), X14, X15, X15, UNORDERED);
        self.packed(ORPS, X15, X15, X14);
        self.quiet(shape, d);
    }

    /// Likewise; the difference of the two ways takes a zero's negative sign away.
    fn float_max(&mut self, shape: Shape, d: u8, a: u8, b: u8) {
        let max = by_float(shape, MAXPS, MAXPD);
        self.packed(max, X15, a, b);
        self.packed(max, X14, b, a);
        self.packed(XORPS, X14, X14, X15);
        self.packed(ORPS, X15, X15, X14);
        self.packed(by_float(shape, SUBPS, SUBPD), X15, X15, X14);
        self.packed_imm(by_float(shape, CMPPS, CMPPD), X14, X15, X15, UNORDERED);
        self.quiet(shape, d);
    }

    /// Takes from the NaNs in X15, which X14 marks, all of the payload but its highest bit.
    fn quiet(&mut self, shape: Shape, d: u8) {
        match shape {
            Shape::F32x4 => self.packed_shift(SHIFT_D, RIGHT, X14, X14, 10),
            _ => self.packed_shift(SHIFT_Q, RIGHT, X14, X14, 13),
        }
        self.packed(ANDNPS, d, X14, X15);
    }

    pub(super) fn lanes_arith_unary(&mut self, op: LaneUnOp, shape: Shape, d: u8, s: u8) {
        let float = matches!(shape, Shape::F32x4 | Shape::F64x2);
        let sign = 1 << (shape.bits() - 1);
        match op {
            LaneUnOp::Not => self.invert(d, s),
            LaneUnOp::Abs if float => self.packed_by_const(ANDPS, d, s, shape.splat(!sign)),
            LaneUnOp::Neg if float => self.packed_by_const(XORPS, d, s, shape.splat(sign)),
            LaneUnOp::Abs => self.abs(shape, d, s),
            LaneUnOp::Neg => {
                self.zero(X15);
                self.packed(by_integer(shape, [PSUBB, PSUBW, PSUBD, PSUBQ]), d, X15, s);
            }
            LaneUnOp::Popcnt => self.popcnt(d, s),
            LaneUnOp::Sqrt => self.packed_unary(by_float(shape, SQRTPS, SQRTPD), d, s),
            LaneUnOp::Nearest => self.round_lanes(shape, d, s, 8),
            LaneUnOp::Floor => self.round_lanes(shape, d, s, 9),
            LaneUnOp::Ceil => self.round_lanes(shape, d, s, 10),
            LaneUnOp::Trunc => self.round_lanes(shape, d, s, 11),
            LaneUnOp::ExtAddPairwise(sign) => self.ext_add_pairwise(sign, shape, d, s),
            _ => unreachable!("{op:?} is a conversion"),
        }
    }

    fn abs(&mut self, shape: Shape, d: u8, s: u8) {
        if shape != Shape::I64x2 {
            return self.packed_unary(by_integer(shape, [PABSB, PABSW, PABSD, PABSD]), d, s);
        }
        self.packed_unary_imm(PSHUFD, X15, s, 0xf5);
        self.packed_shift(SHIFT_D, RIGHT_SIGNED, X15, X15, 31);
        self.packed(PXOR, d, s, X15);
        self.packed(PSUBQ, d, d, X15);
    }

    /// By a table of the ones in four bits.
    fn popcnt(&mut self, d: u8, s: u8) {
        const ONES: u128 = 0x0403_0302_0302_0201_0302_0201_0201_0100;
        let low = Shape::I8x16.splat(0x0f);
        self.packed_shift(SHIFT_W, RIGHT, X14, s, 4);
        self.packed_by_const(PAND, X14, X14, low);
        self.packed_by_const(PAND, X15, s, low);
        self.packed_const(d, ONES);
        self.packed(PSHUFB, d, d, X15);
        self.packed_const(X15, ONES);
        self.packed(PSHUFB, X15, X15, X14);
        self.packed(PADDB, d, d, X15);
    }

    /// `mode`: the rounding in the low bits; 8 keeps the inexact exception quiet.
    pub(super) fn round_lanes(&mut self, shape: Shape, d: u8, s: u8, mode: u8) {
        self.packed_unary_imm(by_float(shape, ROUNDPS, ROUNDPD), d, s, mode);
    }

    fn ext_add_pairwise(&mut self, sign: Sign, shape: Shape, d: u8, s: u8) {
        match (shape, sign) {
            // The first factors are unsigned bytes, the second ones signed.
            (Shape::I16x8, Sign::S) => {
                self.packed_const(X15, Shape::I8x16.splat(1));
                self.packed(PMADDUBSW, d, X15, s);
            }
            (Shape::I16x8, Sign::U) => self.packed_by_const(PMADDUBSW, d, s, Shape::I8x16.splat(1)),
            (_, Sign::S) => self.packed_by_const(PMADDWD, d, s, Shape::I16x8.splat(1)),
            // Two words less 0x8000 each, which is given back to their sum.
            (_, Sign::U) => {
                self.packed_by_const(PXOR, d, s, Shape::I16x8.splat(0x8000));
                self.packed_by_const(PMADDWD, d, d, Shape::I16x8.splat(1));
                self.packed_by_const(PADDD, d, d, Shape::I32x4.splat(0x0001_0000));
            }
        }
    }
}

/// The instruction for single or double lanes.
pub(super) fn by_float(shape: Shape, single: Op, double: Op) -> Op {
    if shape == Shape::F32x4 { single } else { double }
}

/// The instruction for lanes of 8, 16, 32 or 64 bits.
pub(super) fn by_integer(shape: Shape, ops: [Op; 4]) -> Op {
    ops[shape.bits().ilog2() as usize - 3]
}
