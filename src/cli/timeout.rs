//! `--timeout`: ends a guest whose time is up.
//!
//! The guest is interrupted as a trap would end it, so that what it wrote through an overlay is whole. One that sits in a
//! host function that does not come back (a read from a terminal, say) is given a moment, and then the process ends.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use kitbag::InterruptHandle;

use super::report::Failure;

/// How long a guest that was interrupted may take to end.
const GRACE: Duration = Duration::from_millis(200);

/// Watches a guest until it is dropped.
pub(super) struct Watchdog {
    limit: Duration,
    place: String,
    _running: Sender<()>,
}

impl Watchdog {
    /// Begins to watch the guest of `handle`, which may take `limit`.
    pub(super) fn new(limit: Duration, handle: InterruptHandle, place: &str) -> Watchdog {
        let (running, ended) = mpsc::channel::<()>();
        let failure = expired(limit, place);
        thread::spawn(move || {
            // The other end says nothing: it is dropped when the guest has ended.
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                handle.interrupt();
                if ended.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
                    std::process::exit(failure.print());
                }
            }
        });
        Watchdog { limit, place: place.to_owned(), _running: running }
    }

    /// What an interrupted guest ends the command with.
    pub(super) fn failure(&self) -> Failure {
        expired(self.limit, &self.place)
    }
}

fn expired(limit: Duration, place: &str) -> Failure {
    Failure::timeout(format_args!("it had not ended after {limit:?}"), place)
}
