//! Linear memory.

use super::{Assembler, Parts, RAX, X15, asm, from_mem, parts, to_mem};
use crate::jit::env::Kind;
use crate::jit::masm::{Address, Label, Masm, Src};
use crate::jit::ops::{Cond, Load, Store, Width};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

impl Assembler {
    pub(super) fn load_impl(&mut self, op: Load, dst: Reg, from: Address) {
        let d = dst.number();
        match op {
            Load::I32 | Load::U32 => from_mem!(self, from, mov Rd(d)),
            Load::I64 => from_mem!(self, from, mov Rq(d)),
            Load::F32 => from_mem!(self, from, movss Rx(d)),
            Load::F64 => from_mem!(self, from, movsd Rx(d)),
            Load::S8(Width::W32) => self.extend_byte(from, d),
            Load::S8(Width::W64) => self.extend_byte_wide(from, d),
            Load::U8(_) => self.zero_extend_byte(from, d),
            Load::S16(Width::W32) => self.extend_word(from, d),
            Load::S16(Width::W64) => self.extend_word_wide(from, d),
            Load::U16(_) => self.zero_extend_word(from, d),
            Load::S32 => from_mem!(self, from, movsxd Rq(d)),
            Load::V128 | Load::Extend(..) | Load::Splat(_) | Load::Zero(_) => self.load_vector(op, d, from),
        }
    }

    fn extend_byte(&mut self, from: Address, d: u8) {
        let Parts { base, index, offset } = parts(from);
        asm!(self; movsx Rd(d), BYTE [DWORD Rq(base) + Rq(index) + offset]);
    }

    fn extend_byte_wide(&mut self, from: Address, d: u8) {
        let Parts { base, index, offset } = parts(from);
        asm!(self; movsx Rq(d), BYTE [DWORD Rq(base) + Rq(index) + offset]);
    }

    fn zero_extend_byte(&mut self, from: Address, d: u8) {
        let Parts { base, index, offset } = parts(from);
        match i8::try_from(offset) {
            Ok(offset) => asm!(self; movzx Rd(d), BYTE [BYTE Rq(base) + Rq(index) + offset]),
            Err(_) => asm!(self; movzx Rd(d), BYTE [DWORD Rq(base) + Rq(index) + offset]),
        }
    }

    fn extend_word(&mut self, from: Address, d: u8) {
        let Parts { base, index, offset } = parts(from);
        asm!(self; movsx Rd(d), WORD [DWORD Rq(base) + Rq(index) + offset]);
    }

    fn extend_word_wide(&mut self, from: Address, d: u8) {
        let Parts { base, index, offset } = parts(from);
        asm!(self; movsx Rq(d), WORD [DWORD Rq(base) + Rq(index) + offset]);
    }

    fn zero_extend_word(&mut self, from: Address, d: u8) {
        let Parts { base, index, offset } = parts(from);
        match i8::try_from(offset) {
            Ok(offset) => asm!(self; movzx Rd(d), WORD [BYTE Rq(base) + Rq(index) + offset]),
            Err(_) => asm!(self; movzx Rd(d), WORD [DWORD Rq(base) + Rq(index) + offset]),
        }
    }

    /// `src` is no slot.
    pub(super) fn store_impl(&mut self, op: Store, to: Address, src: Src) {
        let bits = match src {
            Src::Imm(bits) => bits,
            src => return self.store_reg(op, to, self.no_slot(src)),
        };
        match op {
            Store::B8 => to_mem!(self, to, mov BYTE => bits as i8),
            Store::B16 => to_mem!(self, to, mov WORD => bits as i16),
            Store::B32 | Store::F32 => to_mem!(self, to, mov DWORD => bits as i32),
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
        match op {
            Store::B8 => to_mem!(self, to, mov => Rb(s)),
            Store::B16 => to_mem!(self, to, mov => Rw(s)),
            Store::B32 => to_mem!(self, to, mov => Rd(s)),
            Store::B64 => to_mem!(self, to, mov => Rq(s)),
            Store::F32 => to_mem!(self, to, movss => Rx(s)),
            Store::F64 => to_mem!(self, to, movsd => Rx(s)),
            Store::V128 => self.store_vector(to, s),
        }
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
            self.store_value(Kind::V128, self.slot(from + 16 * pair), zero);
        }
        if count % 2 == 1 {
            self.store_imm(self.slot(from + 8 * (count - 1)), 0);
        }
    }

    fn zero_loop(&mut self, from: u32, count: u32) {
        let mut again = Label::default();
        let base = self.slot(from).offset;
        self.imm(RAX, u64::from(count) * 8);
        self.bind(&mut again);
        asm!(self; sub rax, 32);
        asm!(self; movups [DWORD rsp + rax + base], Rx(X15); movups [DWORD rsp + rax + base + 16], Rx(X15));
        self.branch(Cond::Ne, &mut again);
    }
}
