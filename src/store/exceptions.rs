//! The exceptions of a store: those on their way, and those that its guests hold references to.
//!
//! An exception that is caught by a clause without a reference, and that nobody else was given a reference to, is dropped there and
//! then, which is the life of most. The others are looked for when they have become many: what the stack, tables,
//! globals, and exceptions that are found refer to stays. The stack is searched word by word, so that a number that looks like a
//! reference may keep one alive; references are numbers that no program computes by accident.
//!
//! # Safety
//! The stack is searched from the present frame up to the outermost entry of the thread, which is all mapped; results of `throw` are
//! read from the store's area for results.

#![allow(unsafe_code, reason = "searches the stack; see the module's Safety section")]

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{Pending, StoreOpaque};
use crate::jit::abi::{Global, Returned};
use crate::jit::unwind::Clause;
use crate::{Error, Exception, Frame, HeapType, Result, TagType, Trap, Val, ValType, trap};

/// The upper half of every reference.
const MARK: u64 = 0x6578_6e21;

/// What is counted for an exception beside its values.
const OVERHEAD: usize = 64;

/// Bytes of exceptions below which nobody looks for those that are unused.
const FEW: usize = 256 << 10;

/// A tag.
pub(crate) struct TagData {
    pub(crate) ty: TagType,
    /// The canonical number of its type.
    pub(crate) signature: u32,
}

/// An exception in a store.
struct Kept {
    tag: u32,
    values: Box<[Global]>,
    /// What was running where it has been on the other side of the host.
    frames: Vec<Frame>,
    /// Whether a guest was given a reference.
    referred: bool,
    /// Whether the host was.
    pinned: AtomicBool,
}

impl Kept {
    fn bytes(&self) -> usize {
        OVERHEAD + size_of_val(&*self.values)
    }
}

/// All of them, by the number in their references.
pub(super) struct Exceptions {
    slots: Vec<Option<Kept>>,
    free: Vec<u32>,
    bytes: usize,
    /// When to look for those that are unused.
    collect_at: usize,
}

impl Exceptions {
    pub(super) fn new() -> Exceptions {
        Exceptions { slots: Vec::new(), free: Vec::new(), bytes: 0, collect_at: FEW }
    }

    /// The number in what may be a reference.
    fn number(&self, bits: u64) -> Option<u32> {
        let number = bits as u32;
        let kept = |number: u32| self.slots.get(number as usize).is_some_and(Option::is_some);
        (bits >> 32 == MARK && kept(number)).then_some(number)
    }

    fn get(&self, bits: u64) -> &Kept {
        self.slots[bits as u32 as usize].as_ref().expect("a reference keeps its exception")
    }

    fn get_mut(&mut self, bits: u64) -> &mut Kept {
        self.slots[bits as u32 as usize].as_mut().expect("a reference keeps its exception")
    }

    fn insert(&mut self, kept: Kept) -> u64 {
        self.bytes += kept.bytes();
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.slots[number as usize] = Some(kept);
        MARK << 32 | u64::from(number)
    }

    fn remove(&mut self, number: u32) {
        if let Some(kept) = self.slots[number as usize].take() {
            self.bytes -= kept.bytes();
            self.free.push(number);
        }
    }

    /// Drops what was on its way, unless somebody has a reference to it.
    fn arrived(&mut self, bits: u64) {
        let kept = self.get(bits);
        if !kept.referred && !kept.pinned.load(Relaxed) {
            self.remove(bits as u32);
        }
    }
}

/// What is found to be in use.
struct Marks<'a> {
    exceptions: &'a Exceptions,
    marked: Vec<bool>,
    /// Found, and not yet looked into.
    found: Vec<u32>,
    words: usize,
}

impl Marks<'_> {
    fn word(&mut self, bits: u64) {
        self.words += 1;
        if let Some(number) = self.exceptions.number(bits)
            && !std::mem::replace(&mut self.marked[number as usize], true)
        {
            self.found.push(number);
        }
    }

    /// Goes on through exceptions that carry references to others.
    fn finish(mut self) -> (Vec<bool>, usize) {
        while let Some(number) = self.found.pop() {
            let values = self.exceptions.slots[number as usize].as_ref().map_or(&[][..], |kept| &kept.values);
            values.iter().for_each(|value| self.word(u128::from_le_bytes(value.0) as u64));
        }
        (self.marked, self.words)
    }
}

impl StoreOpaque {
    /// Makes room, where there may be unused ones.
    #[cold]
    fn collect_exceptions(&mut self) {
        let exceptions = &self.exceptions;
        let marked = vec![false; exceptions.slots.len()];
        let mut marks = Marks { exceptions, marked, found: Vec::new(), words: 0 };
        // SAFETY: as the function asks; what is found is only looked up by its number.
        unsafe { trap::search_stack(|word| marks.word(word)) };
        for table in self.tables.iter().map(|table| table.get()).filter(|table| table.holds(HeapType::Exn)) {
            (0..table.abi.len).for_each(|index| marks.word(table.get(index).unwrap_or(0)));
        }
        for global in self.globals.iter().filter(|global| holds_exception(global.ty.content())) {
            // SAFETY: the place lives as long as the store, whose guests wait.
            marks.word(u128::from_le_bytes(unsafe { global.place.read() }.0) as u64);
        }
        if let Some(Pending::Exception(bits)) = self.pending {
            marks.word(bits);
        }
        for (number, kept) in (0..).zip(&exceptions.slots) {
            if kept.as_ref().is_some_and(|kept| kept.pinned.load(Relaxed)) {
                marks.word(MARK << 32 | number);
            }
        }
        let (marked, words) = marks.finish();
        for (number, _) in (0..).zip(marked).filter(|(_, marked)| !marked) {
            self.exceptions.remove(number);
        }
        // So that looking for them takes a bounded part of the time that making them takes.
        self.exceptions.collect_at = FEW.max(2 * self.exceptions.bytes).max(words);
    }

    /// Keeps an exception, and gives a reference that must be used before the next is made.
    fn new_exception(&mut self, tag: u32, values: Box<[Global]>, frames: Vec<Frame>) -> Result<u64> {
        let kept = Kept { tag, values, frames, referred: false, pinned: AtomicBool::new(false) };
        let most = self.engine.config().max_exception_bytes;
        let bytes = kept.bytes();
        if self.exceptions.bytes + bytes > self.exceptions.collect_at.min(most) {
            self.collect_exceptions();
        }
        if self.exceptions.bytes + bytes > most {
            return Err(Error::Limit(format!("exceptions of {most} bytes in a store")));
        }
        Ok(self.exceptions.insert(kept))
    }

    /// `throw`: its values are in the area for results.
    pub(crate) fn throw(&mut self, tag: u32) -> Returned {
        let params = self.tags[tag as usize].ty.params();
        // SAFETY: compiled code wrote one for each; there is room for more than there are.
        let value = |(index, &ty): (usize, &ValType)| clean(unsafe { self.results.add(index).read() }, ty);
        let values: Box<[Global]> = params.iter().enumerate().map(value).collect();
        let thrown = self.new_exception(tag, values, Vec::new());
        self.fail(thrown.map_or_else(Pending::Error, Pending::Exception))
    }

    /// A host function's error, as the guest sees it: an exception of this store goes on there.
    pub(crate) fn raise(&mut self, error: Error) -> Pending {
        match error {
            Error::Exception(exception) if exception.store() == self.id => {
                let values = exception.values.iter().map(|value| value.to_raw(self.id)).collect();
                let thrown = self.new_exception(exception.tag.index(self), values, exception.trap.backtrace);
                thrown.map_or_else(Pending::Error, Pending::Exception)
            }
            error => Pending::Error(error),
        }
    }

    /// The tag of an exception.
    pub(crate) fn exception_tag(&self, bits: u64) -> u32 {
        self.exceptions.get(bits).tag
    }

    /// Takes an exception that no guest caught out of the store, as the error that the host gets.
    pub(crate) fn uncaught(&mut self, bits: u64, frames: Vec<Frame>) -> Error {
        let mut exception = self.exception(bits);
        let before = std::mem::take(&mut self.exceptions.get_mut(bits).frames);
        self.exceptions.arrived(bits);
        exception.trap = exception.trap.with_frames(before).with_frames(frames);
        Error::Exception(exception)
    }

    /// What a reference leads to.
    pub(crate) fn exception(&self, bits: u64) -> Exception {
        let kept = self.exceptions.get(bits);
        let types = self.tags[kept.tag as usize].ty.params();
        let values = kept.values.iter().zip(types).map(|(&raw, &ty)| Val::from_raw(raw, ty, self));
        Exception::of(crate::Tag::new_handle(self.id, kept.tag), values.collect())
    }

    /// Keeps an exception that the host has a reference to for as long as the store lives.
    pub(crate) fn pin_exception(&self, bits: u64) {
        self.exceptions.get(bits).pinned.store(true, Relaxed);
    }

    /// The exception that is on its way; none if something else is, or the guest is to stop.
    pub(crate) fn thrown(&mut self) -> Option<u64> {
        let Some(Pending::Exception(bits)) = self.pending else { return None };
        if self.interrupt.is_requested() {
            self.exceptions.arrived(bits);
            self.pending = Some(Pending::Trap(trap::TrapCode::Interrupted));
            return None;
        }
        Some(bits)
    }

    /// Hands what a clause asks for of the exception that is on its way to the function that catches it.
    pub(crate) fn caught(&mut self, bits: u64, clause: &Clause) {
        self.pending = None;
        let kept = self.exceptions.get_mut(bits);
        kept.referred |= clause.by_reference;
        let values = if clause.tag.is_some() { &kept.values[..] } else { &[] };
        let reference = clause.by_reference.then_some(Global(u128::from(bits).to_le_bytes()));
        for (index, &value) in values.iter().chain(&reference).enumerate() {
            // SAFETY: there is room for the values of any tag and a reference.
            unsafe { self.results.add(index).write(value) };
        }
        self.exceptions.arrived(bits);
    }

    /// Gives an exception of the host's making to the store.
    pub(crate) fn keep_exception(&mut self, exception: &Exception) -> Result<u64> {
        let values = exception.values.iter().map(|value| value.to_raw(self.id)).collect();
        self.new_exception(exception.tag.index(self), values, Vec::new())
    }
}

fn holds_exception(ty: ValType) -> bool {
    matches!(ty, ValType::Ref(ty) if ty.heap().top() == HeapType::Exn)
}

/// Compiled code writes no more than the value is long.
fn clean(raw: Global, ty: ValType) -> Global {
    let bits = u128::from_le_bytes(raw.0);
    let bits = match ty {
        ValType::I32 | ValType::F32 => bits & u128::from(u32::MAX),
        ValType::I64 | ValType::F64 | ValType::Ref(_) => bits & u128::from(u64::MAX),
        ValType::V128 => bits,
    };
    Global(bits.to_le_bytes())
}

impl Exception {
    fn of(tag: crate::Tag, values: Box<[Val]>) -> Exception {
        Exception { tag, values, trap: Trap::new(trap::TrapCode::UncaughtException) }
    }
}
