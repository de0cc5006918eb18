//! What happens when nobody reads our standard output any more.
//!
//! Rust programs ignore `SIGPIPE`, so that a write to a closed pipe is an error; a C program dies of it. A guest is mostly
//! such a program: it prints without looking at the result, and under `kitbag … | head` it would go on until
//! the end of its work, or for ever. So the command takes the signal as programs do. The library leaves it alone,
//! and to a guest a write to a closed *socket* is an error either way.
//!
//! # Safety
//!
//! One call of `signal`, at the very start, before there are other threads or handlers.

#![allow(unsafe_code, reason = "std has no safe way to restore a signal's default action")]

/// Lets a write to a pipe without readers end this process.
pub(super) fn end_with_reader() {
    // SAFETY: SIG_DFL is a valid action for SIGPIPE and runs no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
