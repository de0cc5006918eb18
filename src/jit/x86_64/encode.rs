//! The encoder of the instructions that code is mostly made of.
//!
//! dynasm has them too, but for registers that it sees only at run time it always takes a REX prefix, a SIB byte and a displacement,
//! and pushes each byte by itself. Here an instruction is put together in a word, without REX where it can be, and pushed at once.

use super::{Assembler, Parts, parts};
use crate::jit::masm::Address;
use crate::jit::ops::Width;

/// An opcode with what goes before it. Two words, so that it travels in registers and is a constant in each instruction's own code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    /// Prefix, REX and opcode, from the lowest byte.
    bytes: u64,
    /// From the lowest byte: how many these are; where REX is, in bits; and whether its register operand is a byte, of which
    /// some have no name without REX.
    form: u64,
}

impl Op {
    /// Of one byte or two.
    const fn new(code: u16) -> Op {
        let (code, len) = if code < 0x100 { (code, 2) } else { (code.swap_bytes(), 3) };
        Op { bytes: REX as u64 | (code as u64) << 8, form: len }
    }

    /// Behind one of 0x66, 0xf3 and 0xf2.
    const fn after(self, prefix: u8) -> Op {
        Op { bytes: self.bytes << 8 | prefix as u64, form: (self.form + 1) | (8 << 8) }
    }

    const fn wide(self) -> Op {
        self.sized(Width::W64)
    }

    const fn of_bytes(self) -> Op {
        Op { form: self.form | 1 << 16, ..self }
    }

    /// With operands of this width.
    pub(super) const fn sized(self, width: Width) -> Op {
        const W: u64 = 8;
        Op { bytes: self.bytes | (matches!(width, Width::W64) as u64 * W) << self.rex(), ..self }
    }
}

impl Op {
    const fn len(self) -> u8 {
        self.form as u8
    }

    const fn rex(self) -> u8 {
        (self.form >> 8) as u8
    }

    const fn is_byte(self) -> bool {
        self.form >> 16 != 0
    }
}

/// REX with nothing to say.
const REX: u8 = 0x40;

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

/// In ModRM, that a SIB byte follows.
const SIB: u8 = 4;

impl Assembler {
    /// `op reg, rm`.
    #[inline]
    pub(super) fn op_reg(&mut self, op: Op, reg: u8, rm: u8) {
        let modrm = 0xc0 | (reg & 7) << 3 | (rm & 7);
        let (word, len) = instruction(op, (reg >> 3) << 2 | rm >> 3, modrm.into(), 1);
        self.buf.put(word, len);
    }

    /// `op reg, place` or `op place, reg`. With an immediate operand, `reg` completes the opcode, and what is pushed next is the
    /// operand. Nothing here is left to a branch but room in the buffer: none of it can be foreseen. So a place has a SIB byte
    /// and a displacement, which nearly all need.
    pub(super) fn op_mem(&mut self, op: Op, reg: u8, place: Address) {
        let Parts { base, index, offset } = parts(place);
        let (mode, displacement) = if i32::from(offset as i8) == offset { (0x40, 1) } else { (0x80, 4) };
        let modrm = mode | (reg & 7) << 3 | SIB;
        let sib = (index & 7) << 3 | (base & 7);
        let high = (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3;
        let (word, len) = instruction(op, high, u64::from(modrm) | u64::from(sib) << 8, 2);
        self.buf.put_both((word, len), (offset as u32 as u64, displacement));
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

/// `op` with the `count` bytes of `operands` behind it, and with REX only where it says something: `high` is the top bits of
/// the registers.
#[inline]
fn instruction(op: Op, high: u8, operands: u64, count: usize) -> (u64, usize) {
    let word = op.bytes | u64::from(high) << op.rex() | operands << (8 * op.len());
    let superfluous = u8::from(word as u8 == REX && !op.is_byte());
    (word >> (8 * superfluous), count + usize::from(op.len() - superfluous))
}
