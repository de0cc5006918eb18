//! Moves between registers, slots, constants and records.

use super::simd::{MOVSD, MOVSS};
use super::{Assembler, Parts, R11, X15, asm, from_mem, parts, to_mem};
use crate::jit::env::Kind;
use crate::jit::masm::{Address, Dst, Src};
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
                from_mem!(self, self.slot(from), mov Rq(R11.number()));
                to_mem!(self, self.slot(to), mov => Rq(R11.number()));
            }
            (Dst::Slot(to), src) => self.store_value(kind, self.slot(to), src),
        }
    }

    fn mov_reg(&mut self, kind: Kind, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match kind {
            _ if dst == src => {}
            Kind::I32 => asm!(self; mov Rd(d), Rd(s)),
            Kind::I64 | Kind::Ref => asm!(self; mov Rq(d), Rq(s)),
            Kind::F32 | Kind::F64 | Kind::V128 => asm!(self; movaps Rx(d), Rx(s)),
        }
    }

    /// A constant, without touching the flags.
    pub(super) fn imm(&mut self, dst: Reg, bits: u64) {
        let d = dst.number();
        if let Ok(bits) = u32::try_from(bits) {
            asm!(self; mov Rd(d), bits as i32);
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
        match kind {
            Kind::I32 => from_mem!(self, from, mov Rd(d)),
            Kind::I64 | Kind::Ref => from_mem!(self, from, mov Rq(d)),
            Kind::F32 => from_mem!(self, from, movss Rx(d)),
            Kind::F64 => from_mem!(self, from, movsd Rx(d)),
            Kind::V128 => from_mem!(self, from, movups Rx(d)),
        }
    }

    /// Writes a whole value: an integer with its zero upper half. `src` is no slot.
    pub(super) fn store_value(&mut self, kind: Kind, to: Address, src: Src) {
        match (kind, src) {
            (Kind::V128, Src::Reg(src)) => to_mem!(self, to, movups => Rx(src.number())),
            (Kind::F64, Src::Reg(src)) => to_mem!(self, to, movsd => Rx(src.number())),
            (Kind::F32, Src::Reg(src)) => to_mem!(self, to, movss => Rx(src.number())),
            (_, Src::Reg(src)) => to_mem!(self, to, mov => Rq(src.number())),
            (Kind::V128, Src::Imm(number)) => {
                self.numbered_const(X15, number);
                to_mem!(self, to, movups => Rx(X15));
            }
            (_, Src::Imm(bits)) => self.store_imm(to, bits),
            (_, Src::Slot(from)) => {
                from_mem!(self, self.slot(from), mov Rq(R11.number()));
                to_mem!(self, to, mov => Rq(R11.number()));
            }
        }
    }

    /// Writes eight bytes.
    pub(super) fn store_imm(&mut self, to: Address, bits: u64) {
        if let Ok(bits) = i32::try_from(bits as i64) {
            to_mem!(self, to, mov QWORD => bits);
        } else {
            self.imm(R11, bits);
            to_mem!(self, to, mov => Rq(R11.number()));
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
