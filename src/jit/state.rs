//! The value stack and the registers: what the walk knows about where values are.

use super::env::Kind;
use super::masm::{Dst, Masm, Slot, Src, is_vector};
use super::ops::Cond;
use super::pins::Local;
use super::reg::{Reg, RegSet};
use std::fmt;

/// How far below the top of the stack values are looked for one by one.
const FAR: usize = 64;

/// Where a value that is pushed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loc {
    /// Known while compiling; an i32's or f32's upper half is zero. Of a v128 its number.
    Const(u64),
    /// In a temporary that is this value's alone; or already in the pin of the local that the next operator sets.
    Reg(Reg),
    /// In its own slot of the frame.
    Slot,
    /// A comparison's outcome, for the next operator to use.
    Flags(Cond),
}

/// A value of the stack, or taken off it for an operator. Where it is read from is worked out when it is pushed, so that taking
/// it asks nothing: a branch on what kind of place it is would be guessed wrong every other time.
///
/// Two words, for the reason that [`Src`] gives.
#[derive(Clone, Copy)]
pub(crate) struct Operand {
    /// From the lowest byte: which [`Src`] it is, its kind, and whether it is in a temporary; the upper half is its local.
    head: u64,
    /// The source's.
    word: u64,
}

/// Stands for "of no local": functions have fewer.
const NO_LOCAL: u32 = u32::MAX;

impl fmt::Debug for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {:?}", self.kind(), self.src())
    }
}

impl Operand {
    const KIND: u32 = 8;
    const TEMP: u32 = 16;
    const LOCAL: u32 = 32;

    /// What an operator keeps in a temporary of its own.
    #[inline]
    pub(crate) const fn temporary(kind: Kind, reg: Reg) -> Operand {
        Operand::new(kind, Src::Reg(reg), true)
    }

    /// In a register that is no temporary of its own, in its slot, or constant.
    #[inline]
    pub(crate) const fn at(kind: Kind, src: Src) -> Operand {
        Operand::new(kind, src, false)
    }

    #[inline]
    const fn new(kind: Kind, src: Src, is_temp: bool) -> Operand {
        Operand::pack(kind, src, is_temp, NO_LOCAL)
    }

    #[inline]
    const fn pack(kind: Kind, src: Src, is_temp: bool, local: u32) -> Operand {
        let (which, word) = src.parts();
        let head = which | (kind as u64) << Self::KIND | (is_temp as u64) << Self::TEMP | (local as u64) << Self::LOCAL;
        Operand { head, word }
    }

    /// The present value of a local that lives in `src`.
    pub(crate) const fn of_local(kind: Kind, local: u32, src: Src) -> Operand {
        Operand::pack(kind, src, false, local)
    }

    #[inline]
    pub(crate) const fn src(self) -> Src {
        Src::of_parts(self.head & 0xff, self.word)
    }

    #[inline]
    pub(crate) const fn kind(self) -> Kind {
        // As many as the mask lets through, so that there is no bound to check.
        const KINDS: [Kind; 8] =
            [Kind::I32, Kind::I64, Kind::F32, Kind::F64, Kind::V128, Kind::Ref, Kind::Ref, Kind::Ref];
        KINDS[(self.head >> Self::KIND) as usize & (KINDS.len() - 1)]
    }

    /// As another kind that has the same bits.
    pub(crate) const fn of_kind(self, kind: Kind) -> Operand {
        Operand { head: self.head & !(0xff << Self::KIND) | (kind as u64) << Self::KIND, ..self }
    }

    /// The temporary, if any, that is this value's alone, which an operator keeps busy until it releases it.
    #[inline]
    pub(crate) const fn temp(self) -> RegSet {
        RegSet::of_bit(self.head >> Self::TEMP & 1, self.word)
    }

    /// On the stack, the local whose present value it is, or [`NO_LOCAL`].
    #[inline]
    const fn local(self) -> u32 {
        (self.head >> Self::LOCAL) as u32
    }

    /// Whether it stays as it is whatever happens to registers and locals.
    fn is_settled(self) -> bool {
        self.temp().is_empty() && self.local() == NO_LOCAL && !matches!(self.src(), Src::Reg(_))
    }

    /// Its register, once it was brought into one.
    #[inline]
    pub(crate) fn reg(self) -> Reg {
        match self.src() {
            Src::Reg(reg) => reg,
            _ => unreachable!("the operand was brought into a register"),
        }
    }
}

/// The state between two operators, and the assembler that moves between states emit to.
#[derive(Debug)]
pub(crate) struct State<M> {
    pub(crate) m: M,
    pub(crate) stack: Vec<Operand>,
    pub(crate) locals: Vec<Local>,
    /// Temporaries of this function.
    temps: RegSet,
    /// Those that hold nothing.
    free: RegSet,
    /// Where the slots of the value stack begin.
    slots: u32,
    /// log2 of a slot's bytes.
    slot_shift: u32,
    /// On top of the stack, if there is one: a comparison's outcome.
    flags: Option<Cond>,
    /// Values from the bottom that are in their slots or constant.
    settled: usize,
    /// No value below this is in a temporary: where to begin looking for one, however high the stack.
    temps_from: usize,
    /// The higher one of these two: where the stack falls below it, they have to follow.
    marked: usize,
}

impl<M: Masm> State<M> {
    pub(crate) fn new(m: M) -> State<M> {
        State {
            m,
            stack: Vec::new(),
            locals: Vec::new(),
            temps: RegSet::EMPTY,
            free: RegSet::EMPTY,
            slots: 0,
            slot_shift: 3,
            flags: None,
            settled: 0,
            temps_from: 0,
            marked: 0,
        }
    }

    /// Before a function: what is not pinned is free.
    pub(crate) fn begin(&mut self, pinned: RegSet, slots: u32, slot_shift: u32) {
        self.stack.clear();
        self.temps = M::TEMPS.union(RegSet::of(M::UNSAVED_PINS)).minus(pinned);
        self.free = self.temps;
        (self.slots, self.slot_shift) = (slots, slot_shift);
        self.flags = None;
        (self.settled, self.temps_from, self.marked) = (0, 0, 0);
        for (index, local) in (0..).zip(&mut self.locals) {
            let src = local.pin.map_or(Src::Slot(local.home), Src::Reg);
            local.value = Operand::of_local(local.kind, index, src);
        }
    }

    /// The slot of the value at `index` of the stack.
    pub(crate) fn slot(&self, index: usize) -> Slot {
        Slot::at(self.slots + ((index as u32) << self.slot_shift))
    }

    // Pushing.

    #[inline(always)]
    pub(crate) fn push(&mut self, kind: Kind, loc: Loc) {
        let operand = match loc {
            Loc::Const(bits) => Operand::at(kind, Src::Imm(bits)),
            Loc::Reg(reg) => Operand::new(kind, Src::Reg(reg), self.temps.contains(reg)),
            Loc::Slot => Operand::at(kind, Src::Slot(self.slot(self.stack.len()))),
            Loc::Flags(cond) => return self.flags = Some(cond),
        };
        self.stack.push(operand);
    }

    #[inline(always)]
    pub(crate) fn push_reg(&mut self, kind: Kind, reg: Reg) {
        self.free.remove(reg);
        self.push(kind, Loc::Reg(reg));
    }

    #[inline(always)]
    pub(crate) fn push_local(&mut self, index: u32) {
        let local = &mut self.locals[index as usize];
        local.aliases += 1;
        self.stack.push(local.value);
    }

    // Taking.

    /// Where the value at `depth` from the top is, which stays on the stack.
    #[inline]
    pub(crate) fn peek(&self, depth: usize) -> (Kind, Src) {
        let value = &self.stack[self.stack.len() - 1 - depth];
        (value.kind(), value.src())
    }

    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Operand {
        debug_assert!(self.flags.is_none(), "flags are used by the operator after the one that set them");
        let operand = self.stack.pop().expect("validation counted the values");
        if self.stack.len() < self.marked {
            self.lower_marks();
        }
        if operand.local() != NO_LOCAL {
            self.locals[operand.local() as usize].aliases -= 1;
        }
        operand
    }

    /// After the stack fell below a mark.
    fn lower_marks(&mut self) {
        let height = self.stack.len();
        self.settled = self.settled.min(height);
        self.temps_from = self.temps_from.min(height);
        self.marked = height;
    }

    /// Whether a comparison's outcome is on top.
    pub(crate) fn has_flags(&self) -> bool {
        self.flags.is_some()
    }

    /// The outcome of a comparison on top, if it is one.
    #[inline]
    pub(crate) fn pop_flags(&mut self) -> Option<Cond> {
        self.flags.take()
    }

    #[inline]
    pub(crate) fn drop_top(&mut self) {
        if self.pop_flags().is_none() {
            let operand = self.pop();
            self.release(operand);
        }
    }

    pub(crate) fn truncate(&mut self, height: usize) {
        while self.stack.len() > height {
            self.drop_top();
        }
    }

    #[inline]
    pub(crate) fn release(&mut self, operand: Operand) {
        self.free_temps([operand.temp()]);
    }

    /// Frees what operands or a place kept busy.
    #[inline]
    pub(crate) fn free_temps<const N: usize>(&mut self, temps: [RegSet; N]) {
        for temp in temps {
            self.free = self.free.union(temp);
        }
    }

    #[inline]
    pub(crate) fn release_reg(&mut self, reg: Reg) {
        if self.temps.contains(reg) {
            self.free.insert(reg);
        }
    }

    /// The operand in a register: its own, or a temporary that it then keeps busy.
    #[inline]
    pub(crate) fn in_reg(&mut self, operand: &mut Operand) -> Reg {
        self.in_reg_but(operand, RegSet::EMPTY)
    }

    /// As [`State::in_reg`], in none of `avoid`.
    #[inline]
    pub(crate) fn in_reg_but(&mut self, operand: &mut Operand, avoid: RegSet) -> Reg {
        if let Src::Reg(reg) = operand.src()
            && !avoid.contains(reg)
        {
            return reg;
        }
        let reg = self.alloc_but(is_vector(operand.kind()), avoid);
        self.m.mov(operand.kind(), Dst::Reg(reg), operand.src());
        self.release(*operand);
        *operand = Operand::temporary(operand.kind(), reg);
        reg
    }

    // Registers.

    #[inline]
    pub(crate) fn alloc(&mut self, vector: bool) -> Reg {
        self.alloc_but(vector, RegSet::EMPTY)
    }

    /// The general temporaries that hold nothing.
    pub(crate) fn spares(&self) -> RegSet {
        self.free.class(false)
    }

    /// One of them, if there is one.
    pub(crate) fn spare(&self) -> Option<Reg> {
        self.spares().first()
    }

    /// A temporary in none of `avoid`; where none is free, the value deepest in the stack moves to its slot.
    #[inline]
    pub(crate) fn alloc_but(&mut self, vector: bool, avoid: RegSet) -> Reg {
        let reg = self.free.class(vector).minus(avoid).first();
        let reg = reg.unwrap_or_else(|| self.spill_one(vector, avoid));
        self.free.remove(reg);
        reg
    }

    #[cold]
    fn spill_one(&mut self, vector: bool, avoid: RegSet) -> Reg {
        let fits = |reg: Reg| reg.is_vector() == vector && !avoid.contains(reg) && self.temps.contains(reg);
        let in_temp = |&index: &usize| !self.stack[index].temp().is_empty();
        self.temps_from = (self.temps_from..self.stack.len()).find(in_temp).unwrap_or(self.stack.len());
        self.marked = self.marked.max(self.temps_from);
        let victim = (self.temps_from..self.stack.len())
            .find_map(|index| self.stack[index].temp().first().filter(|&reg| fits(reg)).map(|reg| (index, reg)));
        let (index, reg) = victim.expect("operators need fewer registers at once than there are");
        self.spill(index);
        reg
    }

    /// Makes sure that `reg` holds no value of the stack; it may still be an operand's.
    pub(crate) fn evict(&mut self, reg: Reg) {
        if self.free.contains(reg) {
            return;
        }
        let holder = (self.temps_from..self.stack.len()).find(|&index| self.stack[index].temp().contains(reg));
        if let Some(index) = holder {
            self.spill(index);
        }
    }

    /// Takes a register that nothing holds.
    pub(crate) fn take(&mut self, reg: Reg) {
        self.free.remove(reg);
    }

    // Slots.

    /// Moves the value at `index` to its slot, unless it is a constant or there already.
    pub(crate) fn spill(&mut self, index: usize) {
        let value = self.stack[index];
        if value.is_settled() {
            return;
        }
        self.release(value);
        if value.local() != NO_LOCAL {
            self.locals[value.local() as usize].aliases -= 1;
        }
        let slot = self.slot(index);
        self.m.mov(value.kind(), Dst::Slot(slot), value.src());
        self.stack[index] = Operand::at(value.kind(), Src::Slot(slot));
    }

    /// Settles the lowest `height` values: each in its slot, or constant. Flags stay.
    pub(crate) fn settle(&mut self, height: usize) {
        for index in self.settled..height {
            self.spill(index);
        }
        self.settled = self.settled.max(height);
        self.marked = self.marked.max(height);
    }

    /// Settles those of the lowest `height` values that are in temporaries, before a call destroys them.
    pub(crate) fn settle_temps(&mut self, height: usize) {
        for index in self.settled.max(self.temps_from)..height {
            if !self.stack[index].temp().is_empty() {
                self.spill(index);
            }
        }
        self.temps_from = self.temps_from.max(height);
        self.marked = self.marked.max(height);
    }

    /// Puts constants into their slots too.
    pub(crate) fn settle_consts(&mut self, from: usize) {
        for index in from..self.stack.len() {
            let (kind, src) = (self.stack[index].kind(), self.stack[index].src());
            if let Src::Imm(_) = src {
                let slot = self.slot(index);
                self.m.mov(kind, Dst::Slot(slot), src);
                self.stack[index] = Operand::at(kind, Src::Slot(slot));
            }
        }
    }

    /// Before a local changes: the values that stand for what it was get it.
    #[inline]
    pub(crate) fn unalias(&mut self, local: u32) {
        if self.locals[local as usize].aliases > 0 {
            self.copy_aliases(local);
        }
    }

    fn copy_aliases(&mut self, local: u32) {
        let mut index = self.stack.len();
        while self.locals[local as usize].aliases > 0 {
            index -= 1;
            if index + FAR < self.stack.len() {
                // Far down: all get their slots once, so that nobody looks for them again.
                return self.settle(index + 1);
            }
            let value = self.stack[index];
            if value.local() != local {
                continue;
            }
            match self.free.class(is_vector(value.kind())).first() {
                Some(reg) => {
                    self.m.mov(value.kind(), Dst::Reg(reg), value.src());
                    self.locals[local as usize].aliases -= 1;
                    self.free.remove(reg);
                    self.stack[index] = Operand::temporary(value.kind(), reg);
                    self.temps_from = self.temps_from.min(index);
                }
                None => self.spill(index),
            }
        }
    }

    /// After a merge or a call: no temporary holds anything that is not on the stack.
    pub(crate) fn free_all(&mut self) {
        self.free = self.temps;
    }

    /// Checks that registers and the stack agree: each temporary that is busy is one value's, each alias counted.
    #[cfg(debug_assertions)]
    pub(crate) fn check(&self) {
        let mut busy = RegSet::EMPTY;
        let mut aliases = vec![0; self.locals.len()];
        for (index, value) in self.stack.iter().enumerate() {
            if let Some(reg) = value.temp().first() {
                assert_eq!(value.src(), Src::Reg(reg), "value {index} is not in its temporary");
                assert!(!busy.contains(reg), "{reg:?} holds two values");
                assert_eq!(reg.is_vector(), is_vector(value.kind()), "value {index} in a register of the other class");
                assert!(self.temps.contains(reg) && index >= self.temps_from, "value {index} in {reg:?}");
                busy.insert(reg);
            } else if value.local() != NO_LOCAL {
                let place = self.locals[value.local() as usize].value.src();
                assert_eq!(value.src(), place, "value {index} is not where its local is");
                aliases[value.local() as usize] += 1;
            } else if let Src::Reg(_) = value.src() {
                assert_eq!(index + 1, self.stack.len(), "a pin holds a value that is not about to be set");
            } else if let Src::Slot(slot) = value.src() {
                assert_eq!(slot, self.slot(index), "value {index} is in another one's slot");
            }
            assert!(index >= self.settled || value.is_settled(), "value {index} is not settled");
        }
        assert!(self.marked >= self.settled.max(self.temps_from), "a mark above the higher one");
        assert!(self.marked <= self.stack.len(), "a mark above the stack");
        assert_eq!(self.free, self.temps.minus(busy), "free registers");
        for (local, &count) in self.locals.iter().zip(&aliases) {
            assert_eq!(local.aliases, count, "aliases");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_give_back_what_was_packed() {
        let (general, vector) = (Reg::general(15), Reg::vector(13));
        let sources = [Src::Reg(general), Src::Reg(vector), Src::Slot(Slot::at(u32::MAX)), Src::Imm(u64::MAX)];
        for kind in [Kind::I32, Kind::I64, Kind::F32, Kind::F64, Kind::V128, Kind::Ref] {
            for src in sources {
                for operand in [Operand::at(kind, src), Operand::at(Kind::I32, src).of_kind(kind)] {
                    assert_eq!((operand.kind(), operand.src(), operand.local()), (kind, src, NO_LOCAL));
                    assert!(operand.temp().is_empty());
                }
                let operand = Operand::of_local(kind, 49_999, src);
                assert_eq!((operand.kind(), operand.src(), operand.local()), (kind, src, 49_999));
                assert!(operand.temp().is_empty());
            }
            for reg in [general, vector] {
                let operand = Operand::temporary(kind, reg);
                assert_eq!((operand.kind(), operand.reg(), operand.temp()), (kind, reg, RegSet::of(&[reg])));
            }
        }
    }
}
