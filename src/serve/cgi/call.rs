//! What a handler's thread and the connection that waits for it share: the body on its way in, the answer on its way out, and
//! how it ended.
//!
//! Both ways hold at most [`HELD`] bytes, beyond which the side that has more waits: the thread on a condition, the
//! connection by not reading on. A write does not wake the connection, which would cost more than many a handler: it wakes
//! when there is [much](FLUSH), when the handler has ended, and by its own clock.

use std::io::{IoSlice, IoSliceMut, Read as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use kitbag_fs::Bytes;

use super::bell::Bell;
use super::pool::Pool;
use crate::serve::state::lock;
use crate::wasi::{Clock, ClockId, Errno, Stream, SystemClock};
use crate::{InterruptHandle, TrapCode};

/// Bytes that are held each way.
const HELD: usize = 64 << 10;

/// Bytes of the answer that are worth waking for.
const FLUSH: usize = 16 << 10;

/// How a handler ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::serve) enum End {
    /// It returned, or exited with 0.
    Done,
    /// It exited with another status.
    Exit(i32),
    /// It trapped; the cause in words.
    Trap(TrapCode, String),
    /// It could not be started, or ran into a limit; the cause in words.
    Failed(String),
}

/// A handler's run.
pub(in crate::serve) struct Call {
    state: Mutex<State>,
    /// Wakes who waits for it.
    bell: Arc<Bell>,
    /// Whose thread it runs on.
    pool: Arc<Pool>,
    /// Told when there is input, when there is room for output, and when it is to end.
    moved: Condvar,
    /// Bytes of the answer, at the most.
    limit: u64,
}

struct State {
    input: Bytes,
    input_end: Option<Result<(), Errno>>,
    /// Who brings input and waits for room.
    input_waker: Option<Waker>,
    output: Vec<u8>,
    written: u64,
    /// Who waits for output.
    output_waker: Option<Waker>,
    end: Option<End>,
    cancelled: bool,
    /// Whether a thread is at it.
    begun: bool,
    /// Whether it was stopped because its time was up.
    expired: bool,
    interrupt: Option<InterruptHandle>,
}

/// What there is of the answer.
pub(in crate::serve) struct Taken {
    pub(in crate::serve) bytes: Vec<u8>,
    pub(in crate::serve) end: Option<End>,
    /// Whether it was stopped because its time was up.
    pub(in crate::serve) expired: bool,
}

impl Call {
    /// A run whose answer has at most `limit` bytes, with a body still to come or not.
    pub(super) fn new(limit: u64, body: bool, bell: &Arc<Bell>, pool: &Arc<Pool>) -> Arc<Call> {
        let state = State {
            input: Bytes::new(),
            input_end: (!body).then_some(Ok(())),
            input_waker: None,
            output: Vec::new(),
            written: 0,
            output_waker: None,
            end: None,
            cancelled: false,
            begun: false,
            expired: false,
            interrupt: None,
        };
        let (bell, pool) = (Arc::clone(bell), Arc::clone(pool));
        Arc::new(Call { state: Mutex::new(state), bell, pool, moved: Condvar::new(), limit })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits for something to move; for ever without a time.
    fn wait<'s>(&self, state: MutexGuard<'s, State>, time: Option<Duration>) -> MutexGuard<'s, State> {
        self.pool.apart(|| match time {
            None => self.moved.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                self.moved.wait_timeout(state, time).map_or_else(|error| error.into_inner().0, |(state, _)| state)
            }
        })
    }

    /// Whether it waits for a thread.
    pub(super) fn waits(&self) -> bool {
        let state = self.lock();
        !state.begun && state.end.is_none()
    }

    /// Gives it what stops it, which may be wanted already.
    pub(super) fn begin(&self, interrupt: InterruptHandle) {
        let mut state = self.lock();
        if state.cancelled {
            interrupt.interrupt();
        }
        (state.begun, state.interrupt) = (true, Some(interrupt));
    }

    /// It runs no more, and there is nothing to stop.
    pub(super) fn leave(&self) {
        self.lock().interrupt = None;
    }

    /// Notes how it ended.
    pub(super) fn finish(&self, end: End) {
        let mut state = self.lock();
        state.end = Some(end);
        state.interrupt = None;
        let waker = state.output_waker.take();
        drop(state);
        waker.into_iter().for_each(|waker| self.bell.ring(waker));
    }

    /// Stops it, if it has not ended, and says whether this did: its time is up.
    pub(super) fn expire(&self) -> bool {
        let mut state = self.lock();
        let first = state.end.is_none() && !state.expired;
        state.expired |= first;
        drop(state);
        if first {
            self.cancel();
        }
        first
    }

    /// Stops it, if it has not ended.
    pub(super) fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        let interrupt = state.interrupt.take();
        drop(state);
        self.moved.notify_all();
        if let Some(interrupt) = interrupt {
            interrupt.interrupt();
        }
    }

    /// Whether more input can be brought; if not, who asks is woken once it can.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.input.is_empty() {
            return Poll::Ready(());
        }
        state.input_waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Brings input, after [`Call::poll_room`].
    pub(super) fn bring(&self, bytes: Bytes) {
        self.lock().input = bytes;
        self.moved.notify_all();
    }

    /// There is no more input, or none that can be had.
    pub(super) fn end_input(&self, how: Result<(), Errno>) {
        self.lock().input_end = Some(how);
        self.moved.notify_all();
    }

    /// Takes what there is of the answer: when it is much or the last, or else where `any` will do.
    pub(super) fn poll_output(&self, cx: &mut Context<'_>, any: bool) -> Poll<Taken> {
        let mut state = self.lock();
        let enough = state.output.len() >= FLUSH || any && !state.output.is_empty();
        if !enough && state.end.is_none() {
            if state.output_waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                state.output_waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let bytes = std::mem::take(&mut state.output);
        let taken = Taken { bytes, end: state.end.clone(), expired: state.expired };
        drop(state);
        if taken.end.is_none() {
            self.moved.notify_all();
        }
        Poll::Ready(taken)
    }

    /// Whether the answer became longer than it may be.
    pub(super) fn is_over_limit(&self) -> bool {
        self.lock().written > self.limit
    }
}

/// A handler's standard input.
pub(super) struct Input(pub(super) Arc<Call>);

impl Stream for Input {
    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        let mut state = self.0.lock();
        loop {
            if !state.input.is_empty() {
                let count = (&state.input[..]).read_vectored(buffers).map_err(|_| Errno::Io)?;
                state.input = state.input.split_off(count);
                if state.input.is_empty() {
                    let waker = state.input_waker.take();
                    drop(state);
                    waker.into_iter().for_each(|waker| self.0.bell.ring(waker));
                }
                return Ok(count);
            }
            match state.input_end {
                Some(end) => return end.map(|()| 0),
                None if state.cancelled => return Err(Errno::Io),
                None => state = self.0.wait(state, None),
            }
        }
    }

    fn available(&self) -> u64 {
        self.0.lock().input.len() as u64
    }
}

/// A handler's standard output.
pub(super) struct Output(pub(super) Arc<Call>);

impl Output {
    /// Takes as much as there is room for, once there is some.
    fn put(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut state = self.0.lock();
        while state.output.len() >= HELD && !state.cancelled {
            state = self.0.wait(state, None);
        }
        if state.cancelled {
            return Err(Errno::Pipe);
        }
        let count = bytes.len().min(HELD - state.output.len());
        state.output.extend_from_slice(&bytes[..count]);
        state.written += count as u64;
        if state.written > self.0.limit {
            state.cancelled = true;
        }
        let waker = if state.output.len() >= FLUSH { state.output_waker.take() } else { None };
        drop(state);
        waker.into_iter().for_each(|waker| self.0.bell.ring(waker));
        Ok(count)
    }
}

impl Stream for Output {
    /// All of it, however long that takes, as a pipe does whose writer waits: there are programs that do not look at the count.
    fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let mut count = 0;
        for buffer in buffers {
            let mut left = &buffer[..];
            while !left.is_empty() {
                match self.put(left) {
                    Ok(put) => (left, count) = (&left[put..], count + put),
                    Err(errno) if count == 0 => return Err(errno),
                    Err(_) => return Ok(count),
                }
            }
        }
        Ok(count)
    }
}

/// A handler's clock: the system's, but that waiting for it ends with the run.
pub(super) struct CallClock(pub(super) Arc<Call>);

impl Clock for CallClock {
    fn now(&mut self, id: ClockId) -> Result<u64, Errno> {
        SystemClock.now(id)
    }

    fn resolution(&mut self, id: ClockId) -> Result<u64, Errno> {
        SystemClock.resolution(id)
    }

    fn advance(&mut self, nanoseconds: u64) -> bool {
        let until = Instant::now().checked_add(Duration::from_nanos(nanoseconds));
        let mut state = self.0.lock();
        while !state.cancelled {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            state = self.0.wait(state, left);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn call(limit: u64, body: bool) -> Arc<Call> {
        Call::new(limit, body, &Arc::default(), &Pool::new())
    }

    fn take(call: &Call, any: bool) -> Option<(Vec<u8>, Option<End>)> {
        match call.poll_output(&mut Context::from_waker(Waker::noop()), any) {
            Poll::Ready(taken) => Some((taken.bytes, taken.end)),
            Poll::Pending => None,
        }
    }

    #[test]
    fn output_is_taken_when_it_is_much_or_the_last() {
        let call = call(1 << 20, false);
        let output = Output(Arc::clone(&call));
        assert_eq!(output.write(&[IoSlice::new(b"ab"), IoSlice::new(b"c")]), Ok(3));
        assert_eq!((take(&call, false), take(&call, true)), (None, Some((b"abc".to_vec(), None))));
        assert_eq!(take(&call, true), None);
        assert_eq!(output.write(&[IoSlice::new(&[7; FLUSH])]), Ok(FLUSH));
        assert_eq!(take(&call, false).unwrap().0.len(), FLUSH);
        call.finish(End::Exit(3));
        assert_eq!(take(&call, false), Some((Vec::new(), Some(End::Exit(3)))));
    }

    /// More than is held at once waits until it is taken, and none of it is lost.
    #[test]
    fn a_write_takes_everything() {
        let call = call(1 << 20, false);
        let output = Output(Arc::clone(&call));
        let all: Vec<u8> = (0..40_000u32).flat_map(u32::to_le_bytes).collect();
        let mut taken = Vec::new();
        std::thread::scope(|scope| {
            let (first, second) = all.split_at(HELD + 1);
            let writer = scope.spawn(|| output.write(&[IoSlice::new(first), IoSlice::new(second)]));
            while taken.len() < all.len() {
                let some = take(&call, true).map(|(some, _)| some).unwrap_or_default();
                assert!(some.len() <= HELD);
                taken.extend(some);
                std::thread::yield_now();
            }
            assert_eq!(writer.join().unwrap(), Ok(all.len()));
        });
        assert_eq!(taken, all);
    }

    #[test]
    fn a_write_that_is_stopped_half_way_says_how_much_was_taken() {
        let call = call(1 << 20, false);
        let output = Output(Arc::clone(&call));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| output.write(&[IoSlice::new(&[0; HELD + 1])]));
            while call.lock().output.len() < HELD {
                std::thread::yield_now();
            }
            call.cancel();
            assert_eq!(writer.join().unwrap(), Ok(HELD));
        });
        assert_eq!(output.write(&[IoSlice::new(b"x")]), Err(Errno::Pipe));
    }

    #[test]
    fn whoever_writes_or_waits_for_ever_is_stopped() {
        let call = call(1 << 20, true);
        let threads = [
            std::thread::spawn({
                let output = Output(Arc::clone(&call));
                move || loop {
                    if let Err(errno) = output.write(&[IoSlice::new(&[0; 4096])]) {
                        break errno;
                    }
                }
            }),
            std::thread::spawn({
                let input = Input(Arc::clone(&call));
                move || input.read(&mut [IoSliceMut::new(&mut [0])]).unwrap_err()
            }),
            std::thread::spawn({
                let mut clock = CallClock(Arc::clone(&call));
                move || if clock.advance(u64::MAX) { Errno::Canceled } else { Errno::Inval }
            }),
        ];
        call.cancel();
        assert_eq!(threads.map(|thread| thread.join().unwrap()), [Errno::Pipe, Errno::Io, Errno::Canceled]);
    }

    #[test]
    fn an_answer_has_a_limit() {
        let call = call(5, false);
        let output = Output(Arc::clone(&call));
        assert_eq!(output.write(&[IoSlice::new(b"12345")]), Ok(5));
        assert!(!call.is_over_limit());
        assert_eq!(output.write(&[IoSlice::new(b"6")]), Ok(1));
        assert!(call.is_over_limit());
        assert_eq!(output.write(&[IoSlice::new(b"7")]), Err(Errno::Pipe));
    }

    #[test]
    fn input_comes_piece_by_piece() {
        let call = call(1, true);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.poll_room(&mut cx).is_ready());
        call.bring(Bytes::from_static(b"abc"));
        assert!(call.poll_room(&mut cx).is_pending());
        let (input, mut buffer) = (Input(Arc::clone(&call)), [0; 2]);
        assert_eq!((input.available(), input.read(&mut [IoSliceMut::new(&mut buffer)]), &buffer), (3, Ok(2), b"ab"));
        assert_eq!(input.read(&mut [IoSliceMut::new(&mut buffer)]), Ok(1));
        assert!(call.poll_room(&mut cx).is_ready());
        call.end_input(Ok(()));
        assert_eq!(input.read(&mut [IoSliceMut::new(&mut buffer)]), Ok(0));
    }
}
