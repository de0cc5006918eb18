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
//! | finds no thread and the queue full | 503 |
//! | any of these after the head was sent | a connection that is cut, so that no client takes the part for the whole |
//!
//! The head is sent once it is there and the handler has printed much more, has ended, or a moment has passed, so that what
//! goes wrong at once in a short answer is still told by a status.

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
use tokio::time::Sleep;

use self::call::Call;
pub(super) use self::call::End;
pub(super) use self::env::Matched;
pub(super) use self::handler::{Handler, Mounted, View};
pub(super) use self::pool::Pool;
use super::body::{Body, Chunks};
use super::state::Shared;
use crate::bundle::Limits;
use crate::wasi::Errno;

/// How long what a handler printed may lie before it is sent.
const TICK: Duration = Duration::from_millis(5);

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

/// A run that is stopped when nobody waits for it any more, and the body that it is fed.
struct Running {
    call: Arc<Call>,
    incoming: Option<Incoming>,
    /// Bytes that the body may still have.
    room: u64,
    too_large: bool,
    /// When the handler's time is up.
    deadline: Instant,
    tick: Pin<Box<Sleep>>,
    shared: Arc<Shared>,
    name: String,
    /// Whether the client wants to know of the body only what the head says.
    head_only: bool,
}

/// Runs `handler` for a request.
pub(super) async fn answer(
    shared: &Arc<Shared>,
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
    let call = Call::new(limits.response, incoming.is_some());
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
        call,
        incoming,
        room: limits.body,
        too_large: false,
        deadline: Instant::now() + handler.time,
        tick: Box::pin(tokio::time::sleep(TICK)),
        shared: Arc::clone(shared),
        name: handler.name.clone(),
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
            None => Body::guest(GuestBody { left: head.length, first: body, running: Some(self) }),
        };
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        Ok(response)
    }

    fn refuse(&self, status: StatusCode, why: &str) -> Outcome {
        self.say(why);
        Err(Refusal::Status(status))
    }

    fn failed(&self, end: &End) -> Outcome {
        self.say_end(end);
        let status = if self.too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::INTERNAL_SERVER_ERROR };
        Err(Refusal::Status(status))
    }

    fn say(&self, what: &str) {
        self.shared.metrics.failures.add(1);
        self.shared.log.note(format_args!("{}: {what}", self.name));
    }

    fn say_end(&self, end: &End) {
        match end {
            End::Done => {}
            End::Exit(status) => self.say(&format!("it exited with status {status}")),
            End::Trap(_, cause) => self.say(&format!("trap: {cause}")),
            End::Failed(cause) => self.say(cause),
        }
    }

    /// Output, while input is brought.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Output> {
        if let Poll::Ready(taken) = self.call.poll_output(cx, false) {
            return Poll::Ready(Ok((taken.bytes, taken.end)));
        }
        self.poll_input(cx);
        while self.tick.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= self.deadline {
                self.say("it took too long");
                return Poll::Ready(Err(StatusCode::GATEWAY_TIMEOUT));
            }
            if let Poll::Ready(taken) = self.call.poll_output(cx, true) {
                return Poll::Ready(Ok((taken.bytes, taken.end)));
            }
            let next = (now + TICK).min(self.deadline);
            self.tick.as_mut().reset(next.into());
        }
        Poll::Pending
    }

    /// Brings input, as long as there is some and room for it.
    fn poll_input(&mut self, cx: &mut Context<'_>) {
        while let Some(incoming) = &mut self.incoming {
            if self.call.poll_room(cx).is_pending() {
                return;
            }
            let Poll::Ready(frame) = pin!(incoming).poll_frame(cx) else { return };
            let data = frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()));
            let end = match data {
                Some(Ok(data)) if data.len() as u64 > self.room => {
                    self.too_large = true;
                    Err(Errno::Io)
                }
                Some(Ok(data)) => {
                    self.room -= data.len() as u64;
                    if !data.is_empty() {
                        self.call.bring(data);
                    }
                    continue;
                }
                Some(Err(_)) => Err(Errno::Io),
                None => Ok(()),
            };
            self.call.end_input(end);
            self.incoming = None;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.call.cancel();
    }
}

/// The body of a handler's answer, as it is printed.
pub(super) struct GuestBody {
    /// Bytes that the head announced and that are still to come.
    left: Option<u64>,
    first: Bytes,
    /// None once it has ended.
    running: Option<Running>,
}

impl GuestBody {
    pub(super) fn length(&self) -> Option<u64> {
        self.left
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
            let over = running.call.is_over_limit();
            if over {
                running.say("its answer is longer than the limit");
            } else {
                running.say_end(&end);
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
