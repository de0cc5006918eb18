//! Ending, signalling and yielding.

use super::{Errno, WasiCtx};

/// Sends the guest a signal. There is nobody to send it to: `ENOTSUP`, as wasmtime answers.
///
/// # Errors
/// `ENOTSUP`.
pub fn proc_raise(_: &mut [u8], _: &mut WasiCtx, _signal: u32) -> Result<(), Errno> {
    Err(Errno::Notsup)
}

/// Lets other threads of the host go first.
///
/// # Errors
/// None.
pub fn sched_yield(_: &mut [u8], _: &mut WasiCtx) -> Result<(), Errno> {
    std::thread::yield_now();
    Ok(())
}
