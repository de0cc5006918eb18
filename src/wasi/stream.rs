//! Streams: what standard input, output and error are made of.
//!
//! A stream has neither position nor size. It is not buffered here: a read takes no more from its source than the guest
//! asked for, a write is with its target when it returns.

use std::io::{IoSlice, IoSliceMut, Read};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kitbag_fs::FileType;
use rustix::event::PollFd;
use rustix::io::Errno as Os;

use super::Errno;
use super::sockets::Receive;
use super::types::FdFlags;
use super::waiting::Stop;

/// Something that is read from or written to in order. What a method is not implemented for is `EBADF`.
pub trait Stream: Send + Sync {
    /// What the guest is told that it is: [`FileType::CharacterDevice`] for a terminal and nothing else, since
    /// `isatty` of wasi-libc goes by that; [`FileType::Socket`] for what answers the functions of sockets.
    fn kind(&self) -> FileType {
        FileType::Unknown
    }

    /// Reads what is there, waiting for at least one byte; 0 at the end.
    ///
    /// # Errors
    /// Whatever the source answers.
    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        _ = buffers;
        Err(Errno::Badf)
    }

    /// Writes at least one byte of what is not empty, and says how many.
    ///
    /// # Errors
    /// `EPIPE` where nobody reads, and whatever else the target answers.
    fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        _ = buffers;
        Err(Errno::Badf)
    }

    /// Reads as a socket can; the default is [`Stream::read`].
    ///
    /// # Errors
    /// As [`Stream::read`].
    fn receive(&self, buffers: &mut [IoSliceMut<'_>], how: Receive) -> Result<usize, Errno> {
        _ = how;
        self.read(buffers)
    }

    /// Takes the next connection of a listening socket.
    ///
    /// # Errors
    /// `EINVAL`, the default, for what does not listen.
    fn accept(&self) -> Result<Arc<dyn Stream>, Errno> {
        Err(Errno::Inval)
    }

    /// Ends one or both directions of a connection.
    ///
    /// # Errors
    /// `ENOTCONN`, the default, for what is not connected.
    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        _ = how;
        Err(Errno::Notconn)
    }

    /// What `poll_oneoff` waits for; `None` for a stream that never makes anybody wait.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Bytes that can be read without waiting, as far as known.
    fn available(&self) -> u64 {
        self.descriptor().and_then(|fd| rustix::io::ioctl_fionread(fd).ok()).unwrap_or(0)
    }
}

/// Nothing: the end of input at once, and output that goes nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Null;

impl Stream for Null {
    fn read(&self, _: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        Ok(0)
    }

    fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        Ok(buffers.iter().map(|buffer| buffer.len()).sum())
    }
}

/// Input from memory.
#[derive(Debug)]
pub struct Input(Mutex<std::io::Cursor<Vec<u8>>>);

impl Input {
    /// A stream that gives these bytes and then ends.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Input {
        Input(Mutex::new(std::io::Cursor::new(bytes.into())))
    }
}

impl Stream for Input {
    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        lock(&self.0).read_vectored(buffers).map_err(|_| Errno::Io)
    }

    fn available(&self) -> u64 {
        let cursor = lock(&self.0);
        (cursor.get_ref().len() as u64).saturating_sub(cursor.position())
    }
}

/// Output into memory, up to a limit. Clones share it: one goes to the guest, one stays with whoever reads it.
#[derive(Clone, Debug)]
pub struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    limit: usize,
}

impl Capture {
    /// A stream that keeps up to `limit` bytes; more are `ENOSPC`.
    #[must_use]
    pub fn new(limit: usize) -> Capture {
        Capture { bytes: Arc::default(), limit }
    }

    /// What was written so far.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        lock(&self.bytes).clone()
    }

    /// Takes what was written so far, and makes room for as much again.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *lock(&self.bytes))
    }
}

impl Stream for Capture {
    fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let mut bytes = lock(&self.bytes);
        let room = self.limit.saturating_sub(bytes.len());
        let before = bytes.len();
        for buffer in buffers {
            let len = buffer.len().min(room - (bytes.len() - before));
            bytes.extend_from_slice(&buffer[..len]);
        }
        match bytes.len() - before {
            0 if buffers.iter().any(|buffer| !buffer.is_empty()) => Err(Errno::Nospc),
            count => Ok(count),
        }
    }
}

/// A stream of the host: one of its own standard streams, or any file, pipe or terminal.
///
/// Its flags are never changed (they are shared with other processes): where it is non-blocking already, and the guest
/// wants to wait, it is polled.
#[derive(Debug)]
pub struct HostStream<F>(F);

impl HostStream<std::io::Stdin> {
    /// The host's standard input.
    #[must_use]
    pub fn stdin() -> Self {
        HostStream(std::io::stdin())
    }
}

impl HostStream<std::io::Stdout> {
    /// The host's standard output.
    #[must_use]
    pub fn stdout() -> Self {
        HostStream(std::io::stdout())
    }
}

impl HostStream<std::io::Stderr> {
    /// The host's standard error.
    #[must_use]
    pub fn stderr() -> Self {
        HostStream(std::io::stderr())
    }
}

impl HostStream<OwnedFd> {
    /// A file, pipe or socket of the host.
    #[must_use]
    pub fn new(descriptor: impl Into<OwnedFd>) -> Self {
        HostStream(descriptor.into())
    }
}

impl<F: AsFd + Send + Sync> Stream for HostStream<F> {
    fn kind(&self) -> FileType {
        if rustix::termios::isatty(&self.0) { FileType::CharacterDevice } else { FileType::Unknown }
    }

    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        retry(self.0.as_fd(), Interest::Read, || rustix::io::readv(&self.0, buffers))
    }

    fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        retry(self.0.as_fd(), Interest::Write, || rustix::io::writev(&self.0, buffers))
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
}

impl Interest {
    pub(crate) fn flags(self) -> rustix::event::PollFlags {
        match self {
            Interest::Read => rustix::event::PollFlags::IN,
            Interest::Write => rustix::event::PollFlags::OUT,
        }
    }
}

/// Whether `stream` would not make its caller wait.
fn ready(stream: &dyn Stream, interest: Interest) -> bool {
    let Some(fd) = stream.descriptor() else { return true };
    let mut polled = [rustix::event::PollFd::from_borrowed_fd(fd, interest.flags())];
    rustix::event::poll(&mut polled, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
}

/// Whether a non-blocking `stream` would make its caller wait.
///
/// # Errors
/// `EAGAIN`.
pub(crate) fn would_wait(stream: &dyn Stream, flags: FdFlags, interest: Interest) -> Result<(), Errno> {
    if flags.contains(FdFlags::NONBLOCK) && !ready(stream, interest) { Err(Errno::Again) } else { Ok(()) }
}

/// Does what a signal interrupted again, and waits where the host's descriptor does not.
///
/// # Errors
/// The action's, and `EINTR` where the guest is to stop meanwhile.
pub(crate) fn retry<T>(
    fd: BorrowedFd<'_>,
    interest: Interest,
    mut action: impl FnMut() -> Result<T, Os>,
) -> Result<T, Errno> {
    let stop = Stop::of_guest();
    loop {
        stop.until_ready(fd, interest)?;
        match action() {
            Err(Os::INTR) => {}
            Err(Os::AGAIN) => _ = stop.poll(&mut vec![PollFd::from_borrowed_fd(fd, interest.flags())], None)?,
            result => return result.map_err(Errno::from),
        }
    }
}

/// A stream's state is whole after every step, so that a panic elsewhere does not make it unusable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_fills_up() {
        let capture = Capture::new(5);
        assert_eq!(capture.write(&[IoSlice::new(b"abc"), IoSlice::new(b"defg")]), Ok(5));
        assert_eq!(capture.write(&[IoSlice::new(b"h")]), Err(Errno::Nospc));
        assert_eq!(capture.write(&[IoSlice::new(b"")]), Ok(0));
        assert_eq!(capture.take(), b"abcde");
        assert_eq!(capture.write(&[IoSlice::new(b"h")]), Ok(1));
    }

    #[test]
    fn a_pipe_is_read_no_further_than_asked() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&writer, b"hello").unwrap();
        let stream = HostStream::new(reader);
        let mut three = [0; 3];
        assert_eq!(stream.read(&mut [IoSliceMut::new(&mut three)]), Ok(3));
        assert_eq!((&three, stream.available(), ready(&stream, Interest::Read)), (b"hel", 2, true));
        let mut rest = [0; 9];
        assert_eq!(stream.read(&mut [IoSliceMut::new(&mut rest)]), Ok(2));
        assert!(!ready(&stream, Interest::Read));
        drop(writer);
        assert_eq!(stream.read(&mut [IoSliceMut::new(&mut rest)]), Ok(0));
    }
}
