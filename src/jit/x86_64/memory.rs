//! Linear memory.

use super::{Assembler, Parts, R11, asm, from_mem, parts, to_mem};
use crate::jit::masm::{Address, Src};
use crate::jit::ops::{Load, Store, Width};
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

    pub(super) fn zero_slots_impl(&mut self, from: u32, count: u32) {
        use super::RAX;
        use crate::jit::masm::{Label, Masm};
        use crate::jit::ops::Cond;
        asm!(self; xor Rd(R11.number()), Rd(R11.number()));
        if count <= 12 {
            for i in 0..count {
                to_mem!(self, self.slot(from + 8 * i), mov => Rq(R11.number()));
            }
            return;
        }
        let mut again = Label::default();
        self.imm(RAX, u64::from(count));
        self.bind(&mut again);
        let base = self.slot(from).offset - 8;
        asm!(self; mov [DWORD rsp + rax * 8 + base], Rq(R11.number()); sub eax, 1);
        self.branch(Cond::Ne, &mut again);
    }
}
