//! What the command says when it cannot go on, and the statuses it ends with.
//!
//! An error is one line on standard error, `kitbag: WHAT: WHERE: WHAT TO DO`. Much of it comes from
//! outside (file names, names within modules and archives, other libraries' messages of several lines), so
//! that everything is made one printable line here, whoever wrote it.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write as _};

use kitbag_fs::zip::ZipError;

/// The status for what could not be done: file, archive, module, link, mount.
const FAILED: i32 = 1;
/// The status for wrong usage.
const USAGE: i32 = 2;
/// The status for time that ran out, as of `timeout`.
const TIMED_OUT: i32 = 124;
/// The status for a trap; what a shell reports for `SIGABRT`.
const TRAPPED: i32 = 134;
/// The status for a limit other than time; what a shell reports for `SIGKILL`.
const LIMITED: i32 = 137;

/// Why the command ends without a status of the guest's own.
#[derive(Debug)]
pub(crate) struct Failure {
    status: i32,
    line: String,
    backtrace: String,
}

impl Failure {
    /// What could not be done, on what, and what to do about it.
    pub(crate) fn new(what: impl Display, place: impl Display, advice: impl Display) -> Failure {
        Failure::with(FAILED, &format_args!("{what}: {place}: {advice}"))
    }

    /// What was asked for in a way that has no meaning.
    pub(crate) fn usage(what: impl Display, place: impl Display, advice: impl Display) -> Failure {
        Failure::with(USAGE, &format_args!("{what}: {place}: {advice}"))
    }

    /// The guest ran into a trap.
    pub(crate) fn trap(cause: impl Display, place: impl Display, backtrace: impl Display) -> Failure {
        let line = format_args!("trap: {place}: {cause}");
        Failure { backtrace: lines(&backtrace.to_string()), ..Failure::with(TRAPPED, &line) }
    }

    /// The guest ran into a limit.
    pub(crate) fn limit(cause: impl Display, place: impl Display) -> Failure {
        Failure::with(LIMITED, &format_args!("limit reached: {place}: {cause}"))
    }

    /// The guest took too long.
    pub(crate) fn timeout(cause: impl Display, place: impl Display) -> Failure {
        Failure::with(TIMED_OUT, &format_args!("timeout: {place}: {cause}"))
    }

    fn with(status: i32, line: &dyn Display) -> Failure {
        Failure { status, line: one_line(&line.to_string()), backtrace: String::new() }
    }

    /// Writes it to standard error, in one piece, and gives the status to end with. That standard error cannot be
    /// written is nothing that could be reported anywhere.
    pub(crate) fn print(&self) -> i32 {
        _ = io::stderr().write_all(self.to_string().as_bytes());
        self.status
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kitbag: {}\n{}", self.line, self.backtrace)
    }
}

impl From<clap::Error> for Failure {
    /// clap explains over several paragraphs: what is wrong, hints, the usage. The first and the first hint
    /// are kept.
    fn from(error: clap::Error) -> Failure {
        let text = error.to_string();
        let what = text.split("\n\n").next().unwrap_or_default();
        let what = what.strip_prefix("error: ").unwrap_or(what);
        let tip = text.lines().find_map(|line| line.trim_start().strip_prefix("tip: "));
        Failure::with(USAGE, &format_args!("{what}: {}", tip.unwrap_or("see `kitbag help run`")))
    }
}

/// Writes `text` to standard output.
pub(crate) fn say(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new("cannot write", "standard output", cause(&error)))
}

/// Says `text` on standard error, in one line and one piece. That it cannot be written is no reason to end a guest.
pub(crate) fn note(text: impl Display) {
    _ = io::stderr().write_all(format!("kitbag: {}\n", one_line(&text.to_string())).as_bytes());
}

/// An error of the host's without the `(os error N)` that Rust puts after it.
pub(crate) fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

/// What is wrong with an archive.
pub(crate) fn archive_cause(error: &ZipError) -> String {
    match error {
        ZipError::Io(error) => cause(error),
        _ => error.to_string(),
    }
}

/// `text` as one line: line breaks and the indentation after them become one space, other control
/// characters are written as escapes, so that a name cannot steer the terminal.
pub(super) fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ").chars().fold(String::new(), push_visible)
}

/// `text` with its lines kept and everything else as in [`one_line`].
fn lines(text: &str) -> String {
    let mut all = String::new();
    for line in text.lines() {
        all = line.chars().fold(all, push_visible);
        all.push('\n');
    }
    all
}

fn push_visible(mut text: String, c: char) -> String {
    if c.is_control() {
        _ = write!(text, "{}", c.escape_default());
    } else {
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_it_holds() {
        let failure = Failure::new("cannot read", "a\nb\x1b[31m", "expected `(`\n     |\n  1  | x\n");
        assert_eq!(failure.to_string(), "kitbag: cannot read: a b\\u{1b}[31m: expected `(` | 1  | x\n");
    }

    #[test]
    fn a_trap_keeps_the_lines_of_its_backtrace() {
        let failure = Failure::trap("unreachable", "a.wasm", "  0: f\x07\n  1: g");
        assert_eq!(failure.to_string(), "kitbag: trap: a.wasm: unreachable\n  0: f\\u{7}\n  1: g\n");
    }

    #[test]
    fn usage_is_one_line_with_the_hint() {
        let words = ["kitbag", "--overlya", "x"].map(Into::into);
        let failure = Failure::from(super::super::args::parse(words).unwrap_err());
        assert_eq!(
            failure.to_string(),
            "kitbag: unexpected argument '--overlya' found: a similar argument exists: '--overlay'\n"
        );
        let failure = Failure::from(super::super::args::parse(["kitbag".into()]).unwrap_err());
        assert_eq!(
            failure.to_string(),
            "kitbag: the following required arguments were not provided: <FILE>...: see `kitbag help run`\n"
        );
    }

    #[test]
    fn causes_are_words() {
        assert_eq!(cause(&io::Error::from_raw_os_error(2)), "no such file or directory");
    }
}
