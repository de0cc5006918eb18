//! A sign that long work goes on, for a person at a terminal.
//!
//! Most work is done before anybody would look for one, so that it appears after half a second. It goes to standard error,
//! and is never made where that is no terminal: what a script collects is the same each time.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often what is shown moves.
const TICK: Duration = Duration::from_millis(100);

/// The sign, until it is dropped.
pub(super) struct Progress(Option<Running>);

struct Running {
    /// Nothing is sent; that it is gone is the message.
    done: Sender<()>,
    thread: JoinHandle<()>,
}

impl Progress {
    /// Will say `what` is being done, if it takes long and if there is a terminal to say it on.
    pub(super) fn of(what: String) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress(None);
        }
        Progress::after(PATIENCE, move || spinner(what))
    }

    /// Work without a sign is better than none, so that it is no error where there cannot be a thread.
    fn after(patience: Duration, show: impl FnOnce() -> ProgressBar + Send + 'static) -> Progress {
        let (done, wait) = mpsc::channel();
        let thread = std::thread::Builder::new().spawn(move || watch(&wait, patience, show));
        Progress(thread.ok().map(|thread| Running { done, thread }))
    }
}

impl Drop for Progress {
    /// Whatever is written next finds the line empty.
    fn drop(&mut self) {
        if let Some(Running { done, thread }) = self.0.take() {
            drop(done);
            _ = thread.join();
        }
    }
}

fn watch(wait: &Receiver<()>, patience: Duration, show: impl FnOnce() -> ProgressBar) {
    if wait.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        let bar = show();
        while wait.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            bar.tick();
        }
        bar.finish_and_clear();
    }
}

fn spinner(what: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_elapsed(PATIENCE).with_message(what);
    match ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn it_is_shown_only_where_work_takes_long_and_is_gone_afterwards() {
        let shown = Arc::new(AtomicBool::new(false));
        let show = |shown: &Arc<AtomicBool>| {
            let shown = Arc::clone(shown);
            move || {
                shown.store(true, Ordering::SeqCst);
                ProgressBar::hidden()
            }
        };
        drop(Progress::after(Duration::MAX, show(&shown)));
        assert!(!shown.load(Ordering::SeqCst));
        let progress = Progress::after(Duration::ZERO, show(&shown));
        while !shown.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        drop(progress);
    }
}
