//! Entering compiled code and coming back from it, by return or by trap.
//!
//! Each entry is a link of its thread's chain, on the host's stack: a host function that enters again makes another link.
//! A trap leaves the innermost one. What the signal handler learns is kept in the thread's [`Capture`], since it
//! must not allocate.
//!
//! # Safety
//! A link is in the chain exactly while its entry runs. The handler runs on the thread whose chain and capture it uses, while
//! compiled code does, so nothing else uses them.

#![allow(unsafe_code, reason = "the chain of entries that signal handlers walk; see the module's Safety section")]

use std::cell::{Cell, UnsafeCell};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::{Frame, Trap, thread};
use crate::Result;
use crate::interrupt::Interrupt;
use crate::jit::abi::{Activation, TrapCode};
use crate::store::StoreOpaque;

/// Frames of a backtrace, at the most.
const FRAMES_MAX: usize = 64;

/// An entry that runs.
#[repr(C)]
pub(super) struct Link {
    pub(super) activation: Activation,
    pub(super) store: NonNull<StoreOpaque>,
    previous: *mut Link,
}

/// What the handler saw.
pub(super) struct Capture {
    code: TrapCode,
    count: usize,
    pcs: [usize; FRAMES_MAX],
}

impl Capture {
    pub(super) fn start(&mut self, code: TrapCode) {
        self.code = code;
        self.count = 0;
    }

    /// Whether there is room for another.
    pub(super) fn push(&mut self, pc: usize) -> bool {
        self.pcs[self.count] = pc;
        self.count += 1;
        self.count < FRAMES_MAX
    }
}

// Both are made without code and dropped without code, so that a handler can use them.
thread_local! {
    static INNERMOST: Cell<*mut Link> = const { Cell::new(ptr::null_mut()) };
    static CAPTURE: UnsafeCell<Capture> = const {
        UnsafeCell::new(Capture { code: TrapCode::Host, count: 0, pcs: [0; FRAMES_MAX] })
    };
}

/// The innermost entry of this thread, or null.
pub(super) fn innermost() -> *mut Link {
    INNERMOST.get()
}

/// What stops the guest that runs on this thread, and that called the host function that asks; none if no guest did, or
/// nobody has a handle to stop it.
pub(crate) fn running_interrupt() -> Option<Arc<Interrupt>> {
    // SAFETY: the innermost entry runs, so its store lives; nothing changes this part of it meanwhile.
    let interrupt = unsafe { &(*innermost().as_ref()?.store.as_ptr()).interrupt };
    interrupt.event().is_some().then(|| Arc::clone(interrupt))
}

/// Where the stack of the outermost entry of this thread ends, if there is an entry.
pub(super) fn outermost() -> Option<usize> {
    let links = std::iter::successors(NonNull::new(innermost()), |link| {
        // SAFETY: an entry that runs.
        NonNull::new(unsafe { link.as_ref().previous })
    });
    // SAFETY: as above.
    links.last().map(|link| unsafe { link.as_ref() }.activation.stack_pointer as usize)
}

pub(super) fn capture() -> *mut Capture {
    CAPTURE.with(UnsafeCell::get)
}

/// How a guest was left.
pub(crate) struct Captured {
    pub(crate) code: TrapCode,
    /// Addresses in the functions that ran, innermost first.
    pcs: Vec<usize>,
}

impl Captured {
    /// A host function, called by the host, failed: no guest ran.
    pub(crate) fn host() -> Captured {
        Captured { code: TrapCode::Host, pcs: Vec::new() }
    }

    fn take() -> Captured {
        // SAFETY: compiled code was left, so no handler uses it now.
        let capture = unsafe { &*capture() };
        Captured { code: capture.code, pcs: capture.pcs[..capture.count].to_vec() }
    }

    /// What ran. All but the innermost address are after the call that had not returned.
    pub(crate) fn frames(&self, store: &StoreOpaque) -> Vec<Frame> {
        let at = |(depth, &pc): (usize, &usize)| store.frame_at(if depth == 0 { pc } else { pc - 1 });
        self.pcs.iter().enumerate().filter_map(at).collect()
    }
}

/// Runs compiled code: `run` enters it with the activation it is given.
///
/// # Errors
/// A trap where there is no stack left to run it on, or the store is interrupted; what it left in the inner result, if it trapped.
///
/// # Safety
/// `run` calls an entry stub of a function of `store`, and nothing borrows the store.
pub(crate) unsafe fn enter(
    mut store: NonNull<StoreOpaque>,
    run: impl FnOnce(*mut Activation) -> u64,
) -> Result<std::result::Result<(), Captured>> {
    let previous = INNERMOST.get();
    // SAFETY: borrowed by nothing, and only here.
    unsafe { prepare_stack(store.as_mut(), previous.is_null())? };
    // SAFETY: as above, for a moment.
    let _running = Interrupt::enter(unsafe { &store.as_ref().interrupt });
    // SAFETY: as above. After this thread was noted, so that a request is seen here or signalled.
    if unsafe { store.as_ref().interrupt.is_requested() } {
        return Err(Trap::new(TrapCode::Interrupted).into());
    }
    crate::code::synchronize_thread();
    let mut link = Link { activation: Activation { stack_pointer: 0 }, store, previous };
    let link = &raw mut link;
    INNERMOST.set(link);
    // SAFETY: on this stack, until the end of this function.
    let left = run(unsafe { &raw mut (*link).activation });
    INNERMOST.set(previous);
    Ok(if left == 0 { Ok(()) } else { Err(Captured::take()) })
}

/// # Errors
/// A trap where there is no stack left.
fn prepare_stack(store: &mut StoreOpaque, outermost: bool) -> Result<()> {
    let here = ptr::from_ref(&outermost) as usize as u64;
    let limit = thread::stack_limit(here, store.engine().config().max_wasm_stack as u64, outermost)?;
    if here < limit {
        return Err(Trap::new(TrapCode::StackOverflow).into());
    }
    if store.stack_limit() != limit {
        store.set_stack_limit(limit);
    }
    Ok(())
}
