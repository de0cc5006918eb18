//! The encoder of instructions on packed lanes.
//!
//! dynasm has these instructions too, but as two unrelated ones: a VEX form and a legacy form. Prefix, map and opcode
//! are the same in both, so that here one line of a table stands for both, and the choice between them is made in
//! one place. The shorter prefixes are used where the registers allow, which dynasm does not do for
//! registers that it only sees at run time.

use super::super::{Assembler, Parts, X14, X15, parts};
use super::{MOVAPS, PCMPEQD, PXOR};
use crate::jit::masm::{Address, Label, Masm};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

/// An instruction, in either form.
#[derive(Clone, Copy, Debug)]
pub(in crate::jit::x86_64) struct Op {
    /// As the manual has it: 0 (none), 0x66, 0xf3 or 0xf2.
    pub(super) prefix: u8,
    /// 0x0f, 0x0f38 or 0x0f3a.
    pub(super) map: u16,
    pub(super) code: u8,
    /// REX.W or VEX.W.
    pub(super) wide: bool,
}

/// Instructions by mnemonic: prefix, map, opcode, and `w` for 64-bit general registers.
macro_rules! ops {
    ($($name:ident $prefix:literal $map:literal $code:literal $($wide:ident)?;)*) => {
        $(pub(in crate::jit::x86_64) const $name: crate::jit::x86_64::simd::encode::Op = crate::jit::x86_64::simd::encode::Op {
            prefix: $prefix, map: $map, code: $code, wide: ops!(@wide $($wide)?),
        };)*
    };
    (@wide) => { false };
    (@wide w) => { true };
}

pub(super) use ops;

/// The operand that may be memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rm {
    Reg(u8),
    General(u8),
    Mem(Address),
    /// A constant behind the function, by number, not 0. Not with an immediate operand: displacements count from the
    /// instruction's end.
    Const(u64),
}

/// A constant behind the function, and the displacements that wait for its place.
#[derive(Clone, Copy, Debug)]
pub(in crate::jit::x86_64) struct Constant {
    bits: u128,
    uses: Label,
}

/// How many of a function's latest constants are looked through for one that is wanted again.
const RECENT: usize = 16;

impl Assembler {
    /// `dst = lhs op rhs`. Without AVX, where `dst` is `rhs` and not `lhs`, X15 is destroyed, or X14 if `lhs` is X15.
    pub(super) fn packed(&mut self, op: Op, dst: u8, lhs: u8, rhs: u8) {
        self.three(op, dst, lhs, Rm::Reg(rhs), None);
    }

    /// As [`Assembler::packed`], with an immediate byte.
    pub(super) fn packed_imm(&mut self, op: Op, dst: u8, lhs: u8, rhs: u8, imm: u8) {
        self.three(op, dst, lhs, Rm::Reg(rhs), Some(imm));
    }

    /// `dst = lhs` with `src`, a general register, in a lane.
    pub(super) fn packed_insert(&mut self, op: Op, dst: u8, lhs: u8, src: u8, lane: u8) {
        self.three(op, dst, lhs, Rm::General(src), Some(lane));
    }

    /// `dst = lhs op bits`.
    pub(super) fn packed_by_const(&mut self, op: Op, dst: u8, lhs: u8, bits: u128) {
        let number = self.number_of(bits);
        self.three(op, dst, lhs, Rm::Const(number), None);
    }

    /// `dst = lhs op memory`.
    pub(super) fn packed_mem(&mut self, op: Op, dst: u8, lhs: u8, from: Address, imm: u8) {
        self.three(op, dst, lhs, Rm::Mem(from), Some(imm));
    }

    /// `dst = op src`. Also for instructions whose register operand is not the destination.
    pub(super) fn packed_unary(&mut self, op: Op, dst: u8, src: u8) {
        self.emit(op, dst, 0, Rm::Reg(src), None);
    }

    /// As [`Assembler::packed_unary`], with an immediate byte.
    pub(super) fn packed_unary_imm(&mut self, op: Op, dst: u8, src: u8, imm: u8) {
        self.emit(op, dst, 0, Rm::Reg(src), Some(imm));
    }

    /// Between a register and memory, either way.
    pub(super) fn packed_move(&mut self, op: Op, reg: u8, place: Address, imm: Option<u8>) {
        self.emit(op, reg, 0, Rm::Mem(place), imm);
    }

    /// A shift by an immediate: `extension` completes the opcode.
    pub(super) fn packed_shift(&mut self, op: Op, extension: u8, dst: u8, src: u8, by: u8) {
        if self.features.avx {
            self.vex(op, extension, dst, Rm::Reg(src), Some(by));
        } else {
            self.copy(dst, src);
            self.legacy(op, extension, Rm::Reg(dst), Some(by));
        }
    }

    pub(super) fn copy(&mut self, dst: u8, src: u8) {
        if dst != src {
            self.emit(MOVAPS, dst, 0, Rm::Reg(src), None);
        }
    }

    pub(super) fn zero(&mut self, x: u8) {
        self.emit(PXOR, x, x, Rm::Reg(x), None);
    }

    pub(super) fn ones(&mut self, x: u8) {
        self.emit(PCMPEQD, x, x, Rm::Reg(x), None);
    }

    /// A constant in a register.
    pub(super) fn packed_const(&mut self, dst: u8, bits: u128) {
        let number = self.number_of(bits);
        self.numbered_const(dst, number);
    }

    /// As [`Assembler::packed_const`], by its number, or 0 for zero.
    pub(in crate::jit::x86_64) fn numbered_const(&mut self, dst: u8, number: u64) {
        match number.checked_sub(1).map(|index| self.constants[index as usize].bits) {
            None => self.zero(dst),
            Some(u128::MAX) => self.ones(dst),
            Some(_) => self.emit(MOVAPS, dst, 0, Rm::Const(number), None),
        }
    }

    /// A float behind the function in a register; not zero.
    pub(in crate::jit::x86_64) fn scalar_const(&mut self, load: Op, dst: u8, bits: u64) {
        let number = self.number_of(bits.into());
        self.emit(load, dst, 0, Rm::Const(number), None);
    }

    /// The number of a constant: its place in the list, from 1 on.
    /// `reg *= by`, with a factor that fits no instruction.
    pub(in crate::jit::x86_64) fn multiply_by_constant(&mut self, reg: Reg, by: u64) {
        let (r, number) = (reg.number(), self.number_of(by.into()));
        self.buf.extend(&[0x48 | ((r >> 3) << 2), 0x0f, 0xaf]);
        self.operands(r, Rm::Const(number), None);
    }

    pub(in crate::jit::x86_64) fn number_of(&mut self, bits: u128) -> u64 {
        let known = self.constants.iter().rev().take(RECENT).position(|constant| constant.bits == bits);
        if let Some(back) = known {
            return (self.constants.len() - back) as u64;
        }
        self.constants.push(Constant { bits, uses: Label::default() });
        self.constants.len() as u64
    }

    pub(super) fn three(&mut self, op: Op, dst: u8, lhs: u8, rhs: Rm, imm: Option<u8>) {
        if self.features.avx {
            return self.vex(op, dst, lhs, rhs, imm);
        }
        let rhs = match rhs {
            Rm::Reg(rhs) if rhs == dst && lhs != dst => {
                let spare = if lhs == X15 { X14 } else { X15 };
                self.copy(spare, rhs);
                Rm::Reg(spare)
            }
            rhs => rhs,
        };
        self.copy(dst, lhs);
        self.legacy(op, dst, rhs, imm);
    }

    /// Two operands, in either form; `first` is the first source where AVX wants one and it is the destination.
    fn emit(&mut self, op: Op, reg: u8, first: u8, rm: Rm, imm: Option<u8>) {
        if self.features.avx { self.vex(op, reg, first, rm, imm) } else { self.legacy(op, reg, rm, imm) }
    }

    fn vex(&mut self, op: Op, reg: u8, first: u8, rm: Rm, imm: Option<u8>) {
        let (x, b) = rm.high_bits();
        let r = reg >> 3;
        let pp = match op.prefix {
            0x66 => 1,
            0xf3 => 2,
            0xf2 => 3,
            _ => 0,
        };
        let rest = (!first & 15) << 3 | pp;
        if x == 0 && b == 0 && !op.wide && op.map == 0x0f {
            self.buf.extend(&[0xc5, (r ^ 1) << 7 | rest]);
        } else {
            let map = match op.map {
                0x0f => 1,
                0x0f38 => 2,
                _ => 3,
            };
            let inverted = (r ^ 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5;
            self.buf.extend(&[0xc4, inverted | map, u8::from(op.wide) << 7 | rest]);
        }
        self.buf.push(op.code);
        self.operands(reg, rm, imm);
    }

    fn legacy(&mut self, op: Op, reg: u8, rm: Rm, imm: Option<u8>) {
        if op.prefix != 0 {
            self.buf.push(op.prefix);
        }
        let (x, b) = rm.high_bits();
        let rex = u8::from(op.wide) << 3 | (reg >> 3) << 2 | x << 1 | b;
        if rex != 0 {
            self.buf.push(0x40 | rex);
        }
        match op.map {
            0x0f => self.buf.push(0x0f),
            map => self.buf.extend(&map.to_be_bytes()),
        }
        self.buf.push(op.code);
        self.operands(reg, rm, imm);
    }

    fn operands(&mut self, reg: u8, rm: Rm, imm: Option<u8>) {
        let reg = (reg & 7) << 3;
        match rm {
            Rm::Reg(rm) | Rm::General(rm) => self.buf.push(0xc0 | reg | (rm & 7)),
            Rm::Mem(address) => self.address(reg, address),
            Rm::Const(number) => {
                debug_assert!(imm.is_none(), "a constant operand ends its instruction");
                self.buf.push(reg | 5);
                let at = self.buf.position();
                let chain = &mut self.constants[number as usize - 1].uses.chain;
                self.buf.push_u32(std::mem::replace(chain, at));
            }
        }
        if let Some(imm) = imm {
            self.buf.push(imm);
        }
    }

    /// ModRM, SIB where it is needed, and the shortest displacement. `reg` is in its place.
    fn address(&mut self, reg: u8, address: Address) {
        const SIB: u8 = 4;
        const NEEDS_DISPLACEMENT: u8 = 5;
        let Parts { base, index, offset } = parts(address);
        let short = i8::try_from(offset);
        let mode = match short {
            Ok(0) if base & 7 != NEEDS_DISPLACEMENT => 0,
            Ok(_) => 0x40,
            Err(_) => 0x80,
        };
        if address.index().is_some() || base & 7 == SIB {
            self.buf.extend(&[mode | reg | SIB, (index & 7) << 3 | (base & 7)]);
        } else {
            self.buf.push(mode | reg | (base & 7));
        }
        match short {
            Ok(_) if mode == 0 => {}
            Ok(short) => self.buf.push_i8(short),
            Err(_) => self.buf.push_i32(offset),
        }
    }

    /// Puts the constants behind the function.
    pub(in crate::jit::x86_64) fn place_constants(&mut self) {
        let constants = std::mem::take(&mut self.constants);
        for &Constant { bits, mut uses } in constants.iter().filter(|constant| constant.uses.is_used()) {
            DynasmApi::align(&mut self.buf, 16, 0xcc);
            self.bind(&mut uses);
            self.buf.extend(&bits.to_le_bytes());
        }
        self.constants = constants;
        self.constants.clear();
    }
}

impl Rm {
    /// The top bits of index and base.
    fn high_bits(self) -> (u8, u8) {
        match self {
            Rm::Reg(rm) | Rm::General(rm) => (0, rm >> 3),
            Rm::Mem(address) => {
                let Parts { base, index, .. } = parts(address);
                (index >> 3, base >> 3)
            }
            Rm::Const(_) => (0, 0),
        }
    }
}
