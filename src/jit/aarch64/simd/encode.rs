//! How vector instructions are written down, and the constants behind functions.
//!
//! An instruction is its word with registers and size at 0, in the form for 128 bits where there are two. The size of lanes
//! is the same field in all of them; what narrows or widens counts by the narrower.

use crate::jit::aarch64::{Assembler, X17, asm, jumps};
use crate::jit::lanes::Shape;
use crate::jit::ops::Width;
use dynasmrt::DynasmApi;

/// An instruction.
#[derive(Clone, Copy, Debug)]
pub(in crate::jit::aarch64) struct Op(pub(super) u32);

/// What makes an instruction's form for 128 bits, or of the upper half of its source.
const WHOLE: u32 = 1 << 30;

macro_rules! ops {
    ($($name:ident $word:literal;)*) => {
        $(pub(super) const $name: crate::jit::aarch64::simd::encode::Op = crate::jit::aarch64::simd::encode::Op($word);)*
    };
}
pub(super) use ops;

/// log2 of a lane's bytes.
pub(super) const fn log2(shape: Shape) -> u32 {
    shape.bits().ilog2() - 3
}

impl Op {
    /// For integer lanes of this many bytes, as log2.
    pub(super) const fn size(self, log2: u32) -> Op {
        Op(self.0 | log2 << 22)
    }

    /// For the shape's lanes: integers by their size, floats single or double.
    pub(super) const fn of(self, shape: Shape) -> Op {
        match shape {
            Shape::F32x4 => self,
            Shape::F64x2 => self.size(1),
            shape => self.size(log2(shape)),
        }
    }

    /// For 64 bits, or of the lower half.
    pub(super) const fn half(self) -> Op {
        Op(self.0 & !WHOLE)
    }
}

impl Assembler {
    pub(super) fn packed(&mut self, op: Op, d: u8, a: u8, b: u8) {
        self.buf.push_u32(op.0 | u32::from(b) << 16 | u32::from(a) << 5 | u32::from(d));
    }

    pub(super) fn packed_unary(&mut self, op: Op, d: u8, s: u8) {
        self.packed(op, d, s, 0);
    }

    /// With a number in the field above the registers'.
    pub(super) fn packed_imm(&mut self, op: Op, d: u8, s: u8, imm: u32) {
        self.packed_unary(Op(op.0 | imm << 16), d, s);
    }
}

/// The constants of the present function, and who waits for them.
#[derive(Debug, Default)]
pub(in crate::jit::aarch64) struct Constants {
    values: Vec<u128>,
    /// Loads, and the numbers of what they load.
    loads: Vec<(u32, u32)>,
}

impl Constants {
    /// From 1 on; 0 is zero's.
    pub(in crate::jit::aarch64) fn number_of(&mut self, bits: u128) -> u64 {
        if bits == 0 {
            return 0;
        }
        let place = self.values.iter().rev().take(16).position(|&value| value == bits);
        let index = place.map_or(self.values.len(), |place| self.values.len() - 1 - place);
        if index == self.values.len() {
            self.values.push(bits);
        }
        index as u64 + 1
    }
}

/// Loads from behind the function.
const LITERAL_S: u32 = 0x1c00_0000;
const LITERAL_D: u32 = 0x5c00_0000;
const LITERAL_Q: u32 = 0x9c00_0000;

impl Assembler {
    /// A vector that [`Masm::vector_const`](crate::jit::masm::Masm::vector_const) numbered.
    pub(in crate::jit::aarch64) fn numbered_const(&mut self, d: u8, number: u64) {
        let value = match number {
            0 => 0,
            number => self.constants.values[number as usize - 1],
        };
        if !self.repeated(d, value) {
            self.literal(LITERAL_Q, d, number as u32);
        }
    }

    /// Any vector.
    pub(super) fn packed_const(&mut self, d: u8, bits: u128) {
        let number = self.constants.number_of(bits);
        self.numbered_const(d, number);
    }

    /// A float that lies behind the function.
    pub(in crate::jit::aarch64) fn scalar_const(&mut self, width: Width, d: u8, bits: u64) {
        let number = self.constants.number_of(bits.into()) as u32;
        match width {
            Width::W32 => self.literal(LITERAL_S, d, number),
            Width::W64 => self.literal(LITERAL_D, d, number),
        }
    }

    /// Whether one instruction makes the vector, from 8 bits that repeat.
    fn repeated(&mut self, d: u8, value: u128) -> bool {
        let byte = value as u8;
        let low = value as u64;
        if value == u128::from(byte) * (u128::MAX / 0xff) {
            asm!(self; movi V(d).b16, u32::from(byte));
            return true;
        }
        let word = low as u32;
        if value != Shape::I32x4.splat(word.into()) {
            return false;
        }
        for (imm, not) in [(word, false), (!word, true)] {
            let shift = imm.trailing_zeros() / 8 * 8;
            if imm >> shift <= 0xff {
                self.shifted_byte(d, imm >> shift, shift, not);
                return true;
            }
        }
        false
    }

    /// In each 32 bits a byte, shifted left, or the inverse of that.
    fn shifted_byte(&mut self, d: u8, byte: u32, shift: u32, not: bool) {
        let inverse = if not { 1 << 29 } else { 0 };
        let (high, low) = (byte >> 5, byte & 0x1f);
        self.buf.push_u32(0x4f00_0400 | inverse | high << 16 | (shift / 8) << 13 | low << 5 | u32::from(d));
    }

    /// A load from behind the function; where that may be too far, the value is put together here.
    fn literal(&mut self, op: u32, d: u8, number: u32) {
        if !self.far {
            self.constants.loads.push((self.buf.position(), number));
            return self.buf.push_u32(op | u32::from(d));
        }
        let value = self.constants.values[number as usize - 1];
        let t = X17.number();
        self.imm(X17, value as u64);
        asm!(self; fmov D(d), X(t));
        if op == LITERAL_Q {
            self.imm(X17, (value >> 64) as u64);
            asm!(self; mov V(d).d[1], X(t));
        }
    }

    /// Behind the function: those that are loaded, each once.
    pub(in crate::jit::aarch64) fn place_constants(&mut self) {
        let mut loads = std::mem::take(&mut self.constants.loads);
        if !loads.is_empty() {
            self.align_impl();
        }
        loads.sort_unstable_by_key(|&(_, number)| number);
        for same in loads.chunk_by(|a, b| a.1 == b.1) {
            let here = self.buf.position();
            for &(at, number) in same {
                debug_assert_eq!(number, same[0].1);
                match jumps::with_distance(self.buf.field(at), jumps::distance(at, here)) {
                    Some(word) => self.buf.set_field(at, word),
                    None => self.out_of_reach = true,
                }
            }
            self.buf.extend(&self.constants.values[same[0].1 as usize - 1].to_le_bytes());
        }
        loads.clear();
        self.constants.loads = loads;
        self.constants.values.clear();
    }
}
