//! `wasi_unstable`, the version before: the same functions, but for these four. (`sock_accept` came later; it is here too.)
//!
//! `filestat` has 56 bytes, since its `nlink` is a `u32`; `fd_seek` counts its `whence` from the position; a subscription has 56 bytes,
//! since one for a clock begins with an identifier of its own.

use kitbag_fs::Metadata;

use super::poll::{ClockLayout, poll_with};
pub use super::preview1::*;
use super::types::filestat;
use super::{Errno, WasiCtx, fds, files, paths};

/// Bytes of the record `filestat`, now and then.
const NOW: usize = 64;
const THEN: usize = 56;

const CLOCK: ClockLayout = ClockLayout { size: 56, id: 24, timeout: 32, flags: 48 };

/// [`fd_seek`](files::fd_seek), with 0 for the position, 1 for the end, 2 for the start.
///
/// # Errors
/// The same.
pub fn fd_seek(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    delta: i64,
    whence: u32,
    position: u32,
) -> Result<(), Errno> {
    let whence = match whence {
        0 => 1,
        1 => 2,
        2 => 0,
        _ => return Err(Errno::Inval),
    };
    files::fd_seek(memory, ctx, fd, delta, whence, position)
}

/// [`fd_filestat_get`](fds::fd_filestat_get), with a smaller record.
///
/// # Errors
/// The same.
pub fn fd_filestat_get(memory: &mut [u8], ctx: &mut WasiCtx, fd: u32, stat: u32) -> Result<(), Errno> {
    fds::put_metadata(memory, ctx, fd, stat, shorter)
}

/// [`path_filestat_get`](paths::path_filestat_get), with a smaller record.
///
/// # Errors
/// The same.
pub fn path_filestat_get(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    stat: u32,
) -> Result<(), Errno> {
    paths::put_metadata(memory, ctx, fd, lookup, [path, path_len, stat], shorter)
}

/// [`poll_oneoff`](super::poll::poll_oneoff), with larger subscriptions.
///
/// # Errors
/// The same.
pub fn poll_oneoff(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    subscriptions: u32,
    events: u32,
    count: u32,
    happened: u32,
) -> Result<(), Errno> {
    poll_with(memory, ctx, CLOCK, [subscriptions, events, count, happened])
}

/// The type's byte and the count of links share a word here.
fn shorter(short: &mut [u8; THEN], metadata: &Metadata) {
    let mut record = [0; NOW];
    filestat(&mut record, metadata);
    let links = u32::try_from(metadata.links).unwrap_or(u32::MAX);
    short[..20].copy_from_slice(&record[..20]);
    short[20..24].copy_from_slice(&links.to_le_bytes());
    short[24..].copy_from_slice(&record[32..]);
}
