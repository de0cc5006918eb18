//! Linear memory.

use super::encode::{
    LDR_B, LDR_D, LDR_H, LDR_Q, LDR_S, LDR_W, LDR_X, LDRS_B_W, LDRS_B_X, LDRS_H_W, LDRS_H_X, LDRS_W, STR_B, STR_D,
    STR_H, STR_Q, STR_S, STR_W, STR_X, lane_access,
};
use super::{Assembler, V31, X16, X17, ZERO, asm, slot};
use crate::jit::lanes::Half;
use crate::jit::masm::{Address, Slot, Src};
use crate::jit::ops::{Load, Store, Width};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

impl Assembler {
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

    /// Reads the last byte that is going to be written. A store that is not aligned may be several to the machine, and what lies
    /// before the page that faults may be written by then; a load that faults leaves nothing. The address that it gives
    /// may be in X16.
    pub(super) fn touch_impl(&mut self, size: u64, to: Address) -> Address {
        let last = size as i32 - 1;
        if last == 0 {
            return to;
        }
        let is_near = Self::holds_offset(size, to.offset()) && (0..0x1000 - last).contains(&to.offset());
        let place = match to.index() {
            None if is_near => to,
            Some(index) if is_near => {
                self.add_index(X16, to.base(), index, to.index64());
                Address::new(X16, to.offset() as u32)
            }
            index => {
                self.add_offset(X16, to.base(), to.offset().into());
                if let Some(index) = index {
                    self.add_index(X16, X16, index, to.index64());
                }
                Address::new(X16, 0)
            }
        };
        self.access(LDR_B, ZERO, place.plus(last));
        place
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
            self.access(STR_Q, V31, slot(Slot::at(from + 16 * pair)));
        }
        if count % 2 == 1 {
            self.access(STR_X, ZERO, slot(Slot::at(from + 8 * (count - 1))));
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
