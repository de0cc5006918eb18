//! What a server counts of itself, in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many there are now.
#[derive(Default)]
pub(super) struct Gauge {
    now: AtomicU64,
    total: AtomicU64,
}

/// One of them.
pub(super) struct Entered<'g>(&'g Gauge);

impl Gauge {
    /// Counts one as long as the guard lives.
    pub(super) fn enter(&self) -> Entered<'_> {
        self.begin();
        Entered(self)
    }

    /// Counts one until [`Gauge::end`], and says how many there were before.
    pub(super) fn begin(&self) -> u64 {
        self.total.fetch_add(1, Relaxed);
        self.now.fetch_add(1, Relaxed)
    }

    pub(super) fn end(&self) {
        self.now.fetch_sub(1, Relaxed);
    }

    pub(super) fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    /// How many there have been.
    pub(super) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// All of it.
#[derive(Default)]
pub(super) struct Metrics {
    pub(super) connections: Gauge,
    pub(super) requests: Gauge,
    pub(super) handlers: Gauge,
    /// Answers by the first digit of their status, from 1 on.
    pub(super) answers: [Counter; 5],
    pub(super) sent: Counter,
    /// Runs of handlers that came to no answer or were cut.
    pub(super) failures: Counter,
    /// Requests that were too many.
    pub(super) refused: Counter,
    pub(super) reloads: Counter,
    pub(super) failed_reloads: Counter,
}

impl Metrics {
    pub(super) fn answered(&self, status: u16) {
        if let Some(counter) = self.answers.get(usize::from(status / 100).wrapping_sub(1)) {
            counter.add(1);
        }
    }

    /// The text. `waiting` requests wait for a handler; `lost` lines of logs were.
    pub(super) fn text(&self, waiting: usize, lost: u64) -> String {
        let mut text = String::new();
        let mut say = |kind: &str, name: &str, help: &str, value: u64| {
            _ = write!(text, "# HELP kitbag_{name} {help}\n# TYPE kitbag_{name} {kind}\nkitbag_{name} {value}\n");
        };
        say("gauge", "connections", "Open connections.", self.connections.now());
        say("counter", "connections_total", "Connections accepted.", self.connections.total());
        say("gauge", "requests", "Requests being answered.", self.requests.now());
        say("counter", "requests_total", "Requests.", self.requests.total());
        say("gauge", "handlers", "Handlers running.", self.handlers.now());
        say("counter", "handlers_total", "Handlers run.", self.handlers.total());
        say("gauge", "handlers_waiting", "Requests that wait for a handler.", waiting as u64);
        say("counter", "handler_failures_total", "Handlers that failed.", self.failures.get());
        say("counter", "refused_total", "Requests that were too many.", self.refused.get());
        say("counter", "sent_bytes_total", "Bytes of bodies handed on.", self.sent.get());
        say("counter", "reloads_total", "Bundles swapped in.", self.reloads.get());
        say("counter", "failed_reloads_total", "Bundles refused.", self.failed_reloads.get());
        say("counter", "lost_log_lines_total", "Lines of logs that nobody took.", lost);
        text += "# HELP kitbag_answers_total Answers by class of status.\n# TYPE kitbag_answers_total counter\n";
        for (class, counter) in (1..).zip(&self.answers) {
            _ = writeln!(text, "kitbag_answers_total{{status=\"{class}xx\"}} {}", counter.get());
        }
        text
    }
}
