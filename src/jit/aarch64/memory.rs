//! Linear memory, and how loads and stores reach it.

use super::{Assembler, V31, X16, X17, ZERO, asm, slot};
use crate::jit::lanes::{Half, Shape};
use crate::jit::masm::{Address, Src};
use crate::jit::ops::{Load, Store, Width};
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

const STR_B: Access = access(0, false, 0, 0);
const LDR_B: Access = access(0, false, 1, 0);
const LDRS_B_X: Access = access(0, false, 2, 0);
const LDRS_B_W: Access = access(0, false, 3, 0);
const STR_H: Access = access(1, false, 0, 1);
const LDR_H: Access = access(1, false, 1, 1);
const LDRS_H_X: Access = access(1, false, 2, 1);
const LDRS_H_W: Access = access(1, false, 3, 1);
pub(super) const STR_W: Access = access(2, false, 0, 2);
pub(super) const LDR_W: Access = access(2, false, 1, 2);
const LDRS_W: Access = access(2, false, 2, 2);
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

impl Assembler {
    /// Reads or writes register `t`, which is not X16.
    pub(super) fn access(&mut self, op: Access, t: u8, place: Address) {
        let Address { base, index, offset, index64 } = place;
        match index {
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

    /// The fields of an offset that an instruction can hold: in units of the access, or a small one in bytes.
    fn offset_field(op: Access, offset: i32) -> Option<u32> {
        let units = offset >> op.scale;
        if units << op.scale == offset && (0..0x1000).contains(&units) {
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

    pub(super) fn load_impl(&mut self, op: Load, dst: Reg, from: Address) {
        let access = match op {
            Load::I32 | Load::U32 => LDR_W,
            Load::I64 => LDR_X,
            Load::F32 => LDR_S,
            Load::F64 => LDR_D,
            Load::S8(Width::W32) => LDRS_B_W,
            Load::S8(Width::W64) => LDRS_B_X,
            Load::U8(_) => LDR_B,
            Load::S16(Width::W32) => LDRS_H_W,
            Load::S16(Width::W64) => LDRS_H_X,
            Load::U16(_) => LDR_H,
            Load::S32 => LDRS_W,
            Load::V128 => LDR_Q,
            Load::Extend(..) => LDR_D,
            Load::Splat(shape) => lane_access(shape, true),
            Load::Zero(Width::W32) => LDR_S,
            Load::Zero(Width::W64) => LDR_D,
        };
        let d = dst.number();
        self.access(access, d, from);
        match op {
            Load::Extend(shape, sign) => self.extend(Half::Low, sign, shape, d, d),
            Load::Splat(shape) => self.splat_lane(shape, 0, d, d),
            _ => {}
        }
    }

    /// `src` is no slot.
    pub(super) fn store_impl(&mut self, op: Store, to: Address, src: Src) {
        let (access, s) = match (op, src) {
            (Store::B8, _) => (STR_B, self.stored(src)),
            (Store::B16, _) => (STR_H, self.stored(src)),
            (Store::B32, _) => (STR_W, self.stored(src)),
            (Store::B64, _) => (STR_X, self.stored(src)),
            // Bits travel through a general register.
            (Store::F32, Src::Imm(_)) => (STR_W, self.stored(src)),
            (Store::F64, Src::Imm(_)) => (STR_X, self.stored(src)),
            (Store::F32, _) => (STR_S, self.stored(src)),
            (Store::F64, _) => (STR_D, self.stored(src)),
            (Store::V128, _) => (STR_Q, self.stored(src)),
        };
        self.access(access, s, to);
    }

    fn stored(&mut self, src: Src) -> u8 {
        match src {
            Src::Reg(reg) => reg.number(),
            Src::Imm(0) => ZERO,
            Src::Imm(bits) => {
                self.imm(X17, bits);
                X17.number()
            }
            Src::Slot(_) => unreachable!("a store's value is in a register or constant"),
        }
    }

    /// Sixteen bytes at a time; many in a loop of twice as many.
    pub(super) fn zero_slots_impl(&mut self, from: u32, count: u32) {
        const UNROLLED: u32 = 48;
        asm!(self; movi V(V31).d2, 0);
        let looped = if count > UNROLLED { count / 4 * 4 } else { 0 };
        if looped > 0 {
            self.zero_loop(from, looped);
        }
        let (from, count) = (from + 8 * looped, count - looped);
        for pair in 0..count / 2 {
            self.access(STR_Q, V31, slot(from + 16 * pair));
        }
        if count % 2 == 1 {
            self.access(STR_X, ZERO, slot(from + 8 * (count - 1)));
        }
    }

    fn zero_loop(&mut self, from: u32, count: u32) {
        use crate::jit::masm::Label;
        use crate::jit::ops::Cond;
        let (a, n) = (X16.number(), X17.number());
        let mut again = Label::default();
        self.add_offset(X16, super::SP, from.into());
        self.imm(X17, u64::from(count / 4));
        self.bind_impl(&mut again);
        asm!(self; stp Q(V31), Q(V31), [X(a)], 32; subs X(n), XSP(n), 1);
        self.branch_impl(Cond::Ne, &mut again);
    }
}
