//! Leaving compiled code because of what the host's side said: to where an exception is caught, or out of the entry.
//!
//! Compiled code calls [`Context::unwind`](crate::jit::abi::Context::unwind) where a status is not 0. The machine's part of it
//! notes the registers that calls preserve; [`resume`] takes them from frame to frame, since a function may have saved what a
//! frame further out needs; and the machine's part goes on where it is told, with these registers.
//!
//! # Safety
//! Only frames of compiled code lie between the one that called and the entry's stub: a host function that entered again has returned.
//! Their sizes, and the places of what they saved, are the compiler's.

#![allow(unsafe_code, reason = "walks frames; see the module's Safety section")]

use super::activation::{capture, innermost};
use super::machine::{Suspended, callee_saved};
use super::signals::walk;
use crate::code::{self, CodeInfo};
use crate::instance::InstanceData;
use crate::jit::abi::TrapCode;
use crate::jit::unwind::Clause;
use crate::store::StoreOpaque;

/// Sets where to go on.
///
/// # Safety
/// Called by the machine's part of it, for compiled code that an entry of this thread runs.
pub(super) unsafe extern "C" fn resume(suspended: &mut Suspended) {
    // SAFETY: compiled code has its context, that its store, which nothing borrows now, and an entry runs.
    let (store, link) = unsafe { (&mut *(*suspended.context()).store.cast::<StoreOpaque>(), &*innermost()) };
    let end = link.activation.stack_pointer as usize;
    if let Some(thrown) = store.thrown() {
        let tag = store.exception_tag(thrown);
        // SAFETY: the caller's promise.
        if let Some((landing, clause)) = unsafe { find_handler(*suspended, end, tag) } {
            store.caught(thrown, &clause);
            *suspended = landing;
            return;
        }
    }
    let registers = suspended.registers();
    let exit = code::find(registers.pc, |code| {
        // SAFETY: the registers are those of the call; no handler uses the capture meanwhile.
        unsafe { walk(&mut *capture(), TrapCode::Host, registers, code, end) };
        code.memory.at(code.trap_exit) as usize
    });
    suspended.pc = exit.expect("compiled code is registered");
    suspended.sp = end;
}

/// What a walk through one module's frames came to.
enum Step {
    Caught(Clause),
    /// The next frame is of another module.
    Elsewhere,
    Ended,
}

/// The registers at the landing pad of the clause that catches `tag`.
///
/// # Safety
/// The registers are those of a call of compiled code, with the entry's stub at `end` of the stack.
unsafe fn find_handler(mut at: Suspended, end: usize, tag: u32) -> Option<(Suspended, Clause)> {
    loop {
        // SAFETY: the caller's promise.
        let step = code::find(at.pc - 1, |code| unsafe {
            let step = search(code, &mut at, end, tag);
            if let Step::Caught(clause) = step {
                at.land(code.memory.at(clause.landing) as usize);
            }
            step
        })?;
        match step {
            Step::Caught(clause) => return Some((at, clause)),
            Step::Elsewhere => {}
            Step::Ended => return None,
        }
    }
}

/// Walks the frames of one module's code.
///
/// # Safety
/// As for [`find_handler`], in this code.
unsafe fn search(code: &CodeInfo, at: &mut Suspended, end: usize, tag: u32) -> Step {
    while code.memory.contains(at.pc - 1) {
        let Some(function) = code.code_at(at.pc - 1) else { return Step::Ended };
        // SAFETY: the caller's promise.
        if let Some(clause) = unsafe { catching(code, at, tag) } {
            return Step::Caught(clause);
        }
        if at.sp + function.frame as usize >= end {
            return Step::Ended;
        }
        // SAFETY: the caller's promise.
        unsafe { at.leave(&function) };
    }
    Step::Elsewhere
}

/// The clause around a call that catches `tag`.
///
/// # Safety
/// As for [`find_handler`], in this code.
unsafe fn catching(code: &CodeInfo, at: &Suspended, tag: u32) -> Option<Clause> {
    let pc = (at.pc - code.memory.base()) as u32;
    let mut handlers = code.unwind.handlers(pc).peekable();
    handlers.peek()?;
    // SAFETY: a function that catches is an instance's, whose context this is.
    let instance = unsafe { &*(*at.context()).instance.cast::<InstanceData>() };
    let clauses = |first: u32, end: u32| &code.unwind.clauses[first as usize..end as usize];
    let mut clauses = handlers.flat_map(|handler| clauses(handler.first, handler.end));
    clauses.find(|clause| clause.tag.is_none_or(|own| instance.tag(own) == tag)).copied()
}

/// Shows `look` every word of this thread's stack from here to the outermost entry, and those that registers hold.
///
/// # Safety
/// What `look` does with them must be right for any number.
#[inline(never)]
pub(crate) unsafe fn search_stack(mut look: impl FnMut(u64)) {
    let Some(end) = super::activation::outermost() else { return };
    let registers = callee_saved();
    registers.iter().for_each(|&word| look(word));
    let start = registers.as_ptr() as usize;
    for place in (start..end).step_by(size_of::<u64>()) {
        // SAFETY: of this thread's stack, between this frame and one further out.
        look(unsafe { (place as *const u64).read_volatile() });
    }
}
