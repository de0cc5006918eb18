//! The access log, and what else there is to say.
//!
//! Lines go to buffers, and a thread of their own writes them: no request waits for whoever reads the logs, and neither does the
//! end of the server. What does not fit in the buffers is counted and lost.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use hyper::{Method, Uri, Version};

use super::state::lock;

/// Bytes of each log that wait to be written, at the most.
const HELD: usize = 4 << 20;

/// How long lines are gathered before they are written.
const GATHERED: Duration = Duration::from_millis(50);

/// How long the end of the server waits for lines to be written.
const LAST: Duration = Duration::from_secs(2);

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
    format: Option<Format>,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    notes: Vec<String>,
    /// Bytes of these.
    noted: usize,
    /// Lines that did not fit.
    lost: u64,
    closed: bool,
    /// Whether all has been written that will be.
    ended: bool,
}

/// Where lines go.
struct Sinks {
    notes: Notes,
    access: Option<Box<dyn Write + Send>>,
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
    /// Logs, and the thread that writes them.
    ///
    /// # Errors
    /// Those of making a thread.
    pub(super) fn new(notes: Notes, access: Option<(Format, Box<dyn Write + Send>)>) -> io::Result<Arc<Log>> {
        let (format, access) = access.unzip();
        let log = Arc::new(Log { format, state: Mutex::default(), moved: Condvar::new() });
        let writer = Arc::clone(&log);
        let thread = thread::Builder::new().name("kitbag log".to_owned());
        thread.spawn(move || writer.write(Sinks { notes, access }))?;
        Ok(log)
    }

    /// Adds what handlers say, what is wrong with them, and what became of the bundle.
    pub(super) fn note(&self, words: impl Display) {
        let words = words.to_string();
        let mut state = self.lock();
        if state.noted + words.len() > HELD {
            state.lost += 1;
            return;
        }
        state.noted += words.len();
        state.notes.push(words);
        drop(state);
        self.moved.notify_one();
    }

    /// Lines of both logs that nobody took in time.
    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    pub(super) fn has_access(&self) -> bool {
        self.format.is_some()
    }

    /// Adds a line to the access log.
    pub(super) fn access(&self, entry: &Entry) {
        let Some(format) = self.format else { return };
        let line = match format {
            Format::Common => common(entry),
            Format::Json => json(entry),
        };
        let mut state = self.lock();
        if state.lines.len() + line.len() > HELD {
            state.lost += 1;
            return;
        }
        state.lines.extend_from_slice(line.as_bytes());
        drop(state);
        self.moved.notify_one();
    }

    /// Has the thread write what there is and end. Where it cannot, it is left to itself after a while.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.moved.notify_all();
        _ = self.moved.wait_timeout_while(state, LAST, |state| !state.ended);
    }

    fn write(&self, mut sinks: Sinks) {
        loop {
            let waits = |state: &mut State| state.lines.is_empty() && state.notes.is_empty() && !state.closed;
            let mut state = self.moved.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
            let (lines, notes, closed) =
                (std::mem::take(&mut state.lines), std::mem::take(&mut state.notes), state.closed);
            state.noted = 0;
            drop(state);
            notes.iter().for_each(|words| (sinks.notes)(words));
            let written =
                sinks.access.as_mut().map_or(Ok(()), |sink| sink.write_all(&lines).and_then(|()| sink.flush()));
            if let Err(error) = written {
                (sinks.notes)(&format!("cannot write the access log: {error}"));
            }
            if closed {
                self.lock().ended = true;
                self.moved.notify_all();
                return;
            }
            thread::sleep(GATHERED);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
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
        let log = Log { format: Some(Format::Common), state: Mutex::default(), moved: Condvar::new() };
        let until_lost = |add: &dyn Fn()| {
            let before = log.lost();
            (0..).take_while(|_| (add(), log.lost() == before).1).count()
        };
        assert_eq!(until_lost(&|| log.access(&entry())), HELD / common(&entry()).len());
        assert_eq!(until_lost(&|| log.note("sixteen letters!")), HELD / 16);
    }

    /// All that there is, and where a sink takes nothing nobody waits for it, not even at the end.
    #[test]
    fn what_is_written() {
        let (said, written) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        struct Sink(Arc<Mutex<Vec<u8>>>);
        impl Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let into = Arc::clone(&said);
        let notes = Box::new(move |words: &str| into.lock().unwrap().push(words.to_owned()));
        let log = Log::new(notes, Some((Format::Common, Box::new(Sink(Arc::clone(&written)))))).unwrap();
        log.note("one");
        log.access(&entry());
        log.note("two");
        log.close();
        assert_eq!(
            (&**said.lock().unwrap(), &**written.lock().unwrap()),
            (&["one".to_owned(), "two".to_owned()][..], common(&entry()).as_bytes())
        );
        let (_gate, stuck) = std::sync::mpsc::channel::<()>();
        let stuck = Mutex::new(stuck);
        let log = Log::new(Box::new(move |_| _ = stuck.lock().unwrap().recv()), None).unwrap();
        log.note("three");
        log.close();
    }
}
