//! Bytes and lanes to other places.

use super::arith::PADDUSB;
use super::convert::PUNPCKLDQ;
use super::encode::{Op, ops};
use super::shift::{PUNPCKHBW, PUNPCKLBW};
use super::{Assembler, MOVD_TO, MOVQ_TO, MOVSD, POR, PSHUFB, PSHUFD, X15};
use crate::jit::lanes::{Shape, Sign};
use crate::jit::reg::Reg;
use crate::jit::x86_64::simd::arith::{PUNPCKHWD, PUNPCKLWD};
use crate::jit::x86_64::{X14, asm};
use dynasmrt::DynasmApi;

ops! {
    PUNPCKHDQ 0x66 0x0f 0x6a;
    PUNPCKLQDQ 0x66 0x0f 0x6c;
    PUNPCKHQDQ 0x66 0x0f 0x6d;
    PALIGNR 0x66 0x0f3a 0x0f;
    PBLENDW 0x66 0x0f3a 0x0e;
    PSHUFLW 0xf2 0x0f 0x70;
    SHUFPS 0x00 0x0f 0xc6;
    MOVDDUP 0xf2 0x0f 0x12;
    MOVLHPS 0x00 0x0f 0x16;
    INSERTPS 0x66 0x0f3a 0x21;
    PINSRB 0x66 0x0f3a 0x20;
    PINSRW 0x66 0x0f 0xc4;
    PINSRD 0x66 0x0f3a 0x22;
    PINSRQ 0x66 0x0f3a 0x22 w;
    PEXTRB 0x66 0x0f3a 0x14;
    PEXTRW 0x66 0x0f 0xc5;
    PEXTRD 0x66 0x0f3a 0x16;
    PEXTRQ 0x66 0x0f3a 0x16 w;
    MOVD_FROM 0x66 0x0f 0x7e;
    MOVQ_FROM 0x66 0x0f 0x7e w;
    VPBROADCASTB 0x66 0x0f38 0x78;
    VPBROADCASTW 0x66 0x0f38 0x79;
}

/// What interleaves lanes, by their bytes.
const INTERLEAVE: [(usize, Op, Op); 4] =
    [(1, PUNPCKLBW, PUNPCKHBW), (2, PUNPCKLWD, PUNPCKHWD), (4, PUNPCKLDQ, PUNPCKHDQ), (8, PUNPCKLQDQ, PUNPCKHQDQ)];

/// The indices of lanes of `N / 16` bytes, if whole lanes are moved.
fn wide_lanes<const N: usize>(lanes: &[u8; 16]) -> Option<[u8; N]> {
    let size = 16 / N;
    let mut wide = [0; N];
    for (index, bytes) in lanes.chunks_exact(size).enumerate() {
        let whole = bytes.iter().enumerate().all(|(i, &byte)| byte == bytes[0] + i as u8);
        if !whole || !usize::from(bytes[0]).is_multiple_of(size) {
            return None;
        }
        wide[index] = bytes[0] / size as u8;
    }
    Some(wide)
}

/// Four indices as an immediate of two bits each.
fn order(lanes: [u8; 4]) -> u8 {
    lanes.iter().rev().fold(0, |order, lane| order << 2 | (lane & 3))
}

/// How far apart the first source and the second begin, if the result is a run of bytes out of both.
fn run(lanes: &[u8; 16]) -> Option<u8> {
    let whole = lanes.iter().enumerate().all(|(i, &lane)| lane == (lanes[0] + i as u8) % 32);
    whole.then_some(lanes[0])
}

/// The instruction that takes lanes from both sources in turn.
fn interleave(lanes: &[u8; 16]) -> Option<Op> {
    let matches = |size: usize, from: usize| {
        (0..16).all(|i| {
            let (lane, byte) = (i / size, i % size);
            usize::from(lanes[i]) == 16 * (lane % 2) + from + lane / 2 * size + byte
        })
    };
    INTERLEAVE.iter().find_map(|&(size, low, high)| match () {
        () if matches(size, 0) => Some(low),
        () if matches(size, 8) => Some(high),
        () => None,
    })
}

/// For each word that stays where it is, whether it is the second source's.
fn blend(lanes: &[u8; 16]) -> Option<u8> {
    let words = wide_lanes::<8>(lanes)?;
    let stays = words.iter().enumerate().all(|(i, &word)| word % 8 == i as u8);
    stays.then(|| words.iter().rev().fold(0, |mask, &word| (mask << 1) | (word / 8)))
}

/// The bytes of one of the sources, as `pshufb` takes them: the other's are 0.
fn only(lanes: &[u8; 16], source: u8) -> u128 {
    u128::from_le_bytes(lanes.map(|lane| if lane / 16 == source { lane % 16 } else { 0x80 }))
}

impl Assembler {
    pub(in crate::jit::x86_64) fn shuffle_impl(&mut self, lanes: [u8; 16], dst: Reg, lhs: Reg, rhs: Reg) {
        let (d, a, b) = (dst.number(), lhs.number(), rhs.number());
        let one_source = |source: u8| lanes.iter().all(|lane| lane / 16 == source);
        if a == b || one_source(0) {
            self.shuffle_one(&lanes.map(|lane| lane % 16), d, a);
        } else if one_source(1) {
            self.shuffle_one(&lanes.map(|lane| lane % 16), d, b);
        } else if !self.shuffle_two(&lanes, d, a, b) && !self.shuffle_two(&lanes.map(|lane| lane ^ 16), d, b, a) {
            self.packed_by_const(PSHUFB, X14, a, only(&lanes, 0));
            self.packed_by_const(PSHUFB, X15, b, only(&lanes, 1));
            self.packed(POR, d, X14, X15);
        }
    }

    fn shuffle_one(&mut self, lanes: &[u8; 16], d: u8, s: u8) {
        if let Some(wide) = wide_lanes::<4>(lanes) {
            if wide == [0, 1, 2, 3] {
                return self.copy(d, s);
            }
            return self.packed_unary_imm(PSHUFD, d, s, order(wide));
        }
        let rotated = lanes.iter().enumerate().all(|(i, &lane)| lane == (lanes[0] + i as u8) % 16);
        if rotated {
            return self.packed_imm(PALIGNR, d, s, s, lanes[0]);
        }
        self.packed_by_const(PSHUFB, d, s, u128::from_le_bytes(*lanes));
    }

    /// Whether one instruction does it, with the sources in this order.
    fn shuffle_two(&mut self, lanes: &[u8; 16], d: u8, a: u8, b: u8) -> bool {
        if let Some(op) = interleave(lanes) {
            self.packed(op, d, a, b);
        } else if let Some(by) = run(lanes).filter(|by| *by < 16) {
            self.packed_imm(PALIGNR, d, b, a, by);
        } else if let Some(mask) = blend(lanes) {
            self.packed_imm(PBLENDW, d, a, b, mask);
        } else if let Some(wide @ [0..4, 0..4, 4..8, 4..8]) = wide_lanes::<4>(lanes) {
            self.packed_imm(SHUFPS, d, a, b, order(wide));
        } else {
            return false;
        }
        true
    }

    /// Indices beyond 15 are lifted to where the machine gives 0 for them.
    pub(super) fn swizzle(&mut self, d: u8, a: u8, b: u8) {
        self.packed_by_const(PADDUSB, X15, b, Shape::I8x16.splat(0x70));
        self.packed(PSHUFB, d, a, X15);
    }

    pub(in crate::jit::x86_64) fn splat_impl(&mut self, shape: Shape, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match shape {
            Shape::I8x16 | Shape::I16x8 | Shape::I32x4 => {
                self.packed_unary(MOVD_TO, d, s);
                self.splat_lowest(shape, d);
            }
            Shape::I64x2 => {
                self.packed_unary(MOVQ_TO, d, s);
                self.splat_lowest(shape, d);
            }
            Shape::F32x4 => self.packed_imm(SHUFPS, d, s, s, 0),
            Shape::F64x2 => self.packed_unary(MOVDDUP, d, s),
        }
    }

    /// The lowest lane to all places.
    pub(super) fn splat_lowest(&mut self, shape: Shape, d: u8) {
        match shape {
            Shape::I8x16 if self.features.broadcasts() => self.packed_unary(VPBROADCASTB, d, d),
            Shape::I16x8 if self.features.broadcasts() => self.packed_unary(VPBROADCASTW, d, d),
            Shape::I8x16 => {
                self.zero(X15);
                self.packed(PSHUFB, d, d, X15);
            }
            Shape::I16x8 => {
                self.packed_unary_imm(PSHUFLW, d, d, 0);
                self.packed_unary_imm(PSHUFD, d, d, 0);
            }
            Shape::I32x4 | Shape::F32x4 => self.packed_unary_imm(PSHUFD, d, d, 0),
            Shape::I64x2 | Shape::F64x2 => self.packed(PUNPCKLQDQ, d, d, d),
        }
    }

    pub(in crate::jit::x86_64) fn extract_lane_impl(&mut self, shape: Shape, sign: Sign, lane: u8, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match (shape, lane) {
            (Shape::I8x16, _) => {
                self.packed_unary_imm(PEXTRB, s, d, lane);
                if sign == Sign::S {
                    asm!(self; movsx Rd(d), Rb(d));
                }
            }
            (Shape::I16x8, _) => {
                self.packed_unary_imm(PEXTRW, d, s, lane);
                if sign == Sign::S {
                    asm!(self; movsx Rd(d), Rw(d));
                }
            }
            (Shape::I32x4, 0) => self.packed_unary(MOVD_FROM, s, d),
            (Shape::I32x4, _) => self.packed_unary_imm(PEXTRD, s, d, lane),
            (Shape::I64x2, 0) => self.packed_unary(MOVQ_FROM, s, d),
            (Shape::I64x2, _) => self.packed_unary_imm(PEXTRQ, s, d, lane),
            (Shape::F32x4 | Shape::F64x2, 0) => self.copy(d, s),
            (Shape::F32x4, _) => self.packed_unary_imm(PSHUFD, d, s, lane),
            (Shape::F64x2, _) => self.packed_unary_imm(PSHUFD, d, s, 0xee),
        }
    }

    pub(in crate::jit::x86_64) fn replace_lane_impl(
        &mut self,
        shape: Shape,
        lane: u8,
        dst: Reg,
        vector: Reg,
        src: Reg,
    ) {
        let (d, v, s) = (dst.number(), vector.number(), src.number());
        match (shape, lane) {
            (Shape::F32x4, _) => self.packed_imm(INSERTPS, d, v, s, lane << 4),
            (Shape::F64x2, 0) => self.packed(MOVSD, d, v, s),
            (Shape::F64x2, _) => self.packed(MOVLHPS, d, v, s),
            _ => self.packed_insert(insert(shape), d, v, s, lane),
        }
    }
}

/// What puts an integer into a lane.
pub(super) fn insert(shape: Shape) -> Op {
    super::arith::by_integer(shape, [PINSRB, PINSRW, PINSRD, PINSRQ])
}
