//! Moves between registers, slots, constants and records.

use super::encode::{
    LOAD_F32, LOAD_F64, LOAD_V128, LOAD32, LOAD64, MOV_V128, STORE_F32, STORE_F64, STORE_IMM32, STORE_V128, STORE64,
};
use super::simd::{MOVSD, MOVSS};
use super::{Assembler, R11, X15, asm};
use crate::jit::env::Kind;
use crate::jit::masm::{Address, Dst, Src};
use crate::jit::ops::Width;
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

impl Assembler {
    pub(super) fn mov_impl(&mut self, kind: Kind, dst: Dst, src: Src) {
        match (dst, src) {
            (Dst::Reg(dst), Src::Reg(src)) => self.mov_reg(kind, dst, src),
            (Dst::Reg(dst), Src::Slot(from)) => self.load_value(kind, dst, self.slot(from)),
            (Dst::Reg(dst), Src::Imm(bits)) if dst.is_vector() => self.vector_imm(kind, dst, bits),
            (Dst::Reg(dst), Src::Imm(bits)) => self.imm(dst, bits),
            (Dst::Slot(to), Src::Slot(from)) if to == from => {}
            (Dst::Slot(to), Src::Slot(from)) if kind == Kind::V128 => {
                self.load_value(kind, Reg::vector(X15), self.slot(from));
                self.store_value(kind, self.slot(to), Src::Reg(Reg::vector(X15)));
            }
            (Dst::Slot(to), Src::Slot(from)) => {
                self.op_mem(LOAD64, R11.number(), self.slot(from));
                self.op_mem(STORE64, R11.number(), self.slot(to));
            }
            (Dst::Slot(to), src) => self.store_value(kind, self.slot(to), src),
        }
    }

    fn mov_reg(&mut self, kind: Kind, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match kind {
            _ if dst == src => {}
            Kind::I32 => self.op_reg(LOAD32, d, s),
            Kind::I64 | Kind::Ref => self.op_reg(LOAD64, d, s),
            Kind::F32 | Kind::F64 | Kind::V128 => self.op_reg(MOV_V128, d, s),
        }
    }

    /// A constant, without touching the flags.
    pub(super) fn imm(&mut self, dst: Reg, bits: u64) {
        let d = dst.number();
        if let Ok(bits) = u32::try_from(bits) {
            let rex = u64::from(d >> 3) * 0x41;
            let has_rex = usize::from(d > 7);
            let opcode = 0xb8 | u64::from(d & 7);
            self.buf.put((u64::from(bits) << 8 | opcode) << (8 * has_rex) | rex, 5 + has_rex);
        } else if let Ok(bits) = i32::try_from(bits as i64) {
            asm!(self; mov Rq(d), bits);
        } else {
            asm!(self; mov Rq(d), QWORD bits as i64);
        }
    }

    fn vector_imm(&mut self, kind: Kind, dst: Reg, bits: u64) {
        let d = dst.number();
        match kind {
            Kind::V128 => self.numbered_const(d, bits),
            _ if bits == 0 => asm!(self; xorps Rx(d), Rx(d)),
            Kind::F32 => self.scalar_const(MOVSS, d, bits),
            _ => self.scalar_const(MOVSD, d, bits),
        }
    }

    /// Reads a whole value of its kind.
    pub(super) fn load_value(&mut self, kind: Kind, dst: Reg, from: Address) {
        let d = dst.number();
        let op = match kind {
            Kind::I32 => LOAD32,
            Kind::I64 | Kind::Ref => LOAD64,
            Kind::F32 => LOAD_F32,
            Kind::F64 => LOAD_F64,
            Kind::V128 => LOAD_V128,
        };
        self.op_mem(op, d, from);
    }

    /// Writes a whole value: an integer with its zero upper half. `src` is no slot.
    pub(super) fn store_value(&mut self, kind: Kind, to: Address, src: Src) {
        match (kind, src) {
            (Kind::V128, Src::Reg(src)) => self.op_mem(STORE_V128, src.number(), to),
            (Kind::F64, Src::Reg(src)) => self.op_mem(STORE_F64, src.number(), to),
            (Kind::F32, Src::Reg(src)) => self.op_mem(STORE_F32, src.number(), to),
            (_, Src::Reg(src)) => self.op_mem(STORE64, src.number(), to),
            (Kind::V128, Src::Imm(number)) => {
                self.numbered_const(X15, number);
                self.op_mem(STORE_V128, X15, to);
            }
            (_, Src::Imm(bits)) => self.store_imm(to, bits),
            (_, Src::Slot(from)) => {
                self.op_mem(LOAD64, R11.number(), self.slot(from));
                self.op_mem(STORE64, R11.number(), to);
            }
        }
    }

    /// Writes eight bytes.
    pub(super) fn store_imm(&mut self, to: Address, bits: u64) {
        if let Ok(bits) = i32::try_from(bits as i64) {
            self.op_mem(STORE_IMM32.sized(Width::W64), 0, to);
            self.buf.push_i32(bits);
        } else {
            self.imm(R11, bits);
            self.op_mem(STORE64, R11.number(), to);
        }
    }

    /// The source in a register of its class: its own, or a scratch one.
    pub(super) fn in_reg(&mut self, kind: Kind, src: Src) -> Reg {
        match src {
            Src::Reg(reg) => reg,
            src => {
                let scratch = if crate::jit::masm::is_vector(kind) { Reg::vector(X15) } else { R11 };
                self.mov_impl(kind, Dst::Reg(scratch), src);
                scratch
            }
        }
    }
}
