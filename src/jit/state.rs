//! The value stack and the registers: what the walk knows about where values are.

use super::env::Kind;
use super::masm::{Dst, Masm, Src, is_vector};
use super::ops::Cond;
use super::pins::Local;
use super::reg::{Reg, RegSet};

/// How far below the top of the stack values are looked for one by one.
const FAR: usize = 64;

/// Where a value of the stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loc {
    /// Known while compiling; an i32's or f32's upper half is zero. Of a v128 its number.
    Const(u64),
    /// The present value of a local.
    Local(u32),
    /// In a temporary that is this value's alone; or already in the pin of the local that the next operator sets.
    Reg(Reg),
    /// In its own slot of the frame.
    Slot,
    /// A comparison's outcome, for the next operator to use.
    Flags(Cond),
}

/// A value of the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) kind: Kind,
    pub(crate) loc: Loc,
}

/// A value taken off the stack for an operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub(crate) kind: Kind,
    pub(crate) src: Src,
    /// The temporary that it keeps busy until it is released.
    pub(crate) temp: Option<Reg>,
}

impl Operand {
    /// What an operator keeps in a temporary of its own.
    pub(crate) fn temporary(kind: Kind, reg: Reg) -> Operand {
        Operand { kind, src: Src::Reg(reg), temp: Some(reg) }
    }

    /// Its register, once it was brought into one.
    pub(crate) fn reg(&self) -> Reg {
        match self.src {
            Src::Reg(reg) => reg,
            _ => unreachable!("the operand was brought into a register"),
        }
    }
}

/// The state between two operators, and the assembler that moves between states emit to.
#[derive(Debug)]
pub(crate) struct State<M> {
    pub(crate) m: M,
    pub(crate) stack: Vec<Value>,
    pub(crate) locals: Vec<Local>,
    /// Temporaries of this function.
    temps: RegSet,
    /// Those that hold nothing.
    free: RegSet,
    /// Where the slots of the value stack begin.
    slots: u32,
    /// log2 of a slot's bytes.
    slot_shift: u32,
    /// Values from the bottom that are in their slots or constant.
    settled: usize,
    /// No value below this is in a temporary: where to begin looking for one, however high the stack.
    temps_from: usize,
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
            settled: 0,
            temps_from: 0,
        }
    }

    /// Before a function: what is not pinned is free.
    pub(crate) fn begin(&mut self, pinned: RegSet, slots: u32, slot_shift: u32) {
        self.stack.clear();
        self.temps = M::TEMPS.union(RegSet::of(M::UNSAVED_PINS)).minus(pinned);
        self.free = self.temps;
        (self.slots, self.slot_shift) = (slots, slot_shift);
        (self.settled, self.temps_from) = (0, 0);
    }

    /// The slot of the value at `index` of the stack.
    pub(crate) fn slot(&self, index: usize) -> u32 {
        self.slots + ((index as u32) << self.slot_shift)
    }

    // Pushing.

    pub(crate) fn push(&mut self, kind: Kind, loc: Loc) {
        self.stack.push(Value { kind, loc });
    }

    pub(crate) fn push_reg(&mut self, kind: Kind, reg: Reg) {
        self.free.remove(reg);
        self.push(kind, Loc::Reg(reg));
    }

    pub(crate) fn push_local(&mut self, index: u32) {
        let local = &mut self.locals[index as usize];
        local.aliases += 1;
        let kind = local.kind;
        self.push(kind, Loc::Local(index));
    }

    // Taking.

    fn src_of(&self, index: usize) -> Src {
        match self.stack[index].loc {
            Loc::Const(bits) => Src::Imm(bits),
            Loc::Local(local) => self.local(local),
            Loc::Reg(reg) => Src::Reg(reg),
            Loc::Slot => Src::Slot(self.slot(index)),
            Loc::Flags(_) => unreachable!("flags are used by the operator after the one that set them"),
        }
    }

    /// Where a local's present value is.
    pub(crate) fn local(&self, index: u32) -> Src {
        let local = &self.locals[index as usize];
        local.pin.map_or(Src::Slot(local.home), Src::Reg)
    }

    /// Where the value at `depth` from the top is, which stays on the stack.
    pub(crate) fn peek(&self, depth: usize) -> (Kind, Src) {
        let index = self.stack.len() - 1 - depth;
        (self.stack[index].kind, self.src_of(index))
    }

    pub(crate) fn pop(&mut self) -> Operand {
        let index = self.stack.len() - 1;
        let Value { kind, loc } = self.stack[index];
        let src = self.src_of(index);
        self.stack.truncate(index);
        self.settled = self.settled.min(index);
        self.temps_from = self.temps_from.min(index);
        let temp = match loc {
            Loc::Reg(reg) if self.temps.contains(reg) => Some(reg),
            Loc::Local(local) => {
                self.locals[local as usize].aliases -= 1;
                None
            }
            _ => None,
        };
        Operand { kind, src, temp }
    }

    /// The outcome of a comparison on top, if it is one.
    pub(crate) fn pop_flags(&mut self) -> Option<Cond> {
        let &Value { loc: Loc::Flags(cond), .. } = self.stack.last()? else { return None };
        self.stack.pop();
        let height = self.stack.len();
        (self.settled, self.temps_from) = (self.settled.min(height), self.temps_from.min(height));
        Some(cond)
    }

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

    pub(crate) fn release(&mut self, operand: Operand) {
        if let Some(reg) = operand.temp {
            self.free.insert(reg);
        }
    }

    pub(crate) fn release_reg(&mut self, reg: Reg) {
        if self.temps.contains(reg) {
            self.free.insert(reg);
        }
    }

    /// The operand in a register: its own, or a temporary that it then keeps busy.
    pub(crate) fn in_reg(&mut self, operand: &mut Operand) -> Reg {
        self.in_reg_but(operand, RegSet::EMPTY)
    }

    /// As [`State::in_reg`], in none of `avoid`.
    pub(crate) fn in_reg_but(&mut self, operand: &mut Operand, avoid: RegSet) -> Reg {
        if let Src::Reg(reg) = operand.src
            && !avoid.contains(reg)
        {
            return reg;
        }
        let reg = self.alloc_but(is_vector(operand.kind), avoid);
        self.m.mov(operand.kind, Dst::Reg(reg), operand.src);
        self.release(*operand);
        (operand.src, operand.temp) = (Src::Reg(reg), Some(reg));
        reg
    }

    // Registers.

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
    pub(crate) fn alloc_but(&mut self, vector: bool, avoid: RegSet) -> Reg {
        let reg = self.free.class(vector).minus(avoid).first();
        let reg = reg.unwrap_or_else(|| self.spill_one(vector, avoid));
        self.free.remove(reg);
        reg
    }

    #[cold]
    fn spill_one(&mut self, vector: bool, avoid: RegSet) -> Reg {
        let fits = |reg: Reg| reg.is_vector() == vector && !avoid.contains(reg) && self.temps.contains(reg);
        let in_temp = |&index: &usize| matches!(self.stack[index].loc, Loc::Reg(_));
        self.temps_from = (self.temps_from..self.stack.len()).find(in_temp).unwrap_or(self.stack.len());
        let victim = (self.temps_from..self.stack.len()).find_map(|index| match self.stack[index].loc {
            Loc::Reg(reg) if fits(reg) => Some((index, reg)),
            _ => None,
        });
        let (index, reg) = victim.expect("operators need fewer registers at once than there are");
        self.spill(index);
        reg
    }

    /// Makes sure that `reg` holds no value of the stack; it may still be an operand's.
    pub(crate) fn evict(&mut self, reg: Reg) {
        if self.free.contains(reg) {
            return;
        }
        let holder = (self.temps_from..self.stack.len()).find(|&index| self.stack[index].loc == Loc::Reg(reg));
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
        let Value { kind, loc } = self.stack[index];
        match loc {
            Loc::Reg(reg) => self.free.insert(reg),
            Loc::Local(local) => self.locals[local as usize].aliases -= 1,
            Loc::Const(_) | Loc::Slot => return,
            Loc::Flags(_) => unreachable!("flags are used by the operator after the one that set them"),
        }
        let src = match loc {
            Loc::Local(local) => self.local(local),
            Loc::Reg(reg) => Src::Reg(reg),
            _ => return,
        };
        self.m.mov(kind, Dst::Slot(self.slot(index)), src);
        self.stack[index].loc = Loc::Slot;
    }

    /// Settles the lowest `height` values: each in its slot, or constant. Flags stay.
    pub(crate) fn settle(&mut self, height: usize) {
        for index in self.settled..height {
            self.spill(index);
        }
        self.settled = self.settled.max(height);
    }

    /// Settles those of the lowest `height` values that are in temporaries, before a call destroys them.
    pub(crate) fn settle_temps(&mut self, height: usize) {
        for index in self.settled.max(self.temps_from)..height {
            if let Loc::Reg(_) = self.stack[index].loc {
                self.spill(index);
            }
        }
        self.temps_from = self.temps_from.max(height);
    }

    /// Puts constants into their slots too.
    pub(crate) fn settle_consts(&mut self, from: usize) {
        for index in from..self.stack.len() {
            let Value { kind, loc } = self.stack[index];
            if let Loc::Const(bits) = loc {
                self.m.mov(kind, Dst::Slot(self.slot(index)), Src::Imm(bits));
                self.stack[index].loc = Loc::Slot;
            }
        }
    }

    /// Before a local changes: the values that stand for what it was get it.
    pub(crate) fn unalias(&mut self, local: u32) {
        let mut index = self.stack.len();
        while self.locals[local as usize].aliases > 0 {
            index -= 1;
            if index + FAR < self.stack.len() {
                // Far down: all get their slots once, so that nobody looks for them again.
                return self.settle(index + 1);
            }
            let Value { kind, loc } = self.stack[index];
            if loc != Loc::Local(local) {
                continue;
            }
            match self.free.class(is_vector(kind)).first() {
                Some(reg) => {
                    self.m.mov(kind, Dst::Reg(reg), self.local(local));
                    self.locals[local as usize].aliases -= 1;
                    self.free.remove(reg);
                    self.stack[index].loc = Loc::Reg(reg);
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
            match value.loc {
                Loc::Reg(reg) if self.temps.contains(reg) => {
                    assert!(!busy.contains(reg), "{reg:?} holds two values");
                    assert_eq!(
                        reg.is_vector(),
                        is_vector(value.kind),
                        "value {index} in a register of the other class"
                    );
                    busy.insert(reg);
                }
                Loc::Reg(_) => {
                    assert_eq!(index + 1, self.stack.len(), "a pin holds a value that is not about to be set")
                }
                Loc::Local(local) => aliases[local as usize] += 1,
                Loc::Flags(_) => assert_eq!(index + 1, self.stack.len(), "flags below the top"),
                Loc::Const(_) | Loc::Slot => {}
            }
            let settled = matches!(value.loc, Loc::Const(_) | Loc::Slot);
            assert!(index >= self.settled || settled, "value {index} is not settled");
        }
        assert_eq!(self.free, self.temps.minus(busy), "free registers");
        for (local, &count) in self.locals.iter().zip(&aliases) {
            assert_eq!(local.aliases, count, "aliases");
        }
    }
}
