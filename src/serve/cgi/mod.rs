//! Handlers: preview1 command modules by CGI/1.1 (RFC 3875), with what WAGI adds.
//!
//! A request's body is the handler's standard input, what it prints on standard output is the answer (fields, an empty
//! line, the body), standard error goes to the log. Both bodies are streamed, each side waiting for the other.
//!
//! | what the handler does | what the client gets |
//! |---|---|
//! | prints no head, or one that is none | 502 |
//! | traps, exits with another status than 0, runs into a limit before the head is sent | 500 |
//! | takes too long | 504 |
//! | waits for a body that its client is too slow to send | 408 |
//! | finds no thread and the queue full | 503 |
//! | any of these after the head was sent | a connection that is cut, so that no client takes the part for the whole |
//!
//! The head is sent once it is there and the handler has printed much more, has ended, or a moment has passed, so that what
//! goes wrong at once in a short answer is still told by a status.

mod bell;
mod call;
mod env;
mod handler;
mod head;
mod pool;
mod root;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http_body::Body as _;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use kitbag_fs::Bytes;
use tokio::task::JoinHandle;
use tokio::time::Sleep;

pub(super) use self::bell::Bell;
pub(super) use self::call::End;
use self::call::{Call, Taken};
pub(super) use self::env::Matched;
pub(super) use self::handler::{Handler, Mounted, View};
pub(super) use self::pool::Pool;
use super::body::{Body, Chunks};
use super::connection::PORTION;
use super::state::Shared;
use crate::bundle::Limits;
use crate::wasi::Errno;

/// How long what a handler printed may lie before it is sent: the former where it prints, the latter where it has not for a while.
const TICK: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(40)];

const TOO_LONG: &str = "its answer is longer than the limit";

/// What comes of a request in place of an answer.
pub(super) enum Refusal {
    /// This path is to be answered in its place.
    Instead(String),
    /// This is to be told.
    Status(StatusCode),
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Refusal {
        Refusal::Status(status)
    }
}

/// An answer, or what there is in its place; the log has why.
pub(super) type Outcome = Result<Response<Body>, Refusal>;

/// Output and, with the last of it, how it ended; or the status that ends the waiting.
type Output = Result<(Vec<u8>, Option<End>), StatusCode>;

/// A run, and where it is told of.
#[derive(Clone)]
struct Run {
    call: Arc<Call>,
    handler: Arc<Handler>,
    shared: Arc<Shared>,
}

impl Run {
    fn say(&self, what: &str) {
        self.shared.metrics.failures.add(1);
        self.shared.log.note(format_args!("{}: {what}", self.handler.name));
    }

    fn say_end(&self, end: &End) {
        match end {
            End::Done => {}
            End::Exit(status) => self.say(&format!("it exited with status {status}")),
            End::Trap(_, cause) => self.say(&format!("trap: {cause}")),
            End::Failed(cause) => self.say(cause),
        }
    }

    /// Stops it, since its time is up.
    fn expire(&self) {
        if self.call.expire() {
            self.say("it took too long");
        }
    }
}

/// A run that is stopped when nobody waits for it any more, and the body that it is fed.
struct Running {
    run: Run,
    incoming: Option<Incoming>,
    /// Bytes that the body may still have.
    room: u64,
    too_large: bool,
    sender: Sender,
    /// When the handler's time is up.
    deadline: Instant,
    tick: Pin<Box<Sleep>>,
    pause: Duration,
    /// Whether the client wants to know of the body only what the head says.
    head_only: bool,
}

/// A client that sends a body, by how long it is waited for; what the handler takes its time for is not the client's.
struct Sender {
    /// How long it may take for each portion.
    stall: Duration,
    /// Since when it is waited for.
    since: Option<Instant>,
    /// How long it took for what came of this portion.
    waited: Duration,
    came: usize,
}

impl Sender {
    fn begin(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    fn sent(&mut self, bytes: usize) {
        self.waited += self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.came += bytes;
        if self.came >= PORTION {
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
    }

    fn is_slow(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| self.waited + now.saturating_duration_since(since) >= self.stall)
    }
}

/// Runs `handler` for a request.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    bell: &Arc<Bell>,
    handler: &Arc<Handler>,
    limits: &Limits,
    matched: &Matched<'_>,
    parts: &Parts,
    incoming: Option<Incoming>,
) -> Outcome {
    let incoming = incoming.filter(|incoming| !incoming.is_end_stream());
    let length = incoming.as_ref().and_then(|incoming| incoming.size_hint().exact());
    if length.is_some_and(|length| length > limits.body) {
        return Err(Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let told = if incoming.is_none() && !parts.method.is_safe() { Some(0) } else { length };
    let request = handler::Request {
        args: env::arguments(parts).collect(),
        env: env::variables(matched, parts, told, handler.authorization),
    };
    let call = Call::new(limits.response, incoming.is_some(), bell, &shared.pool);
    let job = {
        let (call, handler, shared) = (Arc::clone(&call), Arc::clone(handler), Arc::clone(shared));
        let script = matched.script.clone();
        move || {
            let _running = shared.metrics.handlers.enter();
            // A panic here is kitbag's own, and one request's end, not the server's.
            let run = std::panic::AssertUnwindSafe(|| handler.run(&call, script, request, &shared.log));
            let end = std::panic::catch_unwind(run).unwrap_or_else(|_| End::Failed("kitbag panicked".to_owned()));
            call.finish(end);
        }
    };
    if !shared.pool.submit(limits.handlers, limits.queue, Box::new(job)) {
        shared.log.note(format_args!("{}: refused: {} requests wait already", handler.name, limits.queue));
        return Err(Refusal::Status(StatusCode::SERVICE_UNAVAILABLE));
    }
    let running = Running {
        run: Run { call, handler: Arc::clone(handler), shared: Arc::clone(shared) },
        incoming,
        room: limits.body,
        too_large: false,
        sender: Sender { stall: limits.stall, since: None, waited: Duration::ZERO, came: 0 },
        deadline: Instant::now() + handler.time,
        tick: Box::pin(tokio::time::sleep(TICK[0])),
        pause: TICK[0],
        head_only: parts.method == Method::HEAD,
    };
    running.answer().await
}

impl Running {
    async fn answer(mut self) -> Outcome {
        let mut printed = Vec::new();
        loop {
            let (bytes, end) = match poll_fn(|cx| self.poll_output(cx)).await {
                Ok(taken) => taken,
                Err(status) => return Err(Refusal::Status(status)),
            };
            printed = if printed.is_empty() { bytes } else { [printed, bytes].concat() };
            match (head::parse(&printed), end) {
                (Ok(Some((head, at))), end) => return self.head(head, printed, at, end),
                (Ok(None), None) => {}
                (Ok(None), Some(End::Done)) => return self.refuse(StatusCode::BAD_GATEWAY, "its answer has no head"),
                (Err(problem), None | Some(End::Done)) => return self.refuse(StatusCode::BAD_GATEWAY, &problem),
                (Ok(None) | Err(_), Some(end)) => return self.failed(&end),
            }
        }
    }

    /// The answer to a head that ends `at` in what was `printed`.
    fn head(self, head: head::Head, printed: Vec<u8>, at: usize, end: Option<End>) -> Outcome {
        let body = Bytes::from(printed).slice(at..);
        if end.is_some() && self.run.call.is_over_limit() {
            return self.refuse(StatusCode::INTERNAL_SERVER_ERROR, TOO_LONG);
        }
        if let Some(end) = end.as_ref().filter(|end| **end != End::Done) {
            return self.failed(end);
        }
        if let Some(path) = head.instead {
            return Err(Refusal::Instead(path));
        }
        let bodiless = self.head_only || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let wrong = |sent: u64| head.length.filter(|&length| length < sent || end.is_some() && length != sent);
        if let Some(length) = wrong(body.len() as u64).filter(|_| !bodiless) {
            return self
                .refuse(StatusCode::BAD_GATEWAY, &format!("it announced {length} bytes and printed {}", body.len()));
        }
        let body = match end {
            _ if bodiless => Body::length(head.length.filter(|_| self.head_only).unwrap_or(0)),
            Some(_) => Body::chunks(body),
            None => {
                Body::guest(GuestBody { left: head.length, first: body, _watch: self.watch(), running: Some(self) })
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        Ok(response)
    }

    fn refuse(&self, status: StatusCode, why: &str) -> Outcome {
        self.run.say(why);
        Err(Refusal::Status(status))
    }

    fn failed(&self, end: &End) -> Outcome {
        self.run.say_end(end);
        let status = if self.too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::INTERNAL_SERVER_ERROR };
        Err(Refusal::Status(status))
    }

    /// Stops the run when its time is up, also while nobody asks for more of its answer.
    fn watch(&self) -> Watch {
        let (run, deadline) = (self.run.clone(), self.deadline);
        Watch(tokio::spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            run.expire();
        }))
    }

    /// Output, while input is brought.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Output> {
        if let Poll::Ready(taken) = self.run.call.poll_output(cx, false) {
            return Poll::Ready(self.in_time(taken));
        }
        self.poll_input(cx);
        while self.tick.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if let Poll::Ready(taken) = self.run.call.poll_output(cx, true) {
                return Poll::Ready(self.in_time(taken));
            }
            if now >= self.deadline {
                self.run.expire();
                return Poll::Ready(Err(StatusCode::GATEWAY_TIMEOUT));
            }
            if self.sender.is_slow(now) {
                self.run.say("its client is too slow to send the body");
                return Poll::Ready(Err(StatusCode::REQUEST_TIMEOUT));
            }
            if self.run.call.waits() {
                self.run.shared.pool.hurry();
            }
            self.pause = TICK[1].min(self.pause * 2);
            self.tick.as_mut().reset((now + self.pause).min(self.deadline).into());
        }
        Poll::Pending
    }

    /// What a handler says after its time is not told.
    fn in_time(&mut self, taken: Taken) -> Output {
        self.pause = TICK[0];
        let late = taken.end.is_none() && Instant::now() >= self.deadline;
        if late {
            self.run.expire();
        }
        if late || taken.expired { Err(StatusCode::GATEWAY_TIMEOUT) } else { Ok((taken.bytes, taken.end)) }
    }

    /// Brings input, as long as there is some and room for it.
    fn poll_input(&mut self, cx: &mut Context<'_>) {
        while let Some(incoming) = &mut self.incoming {
            if self.run.call.poll_room(cx).is_pending() {
                return;
            }
            let Poll::Ready(frame) = pin!(incoming).poll_frame(cx) else { return self.sender.begin() };
            let data = frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()));
            let end = match data {
                Some(Ok(data)) if data.len() as u64 > self.room => {
                    self.too_large = true;
                    Err(Errno::Io)
                }
                Some(Ok(data)) => {
                    self.room -= data.len() as u64;
                    self.sender.sent(data.len());
                    if !data.is_empty() {
                        self.run.call.bring(data);
                    }
                    continue;
                }
                Some(Err(_)) => Err(Errno::Io),
                None => Ok(()),
            };
            self.run.call.end_input(end);
            (self.incoming, self.sender.since) = (None, None);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.run.call.cancel();
    }
}

/// Who waits for a time that is not waited for any more when this goes.
struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a handler's answer, as it is printed.
pub(super) struct GuestBody {
    /// Bytes that the head announced and that are still to come.
    left: Option<u64>,
    first: Bytes,
    /// None once it has ended.
    running: Option<Running>,
    _watch: Watch,
}

impl GuestBody {
    pub(super) fn length(&self) -> Option<u64> {
        self.left
    }

    /// Whether all of it has been handed on.
    pub(super) fn is_over(&self) -> bool {
        self.first.is_empty() && self.running.is_none()
    }

    /// The next bytes.
    ///
    /// An error cuts the connection: the answer is not whole.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if !self.first.is_empty() {
            let first = std::mem::take(&mut self.first);
            return Poll::Ready(self.announced(first).map(Some));
        }
        let Some(running) = &mut self.running else { return Poll::Ready(Ok(None)) };
        let (bytes, end) = match ready!(running.poll_output(cx)) {
            Ok(taken) => taken,
            Err(_) => return Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        };
        if let Some(end) = end {
            let over = running.run.call.is_over_limit();
            if over {
                running.run.say(TOO_LONG);
            } else {
                running.run.say_end(&end);
            }
            if over || end != End::Done {
                return Poll::Ready(Err(io::Error::other("the handler failed")));
            }
            self.running = None;
            let whole = self.announced(bytes.into())?;
            if self.left.is_some_and(|left| left > 0) {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            return Poll::Ready(Ok(Some(whole).filter(|bytes| !bytes.is_empty())));
        }
        Poll::Ready(self.announced(bytes.into()).map(Some))
    }

    /// Counts down what was announced. More than that never gets out.
    fn announced(&mut self, bytes: Bytes) -> io::Result<Bytes> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(bytes.len() as u64).ok_or_else(|| io::Error::other("more than announced"))?;
        }
        Ok(bytes)
    }
}

impl From<Vec<u8>> for Chunks {
    fn from(bytes: Vec<u8>) -> Chunks {
        Bytes::from(bytes).into()
    }
}
