//! What is said on standard error: in one line, and in one piece.

use std::ffi::OsStr;
use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::path::Path;

use kitbag::{Error, Trap};

/// Why it ends without a status of the guest's own.
#[derive(Debug)]
pub(crate) struct Failure {
    status: i32,
    line: String,
    backtrace: String,
}

impl Failure {
    /// What could not be done.
    pub(crate) fn new(words: impl Display) -> Failure {
        Failure { status: 1, line: words.to_string(), backtrace: String::new() }
    }

    /// What was asked for in a way that has no meaning.
    pub(crate) fn usage(words: impl Display) -> Failure {
        Failure { status: 2, ..Failure::new(words) }
    }

    /// Time that ran out.
    pub(crate) fn timeout(words: impl Display) -> Failure {
        Failure { status: 124, ..Failure::new(words) }
    }

    fn trap(trap: &Trap) -> Failure {
        let backtrace = trap.display_backtrace().to_string();
        Failure { status: 134, backtrace, ..Failure::new(format_args!("trap: {trap}")) }
    }

    /// Writes it, after the name that the executable was called by, and gives the status to end with.
    pub(crate) fn print(&self, argv0: Option<&OsStr>) -> i32 {
        let mut text = line(argv0, &self.line);
        for frame in self.backtrace.lines() {
            text += &printable(frame);
            text.push('\n');
        }
        _ = std::io::stderr().write_all(text.as_bytes());
        self.status
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Trap(trap) => Failure::trap(&trap),
            Error::Limit(_) => Failure { status: 137, ..Failure::new(error) },
            error => Failure::new(error),
        }
    }
}

/// Says something that is no failure.
pub(crate) fn note(argv0: Option<&OsStr>, words: impl Display) {
    _ = std::io::stderr().write_all(line(argv0, &words.to_string()).as_bytes());
}

fn line(argv0: Option<&OsStr>, words: &str) -> String {
    let name = argv0.and_then(|name| Path::new(name).file_name()).unwrap_or(OsStr::new("kitbag-tool"));
    let words: Vec<_> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    format!("{}: {}\n", printable(&name.to_string_lossy()), printable(&words.join(" ")))
}

/// Without control characters, so that no name steers the terminal.
fn printable(text: &str) -> String {
    text.chars().fold(String::new(), |mut text, c| {
        match c.is_control() {
            true => _ = write!(text, "{}", c.escape_default()),
            false => text.push(c),
        }
        text
    })
}
