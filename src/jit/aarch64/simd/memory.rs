//! Lanes in linear memory.

use super::super::encode::lane_access;
use crate::jit::aarch64::{Assembler, V31};
use crate::jit::lanes::Shape;
use crate::jit::masm::Address;
use crate::jit::reg::Reg;

impl Assembler {
    pub(in crate::jit::aarch64) fn load_lane_impl(
        &mut self,
        shape: Shape,
        lane: u8,
        dst: Reg,
        vector: Reg,
        from: Address,
    ) {
        let (d, v) = (dst.number(), vector.number());
        self.access(lane_access(shape, true), V31, from);
        self.copy(d, v);
        self.insert_lane(shape, lane, d, V31);
    }

    pub(in crate::jit::aarch64) fn store_lane_impl(&mut self, shape: Shape, lane: u8, to: Address, src: Reg) {
        let mut s = src.number();
        if lane != 0 {
            self.take_lane(shape, lane, V31, s);
            s = V31;
        }
        self.access(lane_access(shape, false), s, to);
    }
}
