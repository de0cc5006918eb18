//! Sockets: a guest has those that it was given before it started, and the connections that they accept.
//!
//! A socket is a [`Stream`], so that reading, writing and waiting need nothing of their own here. A listening socket that the
//! guest was given comes after its directories, since wasi-libc looks for those from 3 on until there is a gap.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use bitflags::bitflags;
use kitbag_fs::FileType;
use rustix::net::{RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags};

use super::iovec::Spans;
use super::stream::{self, Interest, Stream};
use super::table::{Descriptor, Handle};
use super::types::{FdFlags, Rights};
use super::{Errno, WasiCtx, guest};

bitflags! {
    /// How a message is received.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Receive: u16 {
        /// It stays where it is.
        const PEEK = 1;
        /// All that was asked for is waited for.
        const WAITALL = 2;
    }
}

/// A listening socket.
pub(crate) struct Listener(pub(crate) TcpListener);

impl Stream for Listener {
    fn kind(&self) -> FileType {
        FileType::Socket
    }

    fn accept(&self) -> Result<Arc<dyn Stream>, Errno> {
        let accept = || self.0.accept().map_err(|error| os_error(&error));
        let (connection, _) = stream::retry(self.0.as_fd(), Interest::Read, accept)?;
        Ok(Arc::new(Connection(connection)))
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

/// A connection. Sending on one that is broken is an error, never a signal to the host.
struct Connection(TcpStream);

impl Stream for Connection {
    fn kind(&self) -> FileType {
        FileType::Socket
    }

    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        self.receive(buffers, Receive::default())
    }

    fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        stream::retry(self.0.as_fd(), Interest::Write, || {
            rustix::net::sendmsg(&self.0, buffers, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
        })
    }

    fn receive(&self, buffers: &mut [IoSliceMut<'_>], how: Receive) -> Result<usize, Errno> {
        let mut flags = RecvFlags::empty();
        flags.set(RecvFlags::PEEK, how.contains(Receive::PEEK));
        flags.set(RecvFlags::WAITALL, how.contains(Receive::WAITALL));
        stream::retry(self.0.as_fd(), Interest::Read, || {
            rustix::net::recvmsg(&self.0, buffers, &mut RecvAncillaryBuffer::default(), flags)
        })
        .map(|message| message.bytes)
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        self.0.shutdown(how).map_err(|error| os_error(&error).into())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

fn os_error(error: &std::io::Error) -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO)
}

/// Takes a connection (`accept`). The new descriptor can be used for all that applies to a connection.
///
/// # Errors
/// `EBADF`; `ENOTSOCK`; `ENOTCAPABLE`, also for a socket that does not listen; `EINVAL` for unknown flags; `EAGAIN` from a non-blocking
/// one; `EMFILE`, before anything is accepted; `EFAULT`.
pub fn sock_accept(memory: &mut [u8], ctx: &mut WasiCtx, fd: u32, flags: u32, connection: u32) -> Result<(), Errno> {
    let descriptor = ctx.table.get(fd)?;
    let listener = descriptor.as_socket(Rights::SOCK_ACCEPT)?;
    guest::check(memory, connection, 4)?;
    let flags = FdFlags::new(flags)?;
    ctx.table.check_room()?;
    stream::would_wait(listener, descriptor.flags, Interest::Read)?;
    let mut accepted = Descriptor::stream(listener.accept()?, Rights::CONNECTION);
    accepted.flags = flags;
    let fd = ctx.table.insert(accepted)?;
    guest::put_u32(memory, connection, fd)
}

/// Receives a message (`recvmsg`).
///
/// # Errors
/// `EBADF`; `ENOTSOCK`; `ENOTCAPABLE`; `EINVAL` for unknown flags and as [`fd_read`](super::preview1::fd_read); `EAGAIN`; `EFAULT`; and those of the network.
#[allow(clippy::too_many_arguments, reason = "the signature is the text's")]
pub fn sock_recv(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    iovs: u32,
    count: u32,
    flags: u32,
    done: u32,
    flags_out: u32,
) -> Result<(), Errno> {
    let descriptor = ctx.table.get(fd)?;
    let socket = descriptor.as_socket(Rights::FD_READ)?;
    guest::check(memory, done, 4)?;
    guest::check(memory, flags_out, 2)?;
    let how = u16::try_from(flags).ok().and_then(Receive::from_bits).ok_or(Errno::Inval)?;
    let spans = Spans::new(memory, iovs, count)?;
    stream::would_wait(socket, descriptor.flags, Interest::Read)?;
    let received = spans.scatter(memory, |buffers| socket.receive(buffers, how))?;
    guest::put(memory, flags_out, [0; 2])?;
    guest::put_u32(memory, done, received as u32)
}

/// Sends a message (`sendmsg`). There are no flags.
///
/// # Errors
/// `EBADF`; `ENOTSOCK`; `ENOTCAPABLE`; `EINVAL` for any flag; as [`fd_write`](super::preview1::fd_write); and those of the network.
pub fn sock_send(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    iovs: u32,
    count: u32,
    flags: u32,
    done: u32,
) -> Result<(), Errno> {
    ctx.table.get(fd)?.as_socket(Rights::FD_WRITE)?;
    if flags != 0 {
        return Err(Errno::Inval);
    }
    super::files::fd_write(memory, ctx, fd, iovs, count, done)
}

/// Shuts a connection down (`shutdown`): 1 for receiving, 2 for sending, 3 for both.
///
/// # Errors
/// `EBADF`; `ENOTSOCK`; `ENOTCAPABLE`; `EINVAL`; `ENOTCONN`.
pub fn sock_shutdown(_: &mut [u8], ctx: &mut WasiCtx, fd: u32, how: u32) -> Result<(), Errno> {
    let socket = ctx.table.get(fd)?.as_socket(Rights::SOCK_SHUTDOWN)?;
    socket.shutdown(match how {
        1 => Shutdown::Read,
        2 => Shutdown::Write,
        3 => Shutdown::Both,
        _ => return Err(Errno::Inval),
    })
}

impl Descriptor {
    fn as_socket(&self, needed: Rights) -> Result<&dyn Stream, Errno> {
        match &self.handle {
            Handle::Stream(stream) if stream.kind() == FileType::Socket => {
                self.rights.need(needed)?;
                Ok(&**stream)
            }
            _ => Err(Errno::Notsock),
        }
    }
}
