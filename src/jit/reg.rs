//! Registers by number, and sets of them.

use std::fmt;

/// A machine register: general ones are numbered from 0, vector ones from 32, each by the
/// machine's own encoding. As wide as all else that a [`Src`](super::masm::Src) may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reg(u64);

impl Reg {
    pub(crate) const fn general(number: u8) -> Reg {
        Reg(number as u64)
    }

    pub(crate) const fn vector(number: u8) -> Reg {
        Reg(32 + number as u64)
    }

    /// What [`Reg::word`] gave.
    pub(crate) const fn of_word(word: u64) -> Reg {
        Reg(word)
    }

    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    pub(crate) const fn is_vector(self) -> bool {
        self.0 >= 32
    }

    /// The machine's number, without the class.
    pub(crate) const fn number(self) -> u8 {
        (self.0 & 31) as u8
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_vector() { 'v' } else { 'r' }, self.number())
    }
}

/// A set of registers.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RegSet(u64);

impl RegSet {
    pub(crate) const EMPTY: RegSet = RegSet(0);
    const GENERAL: RegSet = RegSet(0xffff_ffff);

    pub(crate) const fn of(registers: &[Reg]) -> RegSet {
        let mut set = 0;
        let mut i = 0;
        while i < registers.len() {
            set |= 1 << registers[i].0;
            i += 1;
        }
        RegSet(set)
    }

    /// The register of this [`Reg::word`] if `bit` is 1, and none if it is 0.
    pub(crate) const fn of_bit(bit: u64, word: u64) -> RegSet {
        RegSet(bit << (word & 63))
    }

    pub(crate) const fn contains(self, reg: Reg) -> bool {
        self.0 & (1 << reg.0) != 0
    }

    pub(crate) const fn insert(&mut self, reg: Reg) {
        self.0 |= 1 << reg.0;
    }

    pub(crate) const fn remove(&mut self, reg: Reg) {
        self.0 &= !(1 << reg.0);
    }

    /// The general registers, by their numbers.
    pub(crate) const fn bits(self) -> u32 {
        self.0 as u32
    }

    pub(crate) const fn union(self, other: RegSet) -> RegSet {
        RegSet(self.0 | other.0)
    }

    pub(crate) const fn minus(self, other: RegSet) -> RegSet {
        RegSet(self.0 & !other.0)
    }

    /// The registers of one class.
    pub(crate) const fn class(self, vector: bool) -> RegSet {
        if vector { self.minus(RegSet::GENERAL) } else { RegSet(self.0 & RegSet::GENERAL.0) }
    }

    pub(crate) const fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The registers from the one with the highest number down.
    pub(crate) fn descending(self) -> impl Iterator<Item = Reg> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let number = rest.checked_ilog2()?;
            rest &= !(1 << number);
            Some(Reg(number.into()))
        })
    }

    /// The one with the lowest number.
    pub(crate) const fn first(self) -> Option<Reg> {
        if self.0 == 0 { None } else { Some(Reg(self.0.trailing_zeros() as u64)) }
    }
}

impl Iterator for RegSet {
    type Item = Reg;

    fn next(&mut self) -> Option<Reg> {
        let reg = self.first()?;
        self.remove(reg);
        Some(reg)
    }
}

impl fmt::Debug for RegSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(*self).finish()
    }
}
