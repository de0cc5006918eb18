//! Waiting for the host, in a way that whoever stops the guest can end.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno as Os;

use super::Errno;
use super::stream::Interest;
use crate::interrupt::Interrupt;
use crate::trap;

/// What may stop the guest that waits, if anything can.
pub(super) struct Stop(Option<Arc<Interrupt>>);

impl Stop {
    /// Of the guest that called the function that asks.
    pub(super) fn of_guest() -> Stop {
        Stop(trap::running_interrupt())
    }

    /// # Errors
    /// `EINTR`, where the guest is to stop.
    pub(super) fn check(&self) -> Result<(), Errno> {
        let stopped = self.0.as_ref().is_some_and(|interrupt| interrupt.is_requested());
        if stopped { Err(Errno::Intr) } else { Ok(()) }
    }

    /// Waits until one of the descriptors is ready, or for so long (for ever without a time); says how many are. It may come
    /// back earlier, with none.
    ///
    /// # Errors
    /// `EINTR`, where the guest is to stop, and the system's.
    pub(super) fn poll<'a>(&'a self, polled: &mut Vec<PollFd<'a>>, timeout: Option<&Timespec>) -> Result<usize, Errno> {
        let event = self.0.as_ref().and_then(|interrupt| interrupt.event());
        polled.extend(event.map(|event| PollFd::from_borrowed_fd(event, PollFlags::IN)));
        let ready = rustix::event::poll(polled, timeout);
        let stopped = event.is_some() && polled.pop().is_some_and(|event| !event.revents().is_empty());
        self.check()?;
        match ready {
            // The request was taken back.
            Ok(ready) => Ok(ready - usize::from(stopped)),
            Err(Os::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until `fd` is ready, where anybody could stop the guest that waits for it; otherwise it can do so itself.
    ///
    /// # Errors
    /// As for [`Stop::poll`].
    pub(super) fn until_ready(&self, fd: BorrowedFd<'_>, interest: Interest) -> Result<(), Errno> {
        if self.0.is_some() {
            while self.poll(&mut vec![PollFd::from_borrowed_fd(fd, interest.flags())], None)? == 0 {}
        }
        Ok(())
    }
}
