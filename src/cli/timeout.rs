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

/// Reads a time as words: a number with `ms`, `s`, `m` or `h` after it, or of seconds.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(word: &str) -> Result<Duration, String> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let milliseconds: f64 = match &word[digits.len()..] {
        "ms" => 1.0,
        "" | "s" => 1e3,
        "m" => 60e3,
        "h" => 3600e3,
        _ => return Err("it is no time; write a number with ms, s, m or h after it, as in 5s".to_owned()),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = digits.parse::<f64>().ok().filter(|_| plain);
    let number = number.ok_or("it is no time; write a number with ms, s, m or h after it, as in 5s")?;
    Duration::try_from_secs_f64(number * milliseconds / 1e3).map_err(|_| "it is longer than anything lasts".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (word, milliseconds) in
            [("5s", 5000), ("5", 5000), ("250ms", 250), ("1.5s", 1500), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)]
        {
            assert_eq!(parse(word), Ok(Duration::from_millis(milliseconds)), "{word}");
        }
        for word in ["", "s", "-1s", "+1", "5 s", "5d", "1e3", "..", "inf", "nan", "99999999999999999999h"] {
            assert!(parse(word).is_err(), "{word}");
        }
    }
}
