//! The access log, and what else there is to say.
//!
//! Lines go to a buffer, and a thread of their own writes it: no request waits for whoever reads the log. What does
//! not fit in the buffer is counted and lost.

use std::fmt::{self, Display, Write as _};
use std::io::Write;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use hyper::{Method, Uri, Version};

/// Bytes that wait to be written, at the most.
const HELD: usize = 4 << 20;

/// How long lines are gathered before they are written.
const GATHERED: Duration = Duration::from_millis(50);

/// How a line of the access log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The Common Log Format of NCSA's server.
    Common,
    /// A JSON object.
    Json,
}

/// Where notes go: what handlers say, what is wrong with them, reloads. One line each, without its end.
pub type Notes = Box<dyn Fn(&str) + Send + Sync>;

/// Both logs.
pub(super) struct Log {
    notes: Notes,
    format: Option<Format>,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    closed: bool,
}

/// What a line of the access log says.
pub(super) struct Entry {
    pub(super) client: IpAddr,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) took: Duration,
    pub(super) at: SystemTime,
}

impl Log {
    /// Notes, and where there is an access log the thread that writes it.
    pub(super) fn new(
        notes: Notes,
        access: Option<(Format, Box<dyn Write + Send>)>,
    ) -> (Arc<Log>, Option<JoinHandle<()>>) {
        let format = access.as_ref().map(|(format, _)| *format);
        let log = Arc::new(Log { notes, format, state: Mutex::default(), moved: Condvar::new() });
        let writer = access.map(|(_, sink)| {
            let log = Arc::clone(&log);
            thread::spawn(move || log.write(sink))
        });
        (log, writer)
    }

    pub(super) fn note(&self, words: impl Display) {
        (self.notes)(&words.to_string());
    }

    pub(super) fn has_access(&self) -> bool {
        self.format.is_some()
    }

    /// Adds a line; false where there is no room.
    pub(super) fn access(&self, entry: &Entry) -> bool {
        let Some(format) = self.format else { return true };
        let line = match format {
            Format::Common => common(entry),
            Format::Json => json(entry),
        };
        let mut state = self.lock();
        let fits = state.lines.len() + line.len() <= HELD;
        if fits {
            state.lines.extend_from_slice(line.as_bytes());
        }
        drop(state);
        self.moved.notify_one();
        fits
    }

    /// Lets the thread write what there is and end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.moved.notify_one();
    }

    fn write(&self, mut sink: Box<dyn Write + Send>) {
        loop {
            let mut state = self.lock();
            while state.lines.is_empty() && !state.closed {
                state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let (lines, closed) = (std::mem::take(&mut state.lines), state.closed);
            drop(state);
            if let Err(error) = sink.write_all(&lines).and_then(|()| sink.flush()) {
                self.note(format_args!("cannot write the access log: {error}"));
            }
            if closed {
                return;
            }
            thread::sleep(GATHERED);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `host - - [25/Nov/2026:22:00:00 +0000] "GET / HTTP/1.1" 200 5`
fn common(entry: &Entry) -> String {
    let date = Date::new(entry.at);
    let Entry { client, method, uri, version, status, bytes, .. } = entry;
    let uri = Quoted(uri.to_string());
    format!(
        "{client} - - [{}/{}/{}:{} +0000] \"{method} {uri} {version:?}\" {status} {bytes}\n",
        date.day, date.month, date.year, date.time
    )
}

fn json(entry: &Entry) -> String {
    let date = Date::new(entry.at);
    let month = MONTHS.iter().position(|month| *month == date.month).unwrap_or(0) + 1;
    let Entry { client, method, uri, version, status, bytes, took, .. } = entry;
    let (uri, method) = (Quoted(uri.to_string()), Quoted(method.to_string()));
    format!(
        "{{\"time\":\"{}-{month:02}-{}T{}Z\",\"client\":\"{client}\",\"method\":\"{method}\",\"uri\":\"{uri}\",\
         \"protocol\":\"{version:?}\",\"status\":{status},\"bytes\":{bytes},\"seconds\":{:.6}}}\n",
        date.year,
        date.day,
        date.time,
        took.as_secs_f64()
    )
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The parts of `Sun, 06 Nov 1994 08:49:37 GMT`.
struct Date {
    day: String,
    month: String,
    year: String,
    time: String,
}

impl Date {
    fn new(at: SystemTime) -> Date {
        let text = httpdate::fmt_http_date(at);
        let mut parts = text.split(' ').skip(1).map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Date { day: next(), month: next(), year: next(), time: next() }
    }
}

/// What may stand between quotes, in either format: others are escaped as in JSON.
struct Quoted(String);

impl Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(f, "\\{c}"),
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c)),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn entry() -> Entry {
        Entry {
            client: "192.0.2.1".parse().unwrap(),
            method: Method::GET,
            uri: "/a\"b?c=\\".parse().unwrap(),
            version: Version::HTTP_11,
            status: 200,
            bytes: 5,
            took: Duration::from_micros(1500),
            at: UNIX_EPOCH + Duration::from_secs(784_111_777),
        }
    }

    #[test]
    fn lines() {
        assert_eq!(
            common(&entry()),
            "192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] \"GET /a\\\"b?c=\\\\ HTTP/1.1\" 200 5\n"
        );
        assert_eq!(
            json(&entry()),
            "{\"time\":\"1994-11-06T08:49:37Z\",\"client\":\"192.0.2.1\",\"method\":\"GET\",\"uri\":\"/a\\\"b?c=\\\\\",\
             \"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes\":5,\"seconds\":0.001500}\n"
        );
    }

    #[test]
    fn lines_are_lost_rather_than_waited_for() {
        let log = Log {
            notes: Box::new(|_| ()),
            format: Some(Format::Common),
            state: Mutex::default(),
            moved: Condvar::new(),
        };
        let fitting = (0..).take_while(|_| log.access(&entry())).count();
        assert_eq!(fitting, HELD / common(&entry()).len());
    }
}
