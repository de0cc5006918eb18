//! Linear memory.

use super::encode::{
    LOAD_F32, LOAD_F64, LOAD_SX8, LOAD_SX16, LOAD_SX32, LOAD_ZX8, LOAD_ZX16, LOAD32, LOAD64, STORE_F32, STORE_F64,
    STORE_IMM8, STORE_IMM16, STORE_IMM32, STORE8, STORE16, STORE32, STORE64,
};
use super::{Assembler, RAX, X15, asm};
use crate::jit::env::Kind;
use crate::jit::masm::{Address, Label, Masm, Slot, Src};
use crate::jit::ops::{Cond, Load, Store};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

impl Assembler {
    pub(super) fn load_impl(&mut self, op: Load, dst: Reg, from: Address) {
        let d = dst.number();
        let op = match op {
            Load::I32 | Load::U32 => LOAD32,
            Load::I64 => LOAD64,
            Load::F32 => LOAD_F32,
            Load::F64 => LOAD_F64,
            Load::S8(width) => LOAD_SX8.sized(width),
            Load::U8(_) => LOAD_ZX8,
            Load::S16(width) => LOAD_SX16.sized(width),
            Load::U16(_) => LOAD_ZX16,
            Load::S32 => LOAD_SX32,
            Load::V128 | Load::Extend(..) | Load::Splat(_) | Load::Zero(_) => return self.load_vector(op, d, from),
        };
        self.op_mem(op, d, from);
    }

    /// `src` is no slot.
    pub(super) fn store_impl(&mut self, op: Store, to: Address, src: Src) {
        let bits = match src {
            Src::Imm(bits) => bits,
            src => return self.store_reg(op, to, self.no_slot(src)),
        };
        match op {
            Store::B8 => {
                self.op_mem(STORE_IMM8, 0, to);
                self.buf.push_i8(bits as i8);
            }
            Store::B16 => {
                self.op_mem(STORE_IMM16, 0, to);
                self.buf.push_i16(bits as i16);
            }
            Store::B32 | Store::F32 => {
                self.op_mem(STORE_IMM32, 0, to);
                self.buf.push_i32(bits as i32);
            }
            Store::B64 | Store::F64 => self.store_imm(to, bits),
            Store::V128 => unreachable!("a vector that is stored is in a register"),
        }
    }

    fn no_slot(&self, src: Src) -> u8 {
        match src {
            Src::Reg(reg) => reg.number(),
            _ => unreachable!("a store's value is in a register or constant"),
        }
    }

    fn store_reg(&mut self, op: Store, to: Address, s: u8) {
        let op = match op {
            Store::B8 => STORE8,
            Store::B16 => STORE16,
            Store::B32 => STORE32,
            Store::B64 => STORE64,
            Store::F32 => STORE_F32,
            Store::F64 => STORE_F64,
            Store::V128 => return self.store_vector(to, s),
        };
        self.op_mem(op, s, to);
    }

    /// Sixteen bytes at a time; many in a loop.
    pub(super) fn zero_slots_impl(&mut self, from: u32, count: u32) {
        const UNROLLED: u32 = 48;
        let zero = Src::Reg(Reg::vector(X15));
        asm!(self; xorps Rx(X15), Rx(X15));
        let looped = if count > UNROLLED { count / 4 * 4 } else { 0 };
        if looped > 0 {
            self.zero_loop(from, looped);
        }
        let (from, count) = (from + 8 * looped, count - looped);
        for pair in 0..count / 2 {
            self.store_value(Kind::V128, self.slot(Slot::at(from + 16 * pair)), zero);
        }
        if count % 2 == 1 {
            self.store_imm(self.slot(Slot::at(from + 8 * (count - 1))), 0);
        }
    }

    fn zero_loop(&mut self, from: u32, count: u32) {
        let mut again = Label::default();
        let base = self.slot(Slot::at(from)).offset();
        self.imm(RAX, u64::from(count) * 8);
        self.bind(&mut again);
        asm!(self; sub rax, 32);
        asm!(self; movups [DWORD rsp + rax + base], Rx(X15); movups [DWORD rsp + rax + base + 16], Rx(X15));
        self.branch(Cond::Ne, &mut again);
    }
}
