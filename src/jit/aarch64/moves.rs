//! Moves between registers, slots, constants and records.

use super::encode::{LDR_D, LDR_Q, LDR_S, LDR_W, LDR_X, STR_D, STR_Q, STR_S, STR_X};
use super::{Assembler, V31, X16, X17, ZERO, asm, slot};
use crate::jit::env::Kind;
use crate::jit::masm::{Address, Dst, Src, is_vector};
use crate::jit::ops::Width;
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;
use dynasmrt::aarch64::{
    encode_floating_point_immediate, encode_logical_immediate_32bit, encode_logical_immediate_64bit,
};

impl Assembler {
    pub(super) fn mov_impl(&mut self, kind: Kind, dst: Dst, src: Src) {
        match (dst, src) {
            (Dst::Reg(dst), Src::Reg(src)) => self.mov_reg(kind, dst, src),
            (Dst::Reg(dst), Src::Slot(from)) => self.load_value(kind, dst, slot(from)),
            (Dst::Reg(dst), Src::Imm(bits)) if dst.is_vector() => self.vector_imm(kind, dst, bits),
            (Dst::Reg(dst), Src::Imm(bits)) => self.imm(dst, bits),
            (Dst::Slot(to), Src::Slot(from)) if to == from => {}
            (Dst::Slot(to), src) => self.store_value(kind, slot(to), src),
        }
    }

    fn mov_reg(&mut self, kind: Kind, dst: Reg, src: Reg) {
        let (d, s) = (dst.number(), src.number());
        match kind {
            _ if dst == src => {}
            Kind::I32 => asm!(self; mov W(d), W(s)),
            Kind::I64 | Kind::Ref => asm!(self; mov X(d), X(s)),
            Kind::F32 => asm!(self; fmov S(d), S(s)),
            Kind::F64 => asm!(self; fmov D(d), D(s)),
            Kind::V128 => asm!(self; mov V(d).b16, V(s).b16),
        }
    }

    pub(super) fn swap_impl(&mut self, a: Reg, b: Reg) {
        let (i, j) = (a.number(), b.number());
        if a.is_vector() {
            asm!(self; mov V(V31).b16, V(i).b16; mov V(i).b16, V(j).b16; mov V(j).b16, V(V31).b16);
        } else {
            let t = X17.number();
            asm!(self; mov X(t), X(i); mov X(i), X(j); mov X(j), X(t));
        }
    }

    /// A constant, without touching the flags: one instruction where there is one, else 16 bits at a time.
    pub(super) fn imm(&mut self, dst: Reg, bits: u64) {
        let d = dst.number();
        if bits == 0 {
            return asm!(self; movz X(d), 0);
        }
        let piece = |i: u32| (bits >> (16 * i)) as u32 & 0xffff;
        let pieces = if bits >> 32 == 0 { 2 } else { 4 };
        let zeros = (0..pieces).filter(|&i| piece(i) == 0).count() as u32;
        let ones = (0..pieces).filter(|&i| piece(i) == 0xffff).count() as u32;
        if zeros.max(ones) + 1 < pieces && self.logical_imm(d, bits) {
            return;
        }
        let fill = if ones > zeros { 0xffff } else { 0 };
        let mut begun = false;
        for i in 0..pieces {
            let last = i + 1 == pieces;
            if piece(i) == fill && (begun || !last) {
                continue;
            }
            match (begun, fill, pieces) {
                (true, ..) => asm!(self; movk X(d), piece(i), lsl 16 * i),
                (false, 0, _) => asm!(self; movz X(d), piece(i), lsl 16 * i),
                (false, _, 2) => asm!(self; movn W(d), piece(i) ^ 0xffff, lsl 16 * i),
                (false, ..) => asm!(self; movn X(d), piece(i) ^ 0xffff, lsl 16 * i),
            }
            begun = true;
        }
    }

    /// Whether the constant is one of those that bitwise operators take.
    fn logical_imm(&mut self, d: u8, bits: u64) -> bool {
        if encode_logical_immediate_64bit(bits).is_some() {
            asm!(self; orr XSP(d), xzr, bits);
            return true;
        }
        if bits >> 32 == 0 && encode_logical_immediate_32bit(bits as u32).is_some() {
            asm!(self; orr WSP(d), wzr, bits as u32);
            return true;
        }
        false
    }

    /// A float's or vector's constant: what no instruction makes lies behind the function.
    fn vector_imm(&mut self, kind: Kind, dst: Reg, bits: u64) {
        let d = dst.number();
        match kind {
            Kind::V128 => self.numbered_const(d, bits),
            _ if bits == 0 => asm!(self; movi D(d), 0),
            Kind::F32 => self.single_imm(d, bits as u32),
            _ => self.double_imm(d, bits),
        }
    }

    fn single_imm(&mut self, d: u8, bits: u32) {
        let value = f32::from_bits(bits);
        if encode_floating_point_immediate(value).is_some() {
            asm!(self; fmov S(d), value);
        } else if bits & 0xffff == 0 {
            let t = X17.number();
            self.imm(X17, bits.into());
            asm!(self; fmov S(d), W(t));
        } else {
            self.scalar_const(Width::W32, d, bits.into());
        }
    }

    fn double_imm(&mut self, d: u8, bits: u64) {
        let value = f64::from_bits(bits);
        let single = value as f32;
        if f64::from(single).to_bits() == bits && encode_floating_point_immediate(single).is_some() {
            asm!(self; fmov D(d), single);
        } else if bits.trailing_zeros() >= 48 {
            let t = X17.number();
            self.imm(X17, bits);
            asm!(self; fmov D(d), X(t));
        } else {
            self.scalar_const(Width::W64, d, bits);
        }
    }

    /// Reads a whole value of its kind.
    pub(super) fn load_value(&mut self, kind: Kind, dst: Reg, from: Address) {
        let op = match kind {
            Kind::I32 => LDR_W,
            Kind::I64 | Kind::Ref => LDR_X,
            Kind::F32 => LDR_S,
            Kind::F64 => LDR_D,
            Kind::V128 => LDR_Q,
        };
        self.access(op, dst.number(), from);
    }

    /// Writes a whole value: an integer with its zero upper half.
    pub(super) fn store_value(&mut self, kind: Kind, to: Address, src: Src) {
        match (kind, src) {
            (Kind::V128, Src::Reg(src)) => self.access(STR_Q, src.number(), to),
            (Kind::F64, Src::Reg(src)) => self.access(STR_D, src.number(), to),
            (Kind::F32, Src::Reg(src)) => self.access(STR_S, src.number(), to),
            (_, Src::Reg(src)) => self.access(STR_X, src.number(), to),
            (Kind::V128, src) => {
                self.mov_impl(kind, Dst::Reg(Reg::vector(V31)), src);
                self.access(STR_Q, V31, to);
            }
            (_, Src::Imm(0)) => self.access(STR_X, ZERO, to),
            (_, src) => {
                // The whole slot, whatever the kind.
                self.mov_impl(Kind::I64, Dst::Reg(X17), src);
                self.access(STR_X, X17.number(), to);
            }
        }
    }

    /// The source in a register of its class: its own, or the scratch one.
    pub(super) fn in_reg(&mut self, kind: Kind, src: Src) -> Reg {
        self.in_reg_or(kind, src, if is_vector(kind) { Reg::vector(V31) } else { X17 })
    }

    /// As [`Assembler::in_reg`], with this scratch register.
    pub(super) fn in_reg_or(&mut self, kind: Kind, src: Src, scratch: Reg) -> Reg {
        match src {
            Src::Reg(reg) => reg,
            src => {
                self.mov_impl(kind, Dst::Reg(scratch), src);
                scratch
            }
        }
    }

    /// `dst = place`'s address.
    pub(super) fn address_impl(&mut self, dst: Reg, place: Address) {
        let base = match place.index() {
            Some(index) => {
                self.add_index(dst, place.base(), index, place.index64());
                dst
            }
            None => place.base(),
        };
        self.add_offset(dst, base, place.offset().into());
    }

    /// `dst = base + index`.
    pub(super) fn add_index(&mut self, dst: Reg, base: Reg, index: Reg, index64: bool) {
        let (d, b, i) = (dst.number(), base.number(), index.number());
        if index64 {
            asm!(self; add XSP(d), XSP(b), X(i), uxtx);
        } else {
            asm!(self; add XSP(d), XSP(b), W(i), uxtw);
        }
    }

    /// `dst = base + offset`, of which either may be the stack pointer. Destroys X16 where the offset is large.
    pub(super) fn add_offset(&mut self, dst: Reg, base: Reg, offset: i64) {
        let (d, b) = (dst.number(), base.number());
        let size = offset.unsigned_abs();
        match (u32::try_from(size), offset < 0) {
            (Ok(0), _) if dst == base => {}
            (Ok(size @ 0..=0xfff), false) => asm!(self; add XSP(d), XSP(b), size),
            (Ok(size @ 0..=0xfff), true) => asm!(self; sub XSP(d), XSP(b), size),
            (Ok(size @ 0..=0xff_ffff), false) if size & 0xfff == 0 => {
                asm!(self; add XSP(d), XSP(b), size >> 12, lsl 12)
            }
            (Ok(size @ 0..=0xff_ffff), true) if size & 0xfff == 0 => asm!(self; sub XSP(d), XSP(b), size >> 12, lsl 12),
            _ => {
                let t = X16.number();
                self.imm(X16, offset as u64);
                asm!(self; add XSP(d), XSP(b), X(t), uxtx);
            }
        }
    }
}
