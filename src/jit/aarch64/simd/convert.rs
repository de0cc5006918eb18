//! Conversions between shapes. The instructions saturate and take NaN for 0, as the operators do.

use super::encode::{Op, log2, ops};
use crate::jit::aarch64::{Assembler, V31};
use crate::jit::lanes::{Half, LaneUnOp, Shape, Sign};

ops! {
    SQXTN 0x4e21_4800;
    SQXTUN 0x6e21_2800;
    UQXTN 0x6e21_4800;
    SXTL 0x4f00_a400;
    UXTL 0x6f00_a400;
    SCVTF 0x4e21_d800;
    UCVTF 0x6e21_d800;
    FCVTZS 0x4ea1_b800;
    FCVTZU 0x6ea1_b800;
    FCVTN 0x4e61_6800;
    FCVTL 0x4e61_7800;
}

impl Assembler {
    pub(super) fn narrow(&mut self, sign: Sign, shape: Shape, d: u8, a: u8, b: u8) {
        let op = if sign == Sign::S { SQXTN } else { SQXTUN }.of(shape);
        // The first writes the lower half and zeroes the upper, which the second writes.
        let low = if d == b { V31 } else { d };
        self.packed_unary(op.half(), low, a);
        self.packed_unary(op, low, b);
        self.copy(d, low);
    }

    pub(in crate::jit::aarch64) fn extend(&mut self, half: Half, sign: Sign, shape: Shape, d: u8, s: u8) {
        let op = if sign == Sign::S { SXTL } else { UXTL };
        let op = if half == Half::Low { op.half() } else { op };
        // The size of what is extended is a shift by as much, less nothing.
        self.packed_imm(op, d, s, 8 << (log2(shape) - 1));
    }

    pub(super) fn lanes_convert(&mut self, op: LaneUnOp, shape: Shape, d: u8, s: u8) {
        match (op, shape) {
            (LaneUnOp::Convert(sign), Shape::F32x4) => self.packed_unary(to_float(sign), d, s),
            (LaneUnOp::Convert(sign), _) => {
                self.extend(Half::Low, sign, Shape::I64x2, d, s);
                self.packed_unary(to_float(sign).size(1), d, d);
            }
            (LaneUnOp::TruncSat(Sign::S), _) => self.packed_unary(FCVTZS, d, s),
            (LaneUnOp::TruncSat(Sign::U), _) => self.packed_unary(FCVTZU, d, s),
            (LaneUnOp::TruncSatZero(Sign::S), _) => {
                self.packed_unary(FCVTZS.size(1), d, s);
                self.packed_unary(SQXTN.size(2).half(), d, d);
            }
            (LaneUnOp::TruncSatZero(Sign::U), _) => {
                self.packed_unary(FCVTZU.size(1), d, s);
                self.packed_unary(UQXTN.size(2).half(), d, d);
            }
            (LaneUnOp::Demote, _) => self.packed_unary(FCVTN.half(), d, s),
            (LaneUnOp::Promote, _) => self.packed_unary(FCVTL.half(), d, s),
            _ => unreachable!("{op:?} is no conversion"),
        }
    }
}

fn to_float(sign: Sign) -> Op {
    if sign == Sign::S { SCVTF } else { UCVTF }
}
