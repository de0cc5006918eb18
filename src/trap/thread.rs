//! What a thread needs before it can run guests: the bounds of its stack, and a stack for signals.
//!
//! Rust gives its threads a signal stack of a few KiB, which the vector registers of large machines nearly fill; a
//! handler that walks frames, and the handlers it passes faults on to, get more.
//!
//! # Safety
//! The signal stack is a mapping of the thread's own, told to the system before any guest runs and taken back
//! before it is unmapped, when the thread ends.

#![allow(unsafe_code, reason = "system calls about stacks; see the module's Safety section")]

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use crate::memory::Region;
use crate::{Error, Result};

/// Stack that is kept for host functions, whatever the guest uses.
const HEADROOM: u64 = 256 << 10;

/// Limits are rounded to this, so that entries from about the same depth share one.
const ROUND: u64 = 64 << 10;

const SIGNAL_STACK: usize = 64 << 10;

struct Thread {
    /// The lowest address of its stack.
    bottom: u64,
    /// The limit that its outermost entry set.
    limit: Cell<u64>,
    signal_stack: io::Result<Option<SignalStack>>,
}

thread_local! {
    static THREAD: Thread = Thread {
        bottom: stack_bottom(),
        limit: const { Cell::new(0) },
        signal_stack: SignalStack::install(),
    };
}

/// Below which the stack pointer must not go on this thread, in an entry from `here` that may use `most` bytes.
///
/// # Errors
/// [`Limit`](Error::Limit), where the system gives no signal stack.
pub(super) fn stack_limit(here: u64, most: u64, outermost: bool) -> Result<u64> {
    let limit = THREAD.try_with(|thread| {
        if let Err(error) = &thread.signal_stack {
            return Err(Error::Limit(format!("a stack for signals: {error}")));
        }
        if outermost {
            let own = here.saturating_sub(most) / ROUND * ROUND;
            thread.limit.set(own.max(thread.bottom.saturating_add(HEADROOM)));
        }
        Ok(thread.limit.get())
    });
    limit.unwrap_or_else(|_| Err(Error::Limit("the thread is ending".into())))
}

/// The lowest address of this thread's stack, or a guess where the system does not tell.
fn stack_bottom() -> u64 {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut address, mut size) = (ptr::null_mut(), 0);
    // SAFETY: the attributes are read only if they were written, and destroyed then.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return (ptr::from_ref(&size) as u64).saturating_sub(2 * HEADROOM);
        }
        libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut address, &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
    }
    address as u64
}

struct SignalStack(Region);

impl SignalStack {
    /// None if the thread has one that is large enough.
    fn install() -> io::Result<Option<SignalStack>> {
        let present = present_stack()?;
        if present.ss_flags & libc::SS_DISABLE == 0 && present.ss_size >= SIGNAL_STACK {
            return Ok(None);
        }
        let size = SIGNAL_STACK + rustix::param::page_size();
        let mut region = Region::reserve(size)?;
        region.extend(size)?;
        region.guard_below()?;
        set_stack(&libc::stack_t { ss_sp: region.base().cast(), ss_flags: 0, ss_size: size })?;
        Ok(Some(SignalStack(region)))
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        let ours = present_stack().is_ok_and(|stack| stack.ss_sp == self.0.base().cast());
        if ours {
            // An error would mean that it is in use, and it is not.
            _ = set_stack(&libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 });
        }
    }
}

fn present_stack() -> io::Result<libc::stack_t> {
    let mut present = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: written where it gives 0.
    unsafe {
        match libc::sigaltstack(ptr::null(), present.as_mut_ptr()) {
            0 => Ok(present.assume_init()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn set_stack(stack: &libc::stack_t) -> io::Result<()> {
    // SAFETY: none, or a mapping that lives until it is taken back.
    match unsafe { libc::sigaltstack(stack, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
