//! The thread that waits for signals, looks after the bundle and the heap, and shows metrics.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::TcpListener as StdListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use kitbag_fs::Bytes;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle as Task;
use tokio::time::MissedTickBehavior;

use super::body::Body;
use super::heap;
use super::pages;
use super::reload::{Changing, Reloading};
use super::state::Shared;

/// How often the bundle is looked at, and memory given back.
const LOOK: Duration = Duration::from_secs(1);

/// How long a client may take for the head of a request for metrics.
const PATIENCE: Duration = Duration::from_secs(10);

/// Signals that the process is run by.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// What `sendfile` raises where the client has gone. It is nothing to be told of; that it is waited for keeps it from ending the
    /// process, whatever this does with it otherwise.
    _pipe: Signal,
}

impl Signals {
    /// Within a runtime. From here on they do not end the process by themselves.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn new() -> io::Result<Signals> {
        let [terminate, interrupt, hang_up, pipe] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::pipe()].map(signal);
        Ok(Signals { terminate: terminate?, interrupt: interrupt?, hang_up: hang_up?, _pipe: pipe? })
    }

    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.terminate.poll_recv(cx).is_ready() || self.interrupt.poll_recv(cx).is_ready() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// What there is to do.
enum Event {
    Stop,
    Reload,
    Look,
}

/// Reloads and shows metrics until the process is to end; then stops the workers, and waits for them to be done with what
/// they have, but no longer than `grace`, or until it is told a second time.
///
/// # Errors
/// A socket for metrics that cannot be waited for.
pub(super) async fn run(
    shared: &Arc<Shared>,
    mut signals: Signals,
    metrics: Option<StdListener>,
    reloading: &Arc<Reloading>,
    workers: Workers,
    grace: Duration,
) -> io::Result<()> {
    if let Some(listener) = metrics {
        tokio::spawn(show(Arc::clone(shared), TcpListener::from_std(listener)?));
    }
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changing = Changing::default();
    let mut answered = 0;
    // One at a time; the process can be told to end meanwhile.
    let mut reload: Option<Task<()>> = None;
    loop {
        let event = poll_fn(|cx| {
            if signals.poll_stop(cx).is_ready() {
                return Poll::Ready(Event::Stop);
            }
            if let Some(running) = &mut reload {
                ready!(Pin::new(running).poll(cx)).ok();
                reload = None;
            }
            if signals.hang_up.poll_recv(cx).is_ready() {
                return Poll::Ready(Event::Reload);
            }
            if look.poll_tick(cx).is_ready() {
                return Poll::Ready(Event::Look);
            }
            Poll::Pending
        });
        match event.await {
            Event::Stop => break,
            Event::Look => {
                let before = mem::replace(&mut answered, shared.metrics.requests.total());
                if answered != before {
                    heap::give_back();
                }
                if !(reloading.watch && reloading.has_changed(&mut changing)) {
                    continue;
                }
            }
            Event::Reload => {}
        }
        let (reloading, shared) = (Arc::clone(reloading), Arc::clone(shared));
        reload = Some(tokio::task::spawn_blocking(move || reloading.reload(&shared)));
    }
    _ = workers.stop.send(true);
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let deadline = Instant::now() + grace;
    poll_fn(|cx| {
        let ticked = tick.poll_tick(cx).is_ready();
        let over = workers.threads.iter().all(JoinHandle::is_finished) || Instant::now() >= deadline;
        if ticked {
            cx.waker().wake_by_ref();
        }
        if over || signals.poll_stop(cx).is_ready() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    Ok(())
}

/// The threads that answer, and what stops them.
pub(super) struct Workers {
    pub(super) threads: Vec<JoinHandle<io::Result<()>>>,
    pub(super) stop: watch::Sender<bool>,
}

/// Answers requests for metrics.
async fn show(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let response = page(&shared, &request);
            async move { Ok::<_, Infallible>(response) }
        });
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

fn page(shared: &Shared, request: &Request<Incoming>) -> Response<Body> {
    if request.uri().path() != "/metrics" {
        return pages::status(StatusCode::NOT_FOUND);
    }
    let text = shared.metrics.text(shared.pool.waiting(), shared.log.lost());
    let mut response = Response::new(Body::chunks(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}
