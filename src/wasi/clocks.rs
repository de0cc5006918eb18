//! Clocks: the system's, or one that makes a run reproducible.

use rustix::time::{ClockId as Os, Timespec, clock_getres, clock_gettime};

use super::{Errno, WasiCtx, guest};

/// Which clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClockId {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    Realtime,
    /// Nanoseconds since some moment, never stepping back.
    Monotonic,
    /// Processor time of the process.
    ProcessCpu,
    /// Processor time of the thread.
    ThreadCpu,
}

impl ClockId {
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn new(number: u32) -> Result<ClockId, Errno> {
        match number {
            0 => Ok(ClockId::Realtime),
            1 => Ok(ClockId::Monotonic),
            2 => Ok(ClockId::ProcessCpu),
            3 => Ok(ClockId::ThreadCpu),
            _ => Err(Errno::Inval),
        }
    }

    fn os(self) -> Os {
        match self {
            ClockId::Realtime => Os::Realtime,
            ClockId::Monotonic => Os::Monotonic,
            ClockId::ProcessCpu => Os::ProcessCPUTime,
            ClockId::ThreadCpu => Os::ThreadCPUTime,
        }
    }
}

/// Where a guest's time comes from.
pub trait Clock: Send {
    /// The time, in nanoseconds.
    ///
    /// # Errors
    /// `EINVAL` for a clock that there is not.
    fn now(&mut self, id: ClockId) -> Result<u64, Errno>;

    /// How finely it is measured, in nanoseconds; not 0.
    ///
    /// # Errors
    /// As [`Clock::now`].
    fn resolution(&mut self, id: ClockId) -> Result<u64, Errno>;

    /// Lets time pass, where it passes only by this: a guest that waits on such a clock does not make its host wait. The default
    /// answers `false`: the time is the world's, and the host waits.
    fn advance(&mut self, nanoseconds: u64) -> bool {
        _ = nanoseconds;
        false
    }
}

/// The host's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&mut self, id: ClockId) -> Result<u64, Errno> {
        Ok(nanoseconds(clock_gettime(id.os())))
    }

    fn resolution(&mut self, id: ClockId) -> Result<u64, Errno> {
        Ok(nanoseconds(clock_getres(id.os())).max(1))
    }
}

/// A time before 1970 is 0: the guest's type has no other place for it.
fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

/// A clock that moves by a fixed step each time that it is read, and by what the guest waits: the same run, the
/// same times. With a step of 0 it stands still.
#[derive(Clone, Copy, Debug)]
pub struct SteppingClock {
    start: u64,
    elapsed: u64,
    step: u64,
}

impl SteppingClock {
    /// A clock whose real time begins at `start`, in nanoseconds since 1970; its other clocks begin at 0.
    #[must_use]
    pub const fn new(start: u64, step: u64) -> SteppingClock {
        SteppingClock { start, elapsed: 0, step }
    }
}

impl Clock for SteppingClock {
    fn now(&mut self, id: ClockId) -> Result<u64, Errno> {
        let base = if id == ClockId::Realtime { self.start } else { 0 };
        let now = base.saturating_add(self.elapsed);
        self.advance(self.step);
        Ok(now)
    }

    fn resolution(&mut self, _: ClockId) -> Result<u64, Errno> {
        Ok(self.step.max(1))
    }

    fn advance(&mut self, nanoseconds: u64) -> bool {
        self.elapsed = self.elapsed.saturating_add(nanoseconds);
        true
    }
}

/// The resolution of a clock (`clock_getres`).
///
/// # Errors
/// `EINVAL`, `EFAULT`.
pub fn clock_res_get(memory: &mut [u8], ctx: &mut WasiCtx, id: u32, resolution: u32) -> Result<(), Errno> {
    guest::check(memory, resolution, 8)?;
    guest::put_u64(memory, resolution, ctx.clock.resolution(ClockId::new(id)?)?)
}

/// The time of a clock (`clock_gettime`); always as precise as it can be.
///
/// # Errors
/// `EINVAL`, `EFAULT`.
pub fn clock_time_get(memory: &mut [u8], ctx: &mut WasiCtx, id: u32, _precision: u64, time: u32) -> Result<(), Errno> {
    guest::check(memory, time, 8)?;
    guest::put_u64(memory, time, ctx.clock.now(ClockId::new(id)?)?)
}
