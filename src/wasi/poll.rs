//! Waiting (`poll_oneoff`): for clocks, and for descriptors to be ready.
//!
//! Files and directories never make anybody wait; a stream that has a descriptor of the host is waited for with `poll`.
//! What is wrong with one subscription (a closed descriptor, a missing right, an unknown clock) is told in its event,
//! and counts as having happened; wasi-libc makes `POLLNVAL` of it.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::clocks::ClockId;
use super::stream::Interest;
use super::table::{Handle, OpenFile};
use super::types::Rights;
use super::waiting::Stop;
use super::{Errno, WasiCtx, guest};

/// Subscriptions in one call, at the most. More are `EINVAL`.
const MAX: u32 = 1 << 14;

/// Bytes of the record `subscription`.
const SUBSCRIPTION: u32 = 48;

/// Bytes of the record `event`.
const EVENT: u32 = 32;

/// What the other end of a stream may have done.
const HANGUP: u16 = 1;

/// Where the fields of a clock's subscription are; the one thing about waiting that differs between the
/// two versions of the interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockLayout {
    pub(crate) size: u32,
    pub(crate) id: usize,
    pub(crate) timeout: usize,
    pub(crate) flags: usize,
}

/// `wasi_snapshot_preview1`.
const PREVIEW1: ClockLayout = ClockLayout { size: SUBSCRIPTION, id: 16, timeout: 24, flags: 40 };

/// Waits for the first of several events, and writes one record for each that has happened by then.
///
/// # Errors
/// `EINVAL` for no subscriptions, for more than 16,384, and for one of unknown type; `EFAULT`, before anything is waited for.
pub fn poll_oneoff(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    subscriptions: u32,
    events: u32,
    count: u32,
    happened: u32,
) -> Result<(), Errno> {
    poll_with(memory, ctx, PREVIEW1, [subscriptions, events, count, happened])
}

pub(crate) fn poll_with(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    layout: ClockLayout,
    [subscriptions, events, count, happened]: [u32; 4],
) -> Result<(), Errno> {
    if count == 0 || count > MAX {
        return Err(Errno::Inval);
    }
    let array = guest::bytes(memory, subscriptions, count * layout.size)?;
    guest::check_array(memory, events, count, EVENT)?;
    guest::check(memory, happened, 4)?;
    let records = array.chunks_exact(layout.size as usize);
    let mut waits = records.map(|record| Wait::new(ctx, layout, record)).collect::<Result<Vec<_>, _>>()?;
    wait(ctx, &mut waits)?;
    let mut written = 0;
    for wait in &waits {
        if let Some(event) = wait.event() {
            guest::put(memory, events + written * EVENT, event)?;
            written += 1;
        }
    }
    guest::put_u32(memory, happened, written)
}

/// One subscription.
struct Wait {
    userdata: u64,
    /// The number of its type: 0 for clocks, 1 for reading, 2 for writing.
    tag: u8,
    state: State,
}

enum State {
    /// It happened: an error or nothing wrong, bytes available, flags.
    Happened(Option<Errno>, u64, u16),
    /// A clock that has so many nanoseconds to go.
    Clock(u64),
    /// A stream of the host, by its number in the guest.
    Stream(u32, Interest),
}

const NOTHING_TO_WAIT_FOR: State = State::Happened(None, 0, 0);

impl Wait {
    fn new(ctx: &mut WasiCtx, layout: ClockLayout, record: &[u8]) -> Result<Wait, Errno> {
        let tag = record[8];
        let state = match tag {
            0 => clock(ctx, layout, record),
            1 => stream(ctx, guest::u32_at(record, 16), Interest::Read),
            2 => stream(ctx, guest::u32_at(record, 16), Interest::Write),
            _ => return Err(Errno::Inval),
        };
        let state = state.unwrap_or_else(|errno| State::Happened(Some(errno), 0, 0));
        Ok(Wait { userdata: guest::u64_at(record, 0), tag, state })
    }

    fn happened(&self) -> bool {
        matches!(self.state, State::Happened(..))
    }

    fn event(&self) -> Option<[u8; EVENT as usize]> {
        let State::Happened(errno, bytes, flags) = self.state else { return None };
        let mut record = [0; EVENT as usize];
        record[..8].copy_from_slice(&self.userdata.to_le_bytes());
        record[8..10].copy_from_slice(&errno.map_or(0, Errno::number).to_le_bytes());
        record[10] = self.tag;
        record[16..24].copy_from_slice(&bytes.to_le_bytes());
        record[24..26].copy_from_slice(&flags.to_le_bytes());
        Some(record)
    }
}

/// How long a clock has to go. Processor time does not pass while waiting: `EINVAL`, as in wasmtime.
fn clock(ctx: &mut WasiCtx, layout: ClockLayout, record: &[u8]) -> Result<State, Errno> {
    let id = ClockId::new(guest::u32_at(record, layout.id))?;
    if matches!(id, ClockId::ProcessCpu | ClockId::ThreadCpu) {
        return Err(Errno::Inval);
    }
    let timeout = guest::u64_at(record, layout.timeout);
    match guest::u16_at(record, layout.flags) {
        0 => Ok(State::Clock(timeout)),
        1 => Ok(State::Clock(timeout.saturating_sub(ctx.clock.now(id)?))),
        _ => Err(Errno::Inval),
    }
}

fn stream(ctx: &mut WasiCtx, fd: u32, interest: Interest) -> Result<State, Errno> {
    let descriptor = ctx.table.get_mut(fd)?;
    let right = if interest == Interest::Read { Rights::FD_READ } else { Rights::FD_WRITE };
    match &mut descriptor.handle {
        Handle::Dir(_) => return Err(Errno::Badf),
        _ => descriptor.rights.need(Rights::POLL_FD_READWRITE | right)?,
    }
    match &mut descriptor.handle {
        Handle::Stream(stream) if stream.descriptor().is_some() => Ok(State::Stream(fd, interest)),
        Handle::Stream(stream) if interest == Interest::Read => Ok(State::Happened(None, stream.available(), 0)),
        Handle::File(open) if interest == Interest::Read => Ok(State::Happened(None, left(open)?, 0)),
        _ => Ok(NOTHING_TO_WAIT_FOR),
    }
}

fn left(open: &OpenFile) -> Result<u64, Errno> {
    Ok(open.file.metadata()?.size.saturating_sub(open.offset))
}

/// Waits until at least one has happened, and marks all that have.
fn wait(ctx: &mut WasiCtx, waits: &mut [Wait]) -> Result<(), Errno> {
    let start = Instant::now();
    let nearest = nearest(waits);
    let immediate = waits.iter().any(Wait::happened) || nearest == Some(0);
    if immediate {
        ask(ctx, waits, Some(Duration::ZERO))?;
        elapse(waits, 0);
        return Ok(());
    }
    if let Some(nanoseconds) = nearest
        && ctx.clock.advance(0)
    {
        if ask(ctx, waits, Some(Duration::ZERO))? == 0 {
            ctx.clock.advance(nanoseconds);
            elapse(waits, nanoseconds);
        }
        return Ok(());
    }
    loop {
        let passed = start.elapsed();
        let left = nearest.map(|nanoseconds| Duration::from_nanos(nanoseconds).saturating_sub(passed));
        let ready = ask(ctx, waits, left)?;
        let passed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        elapse(waits, passed);
        if ready > 0 || nearest.is_some_and(|nanoseconds| nanoseconds <= passed) {
            return Ok(());
        }
    }
}

fn nearest(waits: &[Wait]) -> Option<u64> {
    let left = |wait: &Wait| if let State::Clock(left) = wait.state { Some(left) } else { None };
    waits.iter().filter_map(left).min()
}

/// Marks the clocks that had no more than so many nanoseconds to go.
fn elapse(waits: &mut [Wait], nanoseconds: u64) {
    for wait in waits {
        if let State::Clock(left) = wait.state
            && left <= nanoseconds
        {
            wait.state = NOTHING_TO_WAIT_FOR;
        }
    }
}

/// Asks the host's descriptors, waiting so long (for ever without a time), marks those that are ready and
/// says how many.
fn ask(ctx: &WasiCtx, waits: &mut [Wait], timeout: Option<Duration>) -> Result<usize, Errno> {
    let stop = Stop::of_guest();
    let (indices, mut polled) = descriptors(ctx, waits);
    if polled.is_empty() && timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Ok(0);
    }
    let ready = stop.poll(&mut polled, timeout.map(timespec).as_ref())?;
    for (index, answer) in indices.into_iter().zip(&polled) {
        waits[index].answered(ctx, answer.revents());
    }
    Ok(ready)
}

/// What to poll, and for which subscription.
fn descriptors<'c>(ctx: &'c WasiCtx, waits: &[Wait]) -> (Vec<usize>, Vec<PollFd<'c>>) {
    let descriptor = |(index, wait): (usize, &Wait)| {
        let State::Stream(fd, interest) = wait.state else { return None };
        let Handle::Stream(stream) = &ctx.table.get(fd).ok()?.handle else { return None };
        Some((index, PollFd::from_borrowed_fd(stream.descriptor()?, interest.flags())))
    };
    waits.iter().enumerate().filter_map(descriptor).unzip()
}

/// A time beyond what the kernel counts is for ever, as far as anybody can tell.
fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() }
}

impl Wait {
    fn answered(&mut self, ctx: &WasiCtx, answer: PollFlags) {
        let State::Stream(fd, interest) = self.state else { return };
        if answer.is_empty() {
            return;
        }
        let bytes = match ctx.table.get(fd).map(|descriptor| &descriptor.handle) {
            Ok(Handle::Stream(stream)) if interest == Interest::Read => stream.available(),
            _ => 0,
        };
        let flags = if answer.intersects(PollFlags::HUP | PollFlags::ERR) { HANGUP } else { 0 };
        let errno = answer.contains(PollFlags::NVAL).then_some(Errno::Badf);
        self.state = State::Happened(errno, bytes, flags);
    }
}
