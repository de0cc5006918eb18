//! Sockets. A guest can only have those that it was given before it started, and so far none are.

use super::{Errno, WasiCtx};

/// Takes a connection.
///
/// # Errors
/// `EBADF`, `ENOTSOCK`.
pub fn sock_accept(_: &mut [u8], ctx: &mut WasiCtx, fd: u32, _flags: u32, _connection: u32) -> Result<(), Errno> {
    no_socket(ctx, fd)
}

/// Receives a message.
///
/// # Errors
/// `EBADF`, `ENOTSOCK`.
#[allow(clippy::too_many_arguments, reason = "the signature is the text's")]
pub fn sock_recv(
    _: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    _iovs: u32,
    _count: u32,
    _flags: u32,
    _done: u32,
    _flags_out: u32,
) -> Result<(), Errno> {
    no_socket(ctx, fd)
}

/// Sends a message.
///
/// # Errors
/// `EBADF`, `ENOTSOCK`.
pub fn sock_send(
    _: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    _iovs: u32,
    _count: u32,
    _flags: u32,
    _done: u32,
) -> Result<(), Errno> {
    no_socket(ctx, fd)
}

/// Shuts a connection down.
///
/// # Errors
/// `EBADF`, `ENOTSOCK`.
pub fn sock_shutdown(_: &mut [u8], ctx: &mut WasiCtx, fd: u32, _how: u32) -> Result<(), Errno> {
    no_socket(ctx, fd)
}

fn no_socket(ctx: &WasiCtx, fd: u32) -> Result<(), Errno> {
    ctx.table.get(fd).and(Err(Errno::Notsock))
}
