//! Arithmetic of integer and float lanes.

use super::encode::{Op, log2, ops};
use crate::jit::aarch64::{Assembler, V29, V30, V31};
use crate::jit::lanes::{Half, LaneOp, LaneUnOp, Shape, Sign};

ops! {
    AND 0x4e20_1c00;
    BIC 0x4e60_1c00;
    ORR 0x4ea0_1c00;
    EOR 0x6e20_1c00;
    ADD 0x4e20_8400;
    SUB 0x6e20_8400;
    MUL 0x4e20_9c00;
    SQADD 0x4e20_0c00;
    UQADD 0x6e20_0c00;
    SQSUB 0x4e20_2c00;
    UQSUB 0x6e20_2c00;
    SMIN 0x4e20_6c00;
    UMIN 0x6e20_6c00;
    SMAX 0x4e20_6400;
    UMAX 0x6e20_6400;
    URHADD 0x6e20_1400;
    SQRDMULH 0x6e20_b400;
    ADDP 0x4e20_bc00;
    SMULL 0x4e20_c000;
    UMULL 0x6e20_c000;
    UMLAL 0x6e20_8000;
    SADDLP 0x4e20_2800;
    UADDLP 0x6e20_2800;
    XTN 0x4e21_2800;
    REV64 0x4e20_0800;
    ABS 0x4e20_b800;
    NEG 0x6e20_b800;
    CNT 0x4e20_5800;
    FADD 0x4e20_d400;
    FSUB 0x4ea0_d400;
    FMUL 0x6e20_dc00;
    FDIV 0x6e20_fc00;
    FMIN 0x4ea0_f400;
    FMAX 0x4e20_f400;
    FMLA 0x4e20_cc00;
    FMLS 0x4ea0_cc00;
    FCMGT 0x6ea0_e400;
    FABS 0x4ea0_f800;
    FNEG 0x6ea0_f800;
    FSQRT 0x6ea1_f800;
    FRINTN 0x4e21_8800;
    FRINTM 0x4e21_9800;
    FRINTP 0x4ea1_8800;
    FRINTZ 0x4ea1_9800;
    SHL 0x4f00_5400;
}

/// Lanes of half the size.
const fn narrower(shape: Shape) -> u32 {
    log2(shape) - 1
}

/// The one instruction for the operator and shape, if there is one.
fn single(op: LaneOp, shape: Shape) -> Option<Op> {
    use Shape::{F32x4, F64x2, I64x2};
    use Sign::{S, U};
    let float = matches!(shape, F32x4 | F64x2);
    Some(match op {
        LaneOp::And => AND,
        LaneOp::AndNot => BIC,
        LaneOp::Or => ORR,
        LaneOp::Xor => EOR,
        LaneOp::Add if float => FADD.of(shape),
        LaneOp::Sub if float => FSUB.of(shape),
        LaneOp::Mul if float => FMUL.of(shape),
        LaneOp::Add => ADD.of(shape),
        LaneOp::Sub => SUB.of(shape),
        LaneOp::Mul if shape != I64x2 => MUL.of(shape),
        LaneOp::AddSat(S) => SQADD.of(shape),
        LaneOp::AddSat(U) => UQADD.of(shape),
        LaneOp::SubSat(S) => SQSUB.of(shape),
        LaneOp::SubSat(U) => UQSUB.of(shape),
        LaneOp::LeastOf(S) => SMIN.of(shape),
        LaneOp::LeastOf(U) => UMIN.of(shape),
        LaneOp::GreatestOf(S) => SMAX.of(shape),
        LaneOp::GreatestOf(U) => UMAX.of(shape),
        LaneOp::Average => URHADD.of(shape),
        LaneOp::Q15Mul => SQRDMULH.of(shape),
        LaneOp::Div => FDIV.of(shape),
        LaneOp::Min => FMIN.of(shape),
        LaneOp::Max => FMAX.of(shape),
        LaneOp::ExtMul(half, sign) => {
            let op = if sign == S { SMULL } else { UMULL }.size(narrower(shape));
            if half == Half::Low { op.half() } else { op }
        }
        _ => return None,
    })
}

impl Assembler {
    pub(super) fn lanes_arith(&mut self, op: LaneOp, shape: Shape, d: u8, a: u8, b: u8) {
        if let Some(instruction) = single(op, shape) {
            return self.packed(instruction, d, a, b);
        }
        match op {
            LaneOp::PseudoMin => {
                self.packed(FCMGT.of(shape), V31, a, b);
                self.select_by_own(d, b, a);
            }
            LaneOp::PseudoMax => {
                self.packed(FCMGT.of(shape), V31, b, a);
                self.select_by_own(d, b, a);
            }
            LaneOp::Dot => {
                self.packed(SMULL.size(narrower(shape)).half(), V30, a, b);
                self.packed(SMULL.size(narrower(shape)), V31, a, b);
                self.packed(ADDP.of(shape), d, V30, V31);
            }
            LaneOp::Mul => self.mul_quads(d, a, b),
            _ => unreachable!("{op:?} of {shape:?} is no operator"),
        }
    }

    /// The machine's form overwrites the addend.
    pub(in crate::jit::aarch64) fn fused_multiply_add_impl(
        &mut self,
        shape: Shape,
        negated: bool,
        d: u8,
        (a, b, addend): (u8, u8, u8),
    ) {
        let op = if negated { FMLS } else { FMLA }.of(shape);
        let onto = if d == addend || d != a && d != b { d } else { V31 };
        self.copy(onto, addend);
        self.packed(op, onto, a, b);
        self.copy(d, onto);
    }

    /// From the three products of halves that reach into the lower 64 bits.
    fn mul_quads(&mut self, d: u8, a: u8, b: u8) {
        self.packed_unary(REV64.size(2), V31, b);
        self.packed(MUL.size(2), V31, V31, a);
        self.packed_unary(UADDLP.size(2), V31, V31);
        self.packed_imm(SHL, V31, V31, 64 + 32);
        self.packed_unary(XTN.size(2).half(), V30, a);
        self.packed_unary(XTN.size(2).half(), V29, b);
        self.packed(UMLAL.size(2).half(), V31, V30, V29);
        self.copy(d, V31);
    }

    pub(super) fn lanes_arith_unary(&mut self, op: LaneUnOp, shape: Shape, d: u8, s: u8) {
        let float = matches!(shape, Shape::F32x4 | Shape::F64x2);
        let instruction = match op {
            LaneUnOp::Not => super::NOT,
            LaneUnOp::Abs if float => FABS.of(shape),
            LaneUnOp::Neg if float => FNEG.of(shape),
            LaneUnOp::Abs => ABS.of(shape),
            LaneUnOp::Neg => NEG.of(shape),
            LaneUnOp::Popcnt => CNT,
            LaneUnOp::Sqrt => FSQRT.of(shape),
            LaneUnOp::Nearest => FRINTN.of(shape),
            LaneUnOp::Floor => FRINTM.of(shape),
            LaneUnOp::Ceil => FRINTP.of(shape),
            LaneUnOp::Trunc => FRINTZ.of(shape),
            LaneUnOp::ExtAddPairwise(Sign::S) => SADDLP.size(narrower(shape)),
            LaneUnOp::ExtAddPairwise(Sign::U) => UADDLP.size(narrower(shape)),
            _ => unreachable!("{op:?} is a conversion"),
        };
        self.packed_unary(instruction, d, s);
    }
}
