//! The encoder of instructions that are put together from their fields: loads and stores, and what asks a condition.

use super::jumps::condition_code;
use super::{Assembler, X16};
use crate::jit::lanes::Shape;
use crate::jit::masm::Address;
use crate::jit::ops::{Cond, Width};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

/// A load or store: all have the same three forms of address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// The fields that say which, in place.
    bits: u32,
    /// log2 of its bytes.
    scale: u32,
}

const fn access(size: u32, vector: bool, what: u32, scale: u32) -> Access {
    Access { bits: size << 30 | (vector as u32) << 26 | what << 22, scale }
}

pub(super) const STR_B: Access = access(0, false, 0, 0);
pub(super) const LDR_B: Access = access(0, false, 1, 0);
pub(super) const LDRS_B_X: Access = access(0, false, 2, 0);
pub(super) const LDRS_B_W: Access = access(0, false, 3, 0);
pub(super) const STR_H: Access = access(1, false, 0, 1);
pub(super) const LDR_H: Access = access(1, false, 1, 1);
pub(super) const LDRS_H_X: Access = access(1, false, 2, 1);
pub(super) const LDRS_H_W: Access = access(1, false, 3, 1);
pub(super) const STR_W: Access = access(2, false, 0, 2);
pub(super) const LDR_W: Access = access(2, false, 1, 2);
pub(super) const LDRS_W: Access = access(2, false, 2, 2);
pub(super) const STR_X: Access = access(3, false, 0, 3);
pub(super) const LDR_X: Access = access(3, false, 1, 3);
pub(super) const STR_S: Access = access(2, true, 0, 2);
pub(super) const LDR_S: Access = access(2, true, 1, 2);
pub(super) const STR_D: Access = access(3, true, 0, 3);
pub(super) const LDR_D: Access = access(3, true, 1, 3);
pub(super) const STR_Q: Access = access(0, true, 2, 4);
pub(super) const LDR_Q: Access = access(0, true, 3, 4);

/// The load or store of one lane as a scalar.
pub(super) const fn lane_access(shape: Shape, load: bool) -> Access {
    let size = shape.bits().ilog2() - 3;
    access(size, true, load as u32, size)
}

/// The fields of most instructions with a destination and two sources.
fn three_registers(dst: Reg, lhs: Reg, rhs: Reg) -> u32 {
    u32::from(rhs.number()) << 16 | u32::from(lhs.number()) << 5 | u32::from(dst.number())
}

impl Assembler {
    /// Reads or writes register `t`, which is not X16. X16 can be the base where the instruction [holds](Self::holds_offset) the offset.
    pub(super) fn access(&mut self, op: Access, t: u8, place: Address) {
        let (base, offset, index64) = (place.base(), place.offset(), place.index64());
        match place.index() {
            None if self.access_offset(op, t, base, offset) => {}
            None => {
                self.imm(X16, offset as i64 as u64);
                self.access_indexed(op, t, base, X16, true);
            }
            Some(index) if offset == 0 => self.access_indexed(op, t, base, index, index64),
            Some(index) if Self::offset_field(op, offset).is_some() => {
                self.add_index(X16, base, index, index64);
                self.access_offset(op, t, X16, offset);
            }
            Some(index) => {
                self.add_offset(X16, base, offset.into());
                self.access_indexed(op, t, X16, index, index64);
            }
        }
    }

    /// Whether an access of `size` bytes to a base and this offset is one instruction.
    pub(super) fn holds_offset(size: u64, offset: i32) -> bool {
        Self::scaled_field(size.trailing_zeros(), offset).is_some()
    }

    fn offset_field(op: Access, offset: i32) -> Option<u32> {
        Self::scaled_field(op.scale, offset)
    }

    /// The fields of an offset that an instruction can hold: in units of the access, or a small one in bytes.
    fn scaled_field(scale: u32, offset: i32) -> Option<u32> {
        let units = offset >> scale;
        if units << scale == offset && (0..0x1000).contains(&units) {
            Some(0x3900_0000 | (units as u32) << 10)
        } else if (-256..256).contains(&offset) {
            Some(0x3800_0000 | (offset as u32 & 0x1ff) << 12)
        } else {
            None
        }
    }

    fn access_offset(&mut self, op: Access, t: u8, base: Reg, offset: i32) -> bool {
        let field = Self::offset_field(op, offset);
        if let Some(field) = field {
            self.buf.push_u32(op.bits | field | u32::from(base.number()) << 5 | u32::from(t));
        }
        field.is_some()
    }

    /// With a whole index, or the lower half of one.
    fn access_indexed(&mut self, op: Access, t: u8, base: Reg, index: Reg, index64: bool) {
        let extend = if index64 { 3 << 13 } else { 2 << 13 };
        let registers = u32::from(index.number()) << 16 | u32::from(base.number()) << 5 | u32::from(t);
        self.buf.push_u32(0x3820_0800 | op.bits | extend | registers);
    }
}

impl Assembler {
    /// 0 or 1. `cset` is `csinc` of zeros with the opposite condition.
    pub(super) fn set_impl(&mut self, cond: Cond, dst: Reg) {
        self.buf.push_u32(0x1a9f_07e0 | (condition_code(cond) ^ 1) << 12 | u32::from(dst.number()));
    }

    /// `dst = cond ? yes : no`, with all 64 bits: an i32's zero upper half moves along.
    pub(super) fn conditional_select(&mut self, cond: Cond, dst: Reg, yes: Reg, no: Reg) {
        self.buf.push_u32(0x9a80_0000 | condition_code(cond) << 12 | three_registers(dst, yes, no));
    }

    /// As [`Assembler::conditional_select`], of scalar floats.
    pub(super) fn conditional_select_float(&mut self, width: Width, cond: Cond, dst: Reg, yes: Reg, no: Reg) {
        let double = if width == Width::W64 { 1 << 22 } else { 0 };
        self.buf.push_u32(0x1e20_0c00 | double | condition_code(cond) << 12 | three_registers(dst, yes, no));
    }
}
