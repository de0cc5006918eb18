//! Vectors and lanes in linear memory.

use super::convert::extension;
use super::encode::ops;
use super::shuffle::{MOVDDUP, PEXTRB, PEXTRD, PEXTRQ, VPBROADCASTB, VPBROADCASTW, insert};
use super::{Assembler, MOVSD, MOVSS, MOVUPS};
use crate::jit::lanes::Shape;
use crate::jit::masm::Address;
use crate::jit::ops::{Load, Width};
use crate::jit::reg::Reg;

ops! {
    MOVUPS_STORE 0x00 0x0f 0x11;
    MOVSS_STORE 0xf3 0x0f 0x11;
    MOVSD_STORE 0xf2 0x0f 0x11;
    MOVHPS_STORE 0x00 0x0f 0x17;
    PEXTRW_STORE 0x66 0x0f3a 0x15;
    VBROADCASTSS 0x66 0x0f38 0x18;
}

impl Assembler {
    pub(in crate::jit::x86_64) fn load_vector(&mut self, op: Load, d: u8, from: Address) {
        match op {
            Load::Extend(shape, sign) => self.packed_move(extension(sign, shape), d, from, None),
            Load::Splat(shape) => self.load_splat(shape, d, from),
            Load::Zero(Width::W32) => self.packed_move(MOVSS, d, from, None),
            Load::Zero(Width::W64) => self.packed_move(MOVSD, d, from, None),
            _ => self.packed_move(MOVUPS, d, from, None),
        }
    }

    fn load_splat(&mut self, shape: Shape, d: u8, from: Address) {
        match shape {
            Shape::I8x16 if self.features.broadcasts() => self.packed_move(VPBROADCASTB, d, from, None),
            Shape::I16x8 if self.features.broadcasts() => self.packed_move(VPBROADCASTW, d, from, None),
            Shape::I32x4 if self.features.avx => self.packed_move(VBROADCASTSS, d, from, None),
            Shape::I64x2 => self.packed_move(MOVDDUP, d, from, None),
            Shape::I32x4 => {
                self.packed_move(MOVSS, d, from, None);
                self.splat_lowest(shape, d);
            }
            _ => {
                self.packed_mem(insert(shape), d, d, from, 0);
                self.splat_lowest(shape, d);
            }
        }
    }

    pub(in crate::jit::x86_64) fn store_vector(&mut self, to: Address, s: u8) {
        self.packed_move(MOVUPS_STORE, s, to, None);
    }

    pub(in crate::jit::x86_64) fn load_lane_impl(
        &mut self,
        shape: Shape,
        lane: u8,
        dst: Reg,
        vector: Reg,
        from: Address,
    ) {
        self.packed_mem(insert(shape), dst.number(), vector.number(), from, lane);
    }

    pub(in crate::jit::x86_64) fn store_lane_impl(&mut self, shape: Shape, lane: u8, to: Address, src: Reg) {
        let s = src.number();
        match (shape, lane) {
            (Shape::I32x4, 0) => self.packed_move(MOVSS_STORE, s, to, None),
            (Shape::I64x2, 0) => self.packed_move(MOVSD_STORE, s, to, None),
            (Shape::I64x2, 1) => self.packed_move(MOVHPS_STORE, s, to, None),
            (Shape::I8x16, _) => self.packed_move(PEXTRB, s, to, Some(lane)),
            (Shape::I16x8, _) => self.packed_move(PEXTRW_STORE, s, to, Some(lane)),
            (Shape::I32x4, _) => self.packed_move(PEXTRD, s, to, Some(lane)),
            _ => self.packed_move(PEXTRQ, s, to, Some(lane)),
        }
    }
}
