//! A connection as HTTP sees it: it does not wait for ever, and hands the kernel pages of the archive's file instead of
//! copies of them.
//!
//! A client may be silent between requests for so long, may take so long for the head of a request, and has to take 16 KiB of an
//! answer within so long. While the server has something to do for it nothing is expected of it.
//!
//! By HTTP/2 a client can also keep an answer waiting that the socket would take, by giving it no window: what was handed on of a
//! body and is not followed by more in time ends the connection, as a socket that takes nothing does. Heads have no time
//! of their own there: frames of other kinds come between requests, and one that is not complete is idleness.
//!
//! Large bodies are slices of the archive's mapping. What a vectored write finds to be such a slice goes out by `sendfile` from
//! the archive's file, so that its bytes are neither copied nor looked at, nor is there anything to fault on when the file was
//! shortened.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::Version;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::state::lock;
use crate::bundle::Archive;

/// Bytes of a body that a client has to take, or send, in time.
pub(super) const PORTION: usize = 16 << 10;

/// How long what a client still sends is read, and thrown away, after the last answer, and how much of it: a socket that is
/// closed with something unread resets, which can take that answer back.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 1 << 20);

/// A slice that is worth a system call of its own.
const LARGE: usize = 32 << 10;

/// How long a client is waited for.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    pub(super) idle: Duration,
    pub(super) head: Duration,
    pub(super) stall: Duration,
}

/// What the requests of a connection tell it.
pub(super) struct Activity {
    in_flight: AtomicU64,
    begun: AtomicU64,
    two: AtomicBool,
    /// When the last request ended.
    quiet: Mutex<Instant>,
    /// By which times the client has to have taken what was handed on of bodies that have more, by the numbers of their requests.
    due: Mutex<BTreeMap<u64, Instant>>,
    stall: Duration,
    /// The archive whose slices are sent.
    archive: Mutex<Option<Arc<Archive>>>,
}

impl Activity {
    pub(super) fn new(patience: &Patience) -> Arc<Activity> {
        Arc::new(Activity {
            in_flight: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            two: AtomicBool::new(false),
            quiet: Mutex::new(Instant::now()),
            due: Mutex::default(),
            stall: patience.stall,
            archive: Mutex::default(),
        })
    }

    /// Counts a request until [`Activity::end`]; its number is its own.
    pub(super) fn begin(&self, version: Version) -> u64 {
        self.in_flight.fetch_add(1, Relaxed);
        self.two.store(version == Version::HTTP_2, Relaxed);
        self.begun.fetch_add(1, Relaxed)
    }

    /// Says that `bytes` of a request's answer were handed on, and that there are more.
    pub(super) fn hands(&self, request: u64, bytes: usize) {
        let portions = u32::try_from(bytes / PORTION + 1).unwrap_or(u32::MAX);
        let due = self.stall.checked_mul(portions).and_then(|time| Instant::now().checked_add(time));
        due.and_then(|due| lock(&self.due).insert(request, due));
    }

    /// Says that the client has taken them, or need not.
    pub(super) fn taken(&self, request: u64) {
        lock(&self.due).remove(&request);
    }

    pub(super) fn end(&self) {
        if self.in_flight.fetch_sub(1, Relaxed) == 1 {
            *lock(&self.quiet) = Instant::now();
        }
    }

    /// Says that slices of this archive are sent.
    pub(super) fn sends(&self, archive: &Arc<Archive>) {
        let mut known = lock(&self.archive);
        if known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, archive)) {
            *known = Some(Arc::clone(archive));
        }
    }
}

/// A client's connection.
pub(super) struct Connection {
    stream: TcpStream,
    activity: Arc<Activity>,
    patience: Patience,
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when part of a head is there, and how many requests had begun then.
    head: Option<(Instant, u64)>,
    /// Since when the client takes nothing, and what it took since then.
    stalled: Option<(Instant, usize)>,
    /// When it took something last.
    took: Instant,
    /// Until when the client is listened to after the end, and how much may come.
    lingering: Option<(Instant, usize)>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>, patience: Patience) -> Connection {
        let took = Instant::now();
        Connection { stream, activity, patience, timer: None, head: None, stalled: None, took, lingering: None }
    }

    /// When the client has been silent for too long; never while it waits for an answer, or has one to take.
    fn read_deadline(&mut self) -> Option<Instant> {
        if self.activity.in_flight.load(Relaxed) > 0 {
            return lock(&self.activity.due).values().min().copied();
        }
        if self.stalled.is_some() {
            return None;
        }
        let begun = self.activity.begun.load(Relaxed);
        let two = self.activity.two.load(Relaxed);
        self.head = self.head.filter(|&(_, before)| before == begun && !two);
        let idle = (*lock(&self.activity.quiet)).max(self.took) + self.patience.idle;
        Some(self.head.map_or(idle, |(since, _)| idle.min(since + self.patience.head)))
    }

    /// Waits no longer than to `deadline`.
    ///
    /// # Errors
    /// It has passed.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> io::Result<()> {
        let Some(deadline) = deadline else { return Ok(()) };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if timer.deadline().into_std() > deadline {
            timer.as_mut().reset(deadline.into());
        }
        // One that is early is set anew: most deadlines move before they are reached.
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            timer.as_mut().reset(deadline.into());
        }
        Ok(())
    }

    /// Waits until the socket takes something, and gives it to it.
    fn poll_send(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => {
                    let (since, _) = *self.stalled.get_or_insert_with(|| (Instant::now(), 0));
                    self.poll_deadline(cx, Some(since + self.patience.stall))?;
                    return Poll::Pending;
                }
            }
            match self.stream.try_io(Interest::WRITABLE, || self.send(slices)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => {
                    self.rest_if_full(&sent, slices);
                    if let Ok(count) = &sent {
                        self.took = Instant::now();
                        self.stalled = self
                            .stalled
                            .map(|(since, taken)| (since, taken + count))
                            .filter(|&(_, taken)| taken < PORTION);
                    }
                    return Poll::Ready(sent);
                }
            }
        }
    }

    /// Leaves a socket that took a part alone until it has room for much: what goes out in small pieces costs both ends more.
    fn rest_if_full(&self, sent: &io::Result<usize>, slices: &[IoSlice<'_>]) {
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        let full = || {
            let mut socket = [PollFd::new(&self.stream, PollFlags::OUT)];
            // What asks whether there is room is also told by the system when there is.
            matches!(poll(&mut socket, Some(&Timespec::default())), Ok(0))
        };
        if sent.as_ref().is_ok_and(|&sent| sent < all) && full() {
            _ = self.stream.try_io(Interest::WRITABLE, || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into()));
        }
    }

    /// Reads on until the client has seen the end, or for a while.
    fn poll_linger(&mut self, cx: &mut Context<'_>, (until, most): (Instant, usize)) -> Poll<()> {
        let mut left = most;
        let mut scratch = [0; 4096];
        while left > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => left = left.saturating_sub(buffer.filled().len()),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if self.poll_deadline(cx, Some(until)).is_err() => return Poll::Ready(()),
                Poll::Pending => {
                    self.lingering = Some((until, left));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }

    fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some((at, offset)) = self.first_of_archive(slices) else { return self.send_bytes(slices, false) };
        if at == 0 {
            return self.send_pages(offset, slices[0].len());
        }
        let before: usize = slices[..at].iter().map(|slice| slice.len()).sum();
        let sent = self.send_bytes(&slices[..at], true)?;
        if sent < before {
            return Ok(sent);
        }
        // What comes of the pages is told by the next write, if it is not good.
        Ok(sent + self.send_pages(offset, slices[at].len()).unwrap_or(0))
    }

    /// The first large slice that is pages of the archive, and where they lie in its file.
    fn first_of_archive(&self, slices: &[IoSlice<'_>]) -> Option<(usize, u64)> {
        let (at, slice) = slices.iter().enumerate().find(|(_, slice)| slice.len() >= LARGE)?;
        let archive = lock(&self.activity.archive);
        Some((at, archive.as_ref()?.offset_of(slice)?))
    }

    fn send_bytes(&self, slices: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        let flags = SendFlags::NOSIGNAL | if more { SendFlags::MORE } else { SendFlags::empty() };
        Ok(rustix::net::sendmsg(&self.stream, slices, &mut SendAncillaryBuffer::default(), flags)?)
    }

    fn send_pages(&self, offset: u64, len: usize) -> io::Result<usize> {
        let Some(archive) = lock(&self.activity.archive).clone() else { return Err(io::ErrorKind::NotFound.into()) };
        match rustix::fs::sendfile(&self.stream, archive.file(), Some(&mut { offset }), len)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive was shortened")),
            sent => Ok(sent),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(read) => {
                if buffer.filled().len() > before && self.activity.in_flight.load(Relaxed) == 0 && self.head.is_none() {
                    self.head = Some((Instant::now(), self.activity.begun.load(Relaxed)));
                }
                Poll::Ready(read)
            }
            Poll::Pending => {
                let deadline = self.read_deadline();
                self.poll_deadline(cx, deadline)?;
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Everything is with the kernel.
        self.stalled = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let lingering = match self.lingering {
            Some(lingering) => lingering,
            None => {
                ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
                let (time, bytes) = LINGER;
                *self.lingering.insert((Instant::now() + time, bytes))
            }
        };
        self.poll_linger(cx, lingering).map(Ok)
    }
}
