//! What has to happen between writing code and running it, on any thread.
//!
//! x86_64 keeps instruction fetch and data coherent by itself. On aarch64 who writes code cleans the data cache to where
//! instructions are fetched from and drops what was fetched from there before; then every thread that will run the code
//! needs a context synchronisation of its own, since it may have fetched ahead. One system call, `membarrier`, makes all threads of
//! the process have one. Where the system does not have it, each thread does so before it enters compiled code, and when
//! it takes code into a store, which it may run without entering again.
//!
//! # Safety
//! Cache maintenance by address changes nothing that a program can see but what it is for, on memory that the caller owns.

#![cfg_attr(
    target_arch = "aarch64",
    allow(unsafe_code, reason = "cache maintenance and a barrier; see the module's Safety section")
)]

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::synchronize_thread;
#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::{announce, publish};

/// Makes code that was written as data visible to all threads.
#[cfg(not(target_arch = "aarch64"))]
pub(super) fn publish(_code: &[u8]) {}

/// As [`publish`], of code that the system has put there.
#[cfg(not(target_arch = "aarch64"))]
pub(super) fn announce() {}

/// What a thread does before it runs code that another may have written.
#[cfg(not(target_arch = "aarch64"))]
#[inline]
pub(crate) fn synchronize_thread() {}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::asm;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    /// Set where threads have to synchronise themselves. Before that no thread has run code that needs it, since whoever publishes
    /// code sets it first.
    static BY_THEMSELVES: AtomicBool = AtomicBool::new(false);

    /// Commands of `membarrier`.
    const PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
    const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 6;

    pub(in crate::code) fn publish(code: &[u8]) {
        maintain(code);
        announce();
    }

    pub(in crate::code) fn announce() {
        if !is_registered() || !barrier(PRIVATE_EXPEDITED_SYNC_CORE) {
            BY_THEMSELVES.store(true, Relaxed);
        }
        // This thread, whatever the system did.
        synchronize();
    }

    #[inline]
    pub(crate) fn synchronize_thread() {
        if BY_THEMSELVES.load(Relaxed) {
            synchronize();
        }
    }

    fn synchronize() {
        // SAFETY: a barrier.
        unsafe { asm!("isb", options(nostack, preserves_flags)) };
    }

    /// By lines, whose sizes the processor tells.
    fn maintain(code: &[u8]) {
        let types: u64;
        // SAFETY: readable by all.
        unsafe { asm!("mrs {}, ctr_el0", out(reg) types, options(nomem, nostack, preserves_flags)) };
        let data = 4usize << (types >> 16 & 0xf);
        let instructions = 4usize << (types & 0xf);
        let range = code.as_ptr_range();
        let lines = |size: usize| (range.start as usize & !(size - 1)..range.end as usize).step_by(size);
        for line in lines(data) {
            // SAFETY: in the code, or in the line that it begins in.
            unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
        }
        // SAFETY: a barrier.
        unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
        for line in lines(instructions) {
            // SAFETY: as above.
            unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
        }
        // SAFETY: a barrier.
        unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    }

    /// Whether the process may ask for the barrier, which it says once.
    fn is_registered() -> bool {
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        *REGISTERED.get_or_init(|| barrier(REGISTER_PRIVATE_EXPEDITED_SYNC_CORE))
    }

    fn barrier(command: i32) -> bool {
        // SAFETY: no memory is passed.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }
}
