//! The encoder of the instructions that code is mostly made of.
//!
//! dynasm has them too, but for registers that it sees only at run time it always takes a REX prefix, a SIB byte and a displacement,
//! and pushes each byte by itself. Here an instruction is put together in a word, is as short as it can be, and is
//! pushed at once: that took a tenth off the time of compiling, and as much off the code.

use super::{Assembler, Parts, parts};
use crate::jit::masm::Address;
use crate::jit::ops::Width;

/// An opcode with what goes before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    /// 0 (none), 0x66, 0xf3 or 0xf2.
    prefix: u8,
    /// One byte or two, the first one lowest.
    code: u16,
    /// REX.W.
    wide: bool,
    /// Whether its register operand is a byte.
    byte: bool,
}

impl Op {
    const fn new(code: u16) -> Op {
        Op { prefix: 0, code: code.swap_bytes() >> if code < 0x100 { 8 } else { 0 }, wide: false, byte: false }
    }

    const fn after(self, prefix: u8) -> Op {
        Op { prefix, ..self }
    }

    const fn wide(self) -> Op {
        Op { wide: true, ..self }
    }

    const fn of_bytes(self) -> Op {
        Op { byte: true, ..self }
    }

    /// With operands of this width.
    pub(super) const fn sized(self, width: Width) -> Op {
        Op { wide: matches!(width, Width::W64), ..self }
    }
}

pub(super) const LOAD32: Op = Op::new(0x8b);
pub(super) const LOAD64: Op = LOAD32.wide();
pub(super) const STORE8: Op = Op::new(0x88).of_bytes();
pub(super) const STORE16: Op = Op::new(0x89).after(0x66);
pub(super) const STORE32: Op = Op::new(0x89);
pub(super) const STORE64: Op = STORE32.wide();
pub(super) const STORE_IMM8: Op = Op::new(0xc6);
pub(super) const STORE_IMM16: Op = Op::new(0xc7).after(0x66);
pub(super) const STORE_IMM32: Op = Op::new(0xc7);
pub(super) const LOAD_ZX8: Op = Op::new(0x0fb6);
pub(super) const LOAD_ZX16: Op = Op::new(0x0fb7);
pub(super) const LOAD_SX8: Op = Op::new(0x0fbe);
pub(super) const LOAD_SX16: Op = Op::new(0x0fbf);
pub(super) const LOAD_SX32: Op = Op::new(0x63).wide();
pub(super) const LOAD_F32: Op = Op::new(0x0f10).after(0xf3);
pub(super) const LOAD_F64: Op = Op::new(0x0f10).after(0xf2);
pub(super) const LOAD_V128: Op = Op::new(0x0f10);
pub(super) const STORE_F32: Op = Op::new(0x0f11).after(0xf3);
pub(super) const STORE_F64: Op = Op::new(0x0f11).after(0xf2);
pub(super) const STORE_V128: Op = Op::new(0x0f11);
pub(super) const MOV_V128: Op = Op::new(0x0f28);
pub(super) const LEA: Op = Op::new(0x8d);
pub(super) const TEST: Op = Op::new(0x85);
pub(super) const IMUL: Op = Op::new(0x0faf);

/// An operation of the first group: its place in the opcodes, and in those with an immediate operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alu(u8);

pub(super) const ADD: Alu = Alu(0);
pub(super) const OR: Alu = Alu(1);
pub(super) const AND: Alu = Alu(4);
pub(super) const SUB: Alu = Alu(5);
pub(super) const XOR: Alu = Alu(6);
pub(super) const CMP: Alu = Alu(7);

impl Alu {
    /// With a register, then a register or memory.
    pub(super) const fn op(self, width: Width) -> Op {
        Op::new((self.0 << 3 | 3) as u16).sized(width)
    }
}

/// ModRM with a SIB byte.
const SIB: u8 = 4;

impl Assembler {
    /// `op reg, rm`.
    #[inline]
    pub(super) fn op_reg(&mut self, op: Op, reg: u8, rm: u8) {
        let modrm = 0xc0 | (reg & 7) << 3 | (rm & 7);
        self.instruction(op, (reg >> 3) << 2 | rm >> 3, false, modrm.into(), 1);
    }

    /// `op reg, place` or `op place, reg`, with the shortest form of the place. With an immediate operand, `reg` completes the
    /// opcode, and what is pushed next is the operand.
    pub(super) fn op_mem(&mut self, op: Op, reg: u8, place: Address) {
        const NEEDS_DISPLACEMENT: u8 = 5;
        let Parts { base, index, offset } = parts(place);
        let (mode, displacement) = match i8::try_from(offset) {
            Ok(0) if base & 7 != NEEDS_DISPLACEMENT => (0, 0),
            Ok(_) => (0x40, 1),
            Err(_) => (0x80, 4),
        };
        let needs_sib = place.index.is_some() || base & 7 == SIB;
        let rm = if needs_sib { SIB } else { base & 7 };
        let modrm = mode | (reg & 7) << 3 | rm;
        let sib = (index & 7) << 3 | (base & 7);
        let high = (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3;
        let operands = u64::from(modrm) | u64::from(sib) << 8;
        // The low bytes of these registers have no name without REX.
        let with_rex = op.byte && reg >= 4;
        self.instruction(op, high, with_rex, operands, 1 + usize::from(needs_sib));
        if displacement > 0 {
            self.buf.put(offset as u32 as u64, displacement);
        }
    }

    /// `op` with the `count` bytes of `operands` behind it, and REX where `high`, the top bits of the registers, or `with_rex` asks for it.
    #[inline]
    fn instruction(&mut self, op: Op, high: u8, with_rex: bool, operands: u64, count: usize) {
        let code_bytes = 1 + usize::from(op.code > 0xff);
        let mut word = operands << (8 * code_bytes) | u64::from(op.code);
        let rex = u8::from(op.wide) << 3 | high;
        let has_rex = usize::from(rex != 0 || with_rex);
        word = word << (8 * has_rex) | u64::from((0x40 | rex) * has_rex as u8);
        let has_prefix = usize::from(op.prefix != 0);
        word = word << (8 * has_prefix) | u64::from(op.prefix);
        self.buf.put(word, count + code_bytes + has_rex + has_prefix);
    }

    /// `op dst, bits`: the short form where it fits.
    pub(super) fn alu_imm(&mut self, op: Alu, width: Width, dst: u8, bits: i32) {
        let short = i8::try_from(bits).is_ok();
        self.op_reg(Op::new(if short { 0x83 } else { 0x81 }).sized(width), op.0, dst);
        self.immediate(bits, short);
    }

    /// `op place, bits`, as [`Assembler::alu_imm`].
    pub(super) fn alu_mem_imm(&mut self, op: Alu, width: Width, place: Address, bits: i32) {
        let short = i8::try_from(bits).is_ok();
        self.op_mem(Op::new(if short { 0x83 } else { 0x81 }).sized(width), op.0, place);
        self.immediate(bits, short);
    }

    fn immediate(&mut self, bits: i32, short: bool) {
        self.buf.put(bits as u32 as u64, if short { 1 } else { 4 });
    }
}
