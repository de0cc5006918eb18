//! Bytes and lanes to other places.

use super::arith::REV64;
use super::encode::{Op, log2, ops};
use crate::jit::aarch64::{Assembler, V29, V30, V31, asm};
use crate::jit::lanes::{Shape, Sign};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

ops! {
    EXT 0x6e00_0000;
    TBL 0x4e00_0000;
    TBL_TWO 0x4e00_2000;
    UZP1 0x4e00_1800;
    UZP2 0x4e00_5800;
    TRN1 0x4e00_2800;
    TRN2 0x4e00_6800;
    ZIP1 0x4e00_3800;
    ZIP2 0x4e00_7800;
    REV32 0x6e20_0800;
    REV16 0x4e20_1800;
    DUP_GENERAL 0x4e00_0c00;
    DUP_LANE 0x4e00_0400;
    DUP_SCALAR 0x5e00_0400;
    INS_GENERAL 0x4e00_1c00;
    INS_LANE 0x6e00_0400;
    UMOV 0x4e00_3c00;
    SMOV 0x4e00_2c00;
}

/// Lane `lane` of the shape, as instructions name it: its number above a one that tells the size.
fn lane_field(shape: Shape, lane: u8) -> u32 {
    (u32::from(lane) << 1 | 1) << log2(shape)
}

/// The instruction that permutes lanes of some size of two sources in a fixed way, if one gives these bytes.
fn fixed(lanes: &[u8; 16]) -> Option<Op> {
    type Source = fn(usize, usize) -> usize;
    /// Which lane of both sources the lane at `i` of `n` is.
    const WAYS: [(Op, Source); 6] = [
        (ZIP1, |i, n| i / 2 + n * (i % 2)),
        (ZIP2, |i, n| n / 2 + i / 2 + n * (i % 2)),
        (UZP1, |i, _| 2 * i),
        (UZP2, |i, _| 2 * i + 1),
        (TRN1, |i, n| i / 2 * 2 + n * (i % 2)),
        (TRN2, |i, n| i / 2 * 2 + 1 + n * (i % 2)),
    ];
    (0..4).find_map(|size| {
        let bytes = 1 << size;
        let matches =
            |way: Source| (0..16).all(|i| usize::from(lanes[i]) == way(i / bytes, 16 / bytes) * bytes + i % bytes);
        WAYS.iter().find(|(_, way)| matches(*way)).map(|(op, _)| op.size(size as u32))
    })
}

/// The instruction that reverses lanes within larger ones of a single source.
fn reversal(lanes: &[u8; 16]) -> Option<Op> {
    [(REV64, 8), (REV32, 4), (REV16, 2)].into_iter().find_map(|(op, within)| {
        (0..3).map(|size| (op.size(size), 1 << size)).find_map(|(op, bytes)| {
            let from = |i: usize| i / within * within + (within - bytes) - (i % within) / bytes * bytes + i % bytes;
            let reversed = bytes < within && (0..16).all(|i| usize::from(lanes[i]) == from(i));
            reversed.then_some(op)
        })
    })
}

/// The lane that all are copies of.
fn duplicate(lanes: &[u8; 16]) -> Option<(Shape, u8)> {
    [Shape::I64x2, Shape::I32x4, Shape::I16x8, Shape::I8x16].into_iter().find_map(|shape| {
        let bytes = shape.bits() as u8 / 8;
        let same = (0u8..16).all(|i| lanes[usize::from(i)] == lanes[0] + i % bytes) && lanes[0].is_multiple_of(bytes);
        same.then_some((shape, lanes[0] / bytes))
    })
}

impl Assembler {
    pub(in crate::jit::aarch64) fn shuffle_impl(&mut self, lanes: [u8; 16], dst: Reg, lhs: Reg, rhs: Reg) {
        let (d, a, b) = (dst.number(), lhs.number(), rhs.number());
        let one_source = |source: u8| lanes.iter().all(|lane| lane / 16 == source);
        if a == b || one_source(0) {
            self.shuffle_one(&lanes.map(|lane| lane % 16), d, a);
        } else if one_source(1) {
            self.shuffle_one(&lanes.map(|lane| lane % 16), d, b);
        } else if !self.shuffle_two(&lanes, d, a, b) && !self.shuffle_two(&lanes.map(|lane| lane ^ 16), d, b, a) {
            // The sources of a lookup in both are neighbours.
            self.packed_const(V29, u128::from_le_bytes(lanes));
            self.copy(V30, a);
            self.copy(V31, b);
            self.packed(TBL_TWO, d, V30, V29);
        }
    }

    fn shuffle_one(&mut self, lanes: &[u8; 16], d: u8, s: u8) {
        let rotated = lanes.iter().enumerate().all(|(i, &lane)| lane == (lanes[0] + i as u8) % 16);
        if rotated {
            return match lanes[0] {
                0 => self.copy(d, s),
                by => self.packed(Op(EXT.0 | u32::from(by) << 11), d, s, s),
            };
        }
        if let Some((shape, lane)) = duplicate(lanes) {
            return self.splat_lane(shape, lane, d, s);
        }
        if let Some(op) = reversal(lanes) {
            return self.packed_unary(op, d, s);
        }
        self.packed_const(V31, u128::from_le_bytes(*lanes));
        self.packed(TBL, d, s, V31);
    }

    /// Whether one instruction does it, with the sources in this order.
    fn shuffle_two(&mut self, lanes: &[u8; 16], d: u8, a: u8, b: u8) -> bool {
        let run = lanes.iter().enumerate().all(|(i, &lane)| lane == (lanes[0] + i as u8) % 32);
        if run && lanes[0] < 16 {
            self.packed(Op(EXT.0 | u32::from(lanes[0]) << 11), d, a, b);
        } else if let Some(op) = fixed(lanes) {
            self.packed(op, d, a, b);
        } else {
            return false;
        }
        true
    }

    /// The machine gives 0 for indices beyond 15, as the operator does.
    pub(super) fn swizzle(&mut self, d: u8, a: u8, b: u8) {
        self.packed(TBL, d, a, b);
    }

    pub(in crate::jit::aarch64) fn splat_impl(&mut self, shape: Shape, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match shape {
            Shape::F32x4 | Shape::F64x2 => self.splat_lane(shape, 0, d, s),
            _ => self.packed_imm(DUP_GENERAL, d, s, lane_field(shape, 0)),
        }
    }

    /// One lane to all places.
    pub(in crate::jit::aarch64) fn splat_lane(&mut self, shape: Shape, lane: u8, d: u8, s: u8) {
        self.packed_imm(DUP_LANE, d, s, lane_field(shape, lane));
    }

    pub(in crate::jit::aarch64) fn extract_lane_impl(
        &mut self,
        shape: Shape,
        sign: Sign,
        lane: u8,
        dst: Reg,
        src: Reg,
    ) {
        let (d, s) = (dst.number(), src.number());
        let field = lane_field(shape, lane);
        match (shape, sign) {
            (Shape::F32x4 | Shape::F64x2, _) if lane == 0 => self.copy(d, s),
            (Shape::F32x4 | Shape::F64x2, _) => self.take_lane(shape, lane, d, s),
            (Shape::I8x16 | Shape::I16x8, Sign::S) => self.packed_imm(SMOV.half(), d, s, field),
            (Shape::I32x4, _) if lane == 0 => asm!(self; fmov W(d), S(s)),
            (Shape::I64x2, _) if lane == 0 => asm!(self; fmov X(d), D(s)),
            (Shape::I64x2, _) => self.packed_imm(UMOV, d, s, field),
            _ => self.packed_imm(UMOV.half(), d, s, field),
        }
    }

    /// A lane as a scalar, in a vector register.
    pub(super) fn take_lane(&mut self, shape: Shape, lane: u8, d: u8, s: u8) {
        self.packed_imm(DUP_SCALAR, d, s, lane_field(shape, lane));
    }

    /// The lowest lane of `s` to a place in `d`.
    pub(super) fn insert_lane(&mut self, shape: Shape, lane: u8, d: u8, s: u8) {
        self.packed_imm(INS_LANE, d, s, lane_field(shape, lane));
    }

    pub(in crate::jit::aarch64) fn replace_lane_impl(
        &mut self,
        shape: Shape,
        lane: u8,
        dst: Reg,
        vector: Reg,
        src: Reg,
    ) {
        let (d, v, s) = (dst.number(), vector.number(), src.number());
        match shape {
            Shape::F32x4 | Shape::F64x2 => {
                let mut s = s;
                if s == d && d != v {
                    self.copy(V31, s);
                    s = V31;
                }
                self.copy(d, v);
                self.insert_lane(shape, lane, d, s);
            }
            _ => {
                self.copy(d, v);
                self.packed_imm(INS_GENERAL, d, s, lane_field(shape, lane));
            }
        }
    }
}
