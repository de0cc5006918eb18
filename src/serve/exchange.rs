//! A request from its arrival to the last byte of its answer, as far as it is counted.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use hyper::http::request::Parts;

use super::connection::Activity;
use super::log::Entry;
use super::state::Shared;

/// Counts a request as long as it lives, and writes the log's line when it ends.
pub(super) struct Exchange {
    shared: Arc<Shared>,
    activity: Arc<Activity>,
    /// Its number in its connection.
    number: u64,
    /// Whether the client has something to take before there is more.
    handed: bool,
    line: Option<Box<(Entry, Instant)>>,
    sent: u64,
    /// Requests that were being answered when this one came.
    pub(super) others: u64,
}

impl Exchange {
    pub(super) fn begin(shared: &Arc<Shared>, activity: &Arc<Activity>, client: IpAddr, parts: &Parts) -> Exchange {
        let number = activity.begin(parts.version);
        let line = shared.log.has_access().then(|| {
            let (method, uri, version) = (parts.method.clone(), parts.uri.clone(), parts.version);
            let (took, at) = (Default::default(), SystemTime::now());
            let entry = Entry { client: client.to_canonical(), method, uri, version, status: 0, bytes: 0, took, at };
            Box::new((entry, Instant::now()))
        });
        let others = shared.metrics.requests.begin();
        let (shared, activity) = (Arc::clone(shared), Arc::clone(activity));
        Exchange { shared, activity, number, handed: false, line, sent: 0, others }
    }

    /// Notes what it is answered with.
    pub(super) fn answered(&mut self, status: u16) {
        self.shared.metrics.answered(status);
        if let Some(line) = &mut self.line {
            line.0.status = status;
        }
    }

    /// Counts bytes that were handed on to be sent, and are the last or not.
    pub(super) fn hand(&mut self, bytes: usize, last: bool) {
        self.sent += bytes as u64;
        self.handed = !last;
        if self.handed {
            self.activity.hands(self.number, bytes);
        }
    }

    /// There is nothing more to take for now: what was handed on is on its way.
    pub(super) fn take(&mut self) {
        if std::mem::take(&mut self.handed) {
            self.activity.taken(self.number);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.take();
        self.activity.end();
        self.shared.metrics.requests.end();
        self.shared.metrics.sent.add(self.sent);
        if let Some(line) = &mut self.line {
            let (entry, begun) = &mut **line;
            (entry.bytes, entry.took) = (self.sent, begun.elapsed());
            self.shared.log.access(entry);
        }
    }
}
