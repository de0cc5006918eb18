//! Labels, branches and how far they reach.
//!
//! A conditional branch reaches 1 MiB, a jump 128 MiB. Functions that are longer than the former are rare, so that all branches are
//! first taken to reach; where one does not, the function is emitted once more with a jump behind each branch.

use super::Assembler;
use crate::jit::masm::Label;
use crate::jit::ops::{Cond, Width};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

const B: u32 = 0x1400_0000;
const BL: u32 = 0x9400_0000;
const B_COND: u32 = 0x5400_0000;
const CBZ: u32 = 0x3400_0000;
const CBNZ: u32 = 0x3500_0000;
const NOP: u32 = 0xd503_201f;

/// Where the distance of a jump is in its word, and how many bits it has.
const fn field_of(word: u32) -> (u32, u32) {
    if (word >> 26) & 0x1f == 0x05 { (0, 26) } else { (5, 19) }
}

/// In instructions.
pub(super) fn distance(from: u32, to: u32) -> i32 {
    (to.wrapping_sub(from) as i32) / 4
}

/// The word with this distance, in instructions, if it reaches so far.
pub(super) fn with_distance(word: u32, distance: i32) -> Option<u32> {
    let (shift, bits) = field_of(word);
    let limit = 1 << (bits - 1);
    let mask = (1u32 << bits) - 1;
    let fits = (-limit..limit).contains(&distance);
    fits.then_some(word & !(mask << shift) | (distance as u32 & mask) << shift)
}

/// What the distance field holds while it waits: instructions back to the one that waits next, or 0.
fn link(word: u32) -> u32 {
    let (shift, bits) = field_of(word);
    word >> shift & ((1 << bits) - 1)
}

fn with_link(word: u32, link: u32) -> Option<u32> {
    let (shift, bits) = field_of(word);
    (link < 1 << bits).then_some(word | link << shift)
}

/// The number of a condition in instructions. A comparison of floats answers each with one, since it tells "unordered" apart.
pub(super) const fn condition_code(cond: Cond) -> u32 {
    match cond {
        Cond::Eq | Cond::FEq => 0x0,
        Cond::Ne | Cond::FNe => 0x1,
        Cond::GeU => 0x2,
        Cond::LtU => 0x3,
        Cond::FLt => 0x4,
        Cond::FNotLt => 0x5,
        Cond::GtU | Cond::FNotLe => 0x8,
        Cond::LeU | Cond::FLe => 0x9,
        Cond::GeS | Cond::FGe => 0xa,
        Cond::LtS | Cond::FNotGe => 0xb,
        Cond::GtS | Cond::FGt => 0xc,
        Cond::LeS | Cond::FNotGt => 0xd,
    }
}

/// "Overflow", and "unordered".
pub(super) const OVERFLOW: u32 = 0x6;

impl Assembler {
    /// Emits a jump's word, final for a bound label, else as a link of the label's chain. The chain is kept by the ends
    /// of its instructions, since one may be at 0.
    fn jump_word(&mut self, word: u32, label: &mut Label) {
        let at = self.buf.position();
        let word = if label.bound != 0 {
            with_distance(word, distance(at, label.bound - 1))
        } else {
            let back = if label.chain == 0 { 0 } else { (at + 4 - label.chain) / 4 };
            label.chain = at + 4;
            with_link(word, back)
        };
        self.out_of_reach |= word.is_none();
        self.buf.push_u32(word.unwrap_or(NOP));
    }

    pub(super) fn jump_impl(&mut self, label: &mut Label) {
        self.jump_word(B, label);
    }

    /// A call or a jump to another function.
    pub(super) fn jump_to_function(&mut self, call: bool, function: u32) {
        let field = self.buf.position();
        self.relocations.push(crate::jit::target::Relocation { field, function });
        self.buf.push_u32(if call { BL } else { B });
    }

    /// A conditional branch, or its opposite over a jump where that may be too far.
    fn conditional(&mut self, word: u32, opposite: u32, label: &mut Label) {
        let reaches = match label.bound {
            0 => !self.far,
            bound => with_distance(word, distance(self.buf.position(), bound - 1)).is_some(),
        };
        if reaches {
            self.jump_word(word, label);
        } else {
            self.buf.push_u32(with_distance(opposite, 2).expect("two instructions are near"));
            self.jump_word(B, label);
        }
    }

    pub(super) fn branch_code(&mut self, code: u32, label: &mut Label) {
        self.conditional(B_COND | code, B_COND | (code ^ 1), label);
    }

    /// Takes back a comparison with zero that was just emitted, for a branch that compares itself.
    pub(super) fn branch_impl(&mut self, cond: Cond, label: &mut Label) {
        let compared = self.zero_flag.take().filter(|&(.., at)| at == self.buf.position());
        match (cond, compared) {
            (Cond::Eq | Cond::Ne, Some((reg, width, at))) => {
                self.buf.truncate(at - 4);
                self.branch_zero(cond == Cond::Eq, width, reg, label);
            }
            _ => self.branch_code(condition_code(cond), label),
        }
    }

    /// Branches where the register is zero, or is not.
    pub(super) fn branch_zero(&mut self, zero: bool, width: Width, reg: Reg, label: &mut Label) {
        let operand = u32::from(reg.number()) | if width == Width::W64 { 1 << 31 } else { 0 };
        let (word, opposite) = if zero { (CBZ, CBNZ) } else { (CBNZ, CBZ) };
        self.conditional(word | operand, opposite | operand, label);
    }

    pub(super) fn bind_impl(&mut self, label: &mut Label) {
        let here = self.buf.position();
        let mut end = label.chain;
        while end != 0 && !self.out_of_reach {
            let at = end - 4;
            let word = self.buf.field(at);
            match with_distance(word, distance(at, here)) {
                Some(word) => self.buf.set_field(at, word),
                None => self.out_of_reach = true,
            }
            end = match link(word) {
                0 => 0,
                back => end - 4 * back,
            };
        }
        *label = Label { bound: here + 1, chain: 0 };
        self.zero_flag = None;
    }

    pub(super) fn align_impl(&mut self) {
        while !self.buf.position().is_multiple_of(16) {
            self.buf.push_u32(NOP);
        }
    }

    /// See [`Masm::reaches`](crate::jit::masm::Masm::reaches).
    pub(super) fn reaches_impl(&mut self, start: u32) -> bool {
        let reached = !self.out_of_reach;
        if !reached {
            self.buf.truncate(start);
            self.relocations.retain(|relocation| relocation.field < start);
        }
        self.far = !reached;
        self.out_of_reach = false;
        // What is emitted anew may come to the same position.
        self.zero_flag = None;
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_taken_as_far_as_it_reaches() {
        assert_eq!(with_distance(B, -1), Some(0x17ff_ffff));
        assert_eq!(with_distance(BL, (1 << 25) - 1), Some(0x95ff_ffff));
        assert_eq!(with_distance(B, 1 << 25), None);
        assert_eq!(with_distance(B_COND, -(1 << 18)), Some(0x5480_0000));
        assert_eq!(with_distance(B_COND, -(1 << 18) - 1), None);
        assert_eq!(with_distance(CBZ | 1 << 31, (1 << 18) - 1), Some(0xb47f_ffe0));
        assert_eq!(with_distance(CBNZ, 1 << 18), None);
    }
}
