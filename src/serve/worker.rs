//! One thread of the server: it accepts connections, and answers what comes through them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, HOST, HeaderValue, LOCATION, RETRY_AFTER, SERVER};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use kitbag_fs::{Bytes, Error as FsError, Metadata};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::body::Body;
use super::cgi::{self, Bell, Matched, Outcome, Refusal};
use super::connection::{Activity, Connection, Patience};
use super::exchange::Exchange;
use super::files::{Found, Prepared};
use super::site::{Headers, Route, Site, Target as Leads};
use super::state::{Shared, lock};
use super::target::Target;
use super::{answer, pages};

/// Answers that a worker remembers the way to.
const REMEMBERED: usize = 4096;

/// A file whose checksum is verified while its client waits, without asking another thread to do it: up to that size.
const PREPARED_AT_ONCE: u64 = 1 << 20;

/// How often a handler may have another path answered in its place.
const DETOURS: usize = 8;

/// Streams of a connection of HTTP/2.
const STREAMS: u32 = 128;

/// Bytes of bodies that a client may send by HTTP/2 before a handler has read them: of one stream, and of all of a connection.
const WINDOWS: [u32; 2] = [64 << 10, 256 << 10];

/// How long accepting pauses where the system has no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// What one thread needs.
pub(super) struct Worker {
    shared: Arc<Shared>,
    bell: Arc<Bell>,
    memory: Mutex<Memory>,
}

/// The bundle that was served last, and the way to what was asked for.
struct Memory {
    number: u64,
    site: Arc<Site>,
    files: HashMap<String, Known>,
}

/// A file, and which route led to it.
#[derive(Clone)]
struct Known {
    prepared: Arc<Prepared>,
    route: Option<usize>,
}

/// The two ends of a connection, and what it is told.
struct Client {
    peer: SocketAddr,
    local: SocketAddr,
    activity: Arc<Activity>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>) -> Arc<Worker> {
        let (number, site) = (shared.current.number(), shared.current.get());
        let bell = Arc::default();
        Arc::new(Worker { shared, bell, memory: Mutex::new(Memory { number, site, files: HashMap::new() }) })
    }

    /// Accepts until `stop` says so, then waits until all have been answered.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener, stop: watch::Receiver<bool>) {
        tokio::spawn(Arc::clone(&self.bell).answer());
        let mut stopping = stop.clone();
        let mut stopped = pin!(stopping.wait_for(|stop| *stop));
        loop {
            let accepted = poll_fn(|cx| match stopped.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => listener.poll_accept(cx).map(Some),
            });
            match accepted.await {
                None => break,
                Some(Ok((stream, peer))) => self.accept(stream, peer, stop.clone()),
                // There are no descriptors left, or the client is gone already.
                Some(Err(_)) => tokio::time::sleep(PAUSE).await,
            }
        }
        drop(listener);
        // Each connection has a receiver, and so has whoever stops this.
        while Arc::strong_count(&self) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn accept(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, stop: watch::Receiver<bool>) {
        let limits = self.site().serve.limits.clone();
        let open = self.shared.metrics.connections.begin();
        if open >= limits.connections as u64 {
            self.shared.metrics.connections.end();
            return;
        }
        _ = stream.set_nodelay(true);
        let Ok(local) = stream.local_addr() else { return self.shared.metrics.connections.end() };
        let worker = Arc::clone(self);
        tokio::spawn(async move {
            let patience = Patience { idle: limits.idle, head: limits.head, stall: limits.stall };
            worker.clone().converse(stream, peer, local, patience, limits.headers, stop).await;
            worker.shared.metrics.connections.end();
        });
    }

    /// Serves a connection to its end. How it ended is nobody's business but the client's.
    async fn converse(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        local: SocketAddr,
        patience: Patience,
        headers: usize,
        mut stop: watch::Receiver<bool>,
    ) {
        let activity = Activity::new(&patience);
        let connection = TokioIo::new(Connection::new(stream, Arc::clone(&activity), patience));
        let client = Arc::new(Client { peer, local, activity });
        let service = service_fn(move |request| {
            let (worker, client) = (Arc::clone(&self), Arc::clone(&client));
            async move { Ok::<_, Infallible>(worker.serve(request, &client).await) }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // Not gathering pipelined answers, for which hyper would copy all bodies.
        builder.http1().max_buf_size(headers).header_read_timeout(None).writev(true);
        let list = u32::try_from(headers).unwrap_or(u32::MAX);
        let [stream, all] = WINDOWS;
        let mut two = builder.http2();
        two.max_header_list_size(list).max_concurrent_streams(STREAMS);
        two.initial_stream_window_size(stream).initial_connection_window_size(all);
        let mut connection = pin!(builder.serve_connection(connection, service));
        let mut stopped = pin!(stop.wait_for(|stop| *stop));
        let mut stopping = false;
        poll_fn(|cx| {
            if !stopping && stopped.as_mut().poll(cx).is_ready() {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(cx).map(drop)
        })
        .await;
    }

    /// The bundle that is served now.
    fn site(&self) -> Arc<Site> {
        let mut memory = lock(&self.memory);
        self.refresh(&mut memory);
        Arc::clone(&memory.site)
    }

    fn refresh(&self, memory: &mut Memory) {
        let number = self.shared.current.number();
        if memory.number != number {
            *memory = Memory { number, site: self.shared.current.get(), files: HashMap::new() };
        }
    }

    /// The bundle, and the way to `path` if it is known.
    fn known(&self, path: &str) -> (Arc<Site>, Option<Known>) {
        let mut memory = lock(&self.memory);
        self.refresh(&mut memory);
        (Arc::clone(&memory.site), memory.files.get(path).cloned())
    }

    /// Remembers the way to a file that stays what it is.
    fn remember(&self, site: &Arc<Site>, path: &str, known: Known) {
        let mut memory = lock(&self.memory);
        if !site.files.fixed() || !Arc::ptr_eq(&memory.site, site) {
            return;
        }
        if memory.files.len() >= REMEMBERED {
            memory.files.clear();
        }
        memory.files.insert(path.to_owned(), known);
    }

    async fn serve(&self, request: Request<Incoming>, client: &Client) -> Response<Body> {
        let (parts, incoming) = request.into_parts();
        let mut exchange = Exchange::begin(&self.shared, &client.activity, client.peer.ip(), &parts);
        let (site, known) = self.known(parts.uri.path());
        let most = site.serve.limits.requests as u64;
        let mut response = if exchange.others >= most {
            self.shared.metrics.refused.add(1);
            pages::status(StatusCode::SERVICE_UNAVAILABLE)
        } else {
            let ask = Ask { worker: self, site: &site, client, parts: &parts };
            match known.filter(|known| is_simple(&parts) && site.allows(known.route, &parts.method)) {
                Some(known) => ask.file(&known).await,
                None => Box::pin(ask.answer(incoming)).await,
            }
        };
        let status = response.status();
        exchange.answered(status.as_u16());
        let headers = response.headers_mut();
        add(headers, &site.headers);
        headers.entry(SERVER).or_insert(HeaderValue::from_static("kitbag"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.entry(RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
        }
        if parts.version < Version::HTTP_2 && status == StatusCode::BAD_REQUEST {
            // Whoever sent it may mean something else by what comes next.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| body.attach(exchange))
    }
}

/// Adds headers that are not there.
fn add(headers: &mut hyper::HeaderMap, more: &Headers) {
    for (name, value) in more {
        headers.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

/// Whether the way to a file is all that a request asks about.
fn is_simple(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD) && check(parts).is_ok()
}

/// What has to hold of every request (RFC 9112, 3.2; RFC 9113, 8.3.1): a path, and one host.
fn check(parts: &Parts) -> Result<(), StatusCode> {
    if parts.method == Method::CONNECT || !parts.uri.path().starts_with('/') && parts.uri.path() != "*" {
        return Err(StatusCode::BAD_REQUEST);
    }
    if let Some(authority) = parts.uri.authority() {
        let same = |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
        let differs = parts.version == Version::HTTP_2 && parts.headers.get(HOST).is_some_and(|host| !same(host));
        if differs || !is_host(authority.as_str().as_bytes()) {
            return Err(StatusCode::BAD_REQUEST);
        }
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(StatusCode::BAD_REQUEST),
        (Some(host), None) if !is_host(host.as_bytes()) => Err(StatusCode::BAD_REQUEST),
        (None, None) if parts.version == Version::HTTP_11 => Err(StatusCode::BAD_REQUEST),
        _ => Ok(()),
    }
}

/// A host and a port as far as characters go (RFC 3986, 3.2.2); empty is allowed.
fn is_host(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(&byte))
}

/// A request and who answers it.
struct Ask<'r> {
    worker: &'r Worker,
    site: &'r Arc<Site>,
    client: &'r Client,
    parts: &'r Parts,
}

/// What answers a request cannot have: the status to tell.
type Answered = Result<Response<Body>, StatusCode>;

impl Ask<'_> {
    async fn answer(&self, incoming: Incoming) -> Response<Body> {
        let mut incoming = Some(incoming);
        let mut detour: Option<Parts> = None;
        for _ in 0..DETOURS {
            let parts = detour.as_ref().unwrap_or(self.parts);
            let ask = Ask { parts, ..*self };
            match ask.routed(incoming.take()).await {
                Ok(response) => return response,
                Err(Refusal::Instead(path)) => match instead(parts, &path) {
                    Some(parts) => detour = Some(parts),
                    None => return ask.error(StatusCode::BAD_GATEWAY).await,
                },
                Err(Refusal::Status(status)) => return ask.error(status).await,
            }
        }
        self.error(StatusCode::BAD_GATEWAY).await
    }

    async fn routed(&self, incoming: Option<Incoming>) -> Outcome {
        check(self.parts)?;
        if self.parts.uri.path() == "*" {
            return Ok(allow(StatusCode::NO_CONTENT, "GET, HEAD, OPTIONS"));
        }
        let target = Target::parse(self.parts.uri.path()).map_err(|_| StatusCode::BAD_REQUEST)?;
        let found = self.site.routes.iter().enumerate().find(|(_, route)| route.pattern.matches(&target));
        let Some((number, route)) = found else {
            let answered = match self.site.routes.is_empty() {
                true => self.files(b"", &target, 0, None).await,
                false => self.missing().await,
            };
            return Ok(answered?);
        };
        if !self.site.allows(Some(number), &self.parts.method) {
            return Ok(allow(StatusCode::METHOD_NOT_ALLOWED, &route.methods.join(", ")));
        }
        let mut response = match &route.target {
            Leads::Files(folder) => self.files(folder, &target, route.pattern.len(), Some(number)).await?,
            Leads::File(file) => self.one_file(file, Some(number)).await?,
            Leads::Redirect { to, status } => redirect(to, *status, route, &target, self.parts)?,
            Leads::Handler(handler) => self.handler(handler, route, &target, incoming).await?,
        };
        add(response.headers_mut(), &route.headers);
        Ok(response)
    }

    async fn handler(
        &self,
        handler: &Arc<cgi::Handler>,
        route: &Route,
        target: &Target,
        incoming: Option<Incoming>,
    ) -> Outcome {
        let at = route.pattern.len();
        let rest = at < target.segments.len();
        let script = Target { segments: target.segments[..at].to_vec(), folder: false };
        let matched = Matched {
            route: &route.pattern.text,
            params: route.pattern.params(target),
            script: script.decoded(0),
            info: if rest { target.decoded(at) } else { Vec::new() },
            raw_info: if rest { target.encoded(at) } else { String::new() },
            peer: self.client.peer,
            local: self.client.local,
        };
        let limits = &self.site.serve.limits;
        let shared = &self.worker.shared;
        let outcome = cgi::answer(shared, &self.worker.bell, handler, limits, &matched, self.parts, incoming).await;
        if matches!(outcome, Err(Refusal::Status(StatusCode::SERVICE_UNAVAILABLE))) {
            shared.metrics.refused.add(1);
        }
        outcome
    }

    /// What is in `folder` where the path leads from segment `from` on.
    async fn files(&self, folder: &[u8], target: &Target, from: usize, route: Option<usize>) -> Answered {
        if let Some(answer) = self.not_a_read() {
            return Ok(answer);
        }
        let mut path = folder.to_vec();
        for segment in &target.segments[from..] {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(segment);
        }
        match self.site.files.find(&path) {
            Ok(Found::File(metadata)) if !target.folder => self.prepared(path, metadata, route).await,
            Ok(Found::File(_)) => self.missing().await,
            Ok(Found::Folder) if !target.folder => {
                let query = self.parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                let to = format!("{}/{query}", target.encoded(0));
                Ok(moved(StatusCode::MOVED_PERMANENTLY, &to))
            }
            Ok(Found::Folder) => self.folder(path, target, from, route).await,
            Err(error) => match status_of(error) {
                StatusCode::NOT_FOUND => self.missing().await,
                status => Err(status),
            },
        }
    }

    async fn folder(&self, path: Vec<u8>, target: &Target, from: usize, route: Option<usize>) -> Answered {
        let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
        let index = [&path, slash, self.site.serve.index.as_bytes()].concat();
        match self.site.files.find(&index) {
            Ok(Found::File(metadata)) => self.prepared(index, metadata, route).await,
            _ if self.site.serve.listing => {
                let names = self.site.files.list(&path).map_err(status_of)?;
                let top = from == target.segments.len();
                Ok(pages::listing(&target.decoded(0), top, &names))
            }
            _ => self.missing().await,
        }
    }

    /// The file of a route.
    async fn one_file(&self, path: &[u8], route: Option<usize>) -> Answered {
        if let Some(answer) = self.not_a_read() {
            return Ok(answer);
        }
        match self.site.files.find(path) {
            Ok(Found::File(metadata)) => self.prepared(path.to_vec(), metadata, route).await,
            Ok(Found::Folder) => Err(StatusCode::NOT_FOUND),
            Err(error) => Err(status_of(error)),
        }
    }

    async fn prepared(&self, path: Vec<u8>, metadata: Metadata, route: Option<usize>) -> Answered {
        let prepared = prepare(self.site, path, metadata).await.map_err(status_of)?;
        let known = Known { prepared: Arc::new(prepared), route };
        self.worker.remember(self.site, self.parts.uri.path(), known.clone());
        Ok(self.file(&known).await)
    }

    /// The answer with a file.
    async fn file(&self, known: &Known) -> Response<Body> {
        if let Some(archive) = self.site.files.archive() {
            self.client.activity.sends(archive);
        }
        match answer::file(&known.prepared, &self.parts.method, &self.parts.headers).await {
            Ok(mut response) => {
                if let Some(route) = known.route {
                    add(response.headers_mut(), &self.site.routes[route].headers);
                }
                response
            }
            Err(error) => pages::status(status_of(error)),
        }
    }

    /// What is answered where nothing is.
    async fn missing(&self) -> Answered {
        match &self.site.serve.fallback {
            Some(page) if self.not_a_read().is_none() => {
                self.page(page, StatusCode::OK).await.ok_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            _ => Err(StatusCode::NOT_FOUND),
        }
    }

    /// The page for a status, the bundle's own if it has one.
    async fn error(&self, status: StatusCode) -> Response<Body> {
        let own = match self.site.serve.errors.get(&status.as_u16()) {
            Some(page) => self.page(page, status).await,
            None => None,
        };
        own.unwrap_or_else(|| pages::status(status))
    }

    async fn page(&self, path: &str, status: StatusCode) -> Option<Response<Body>> {
        let path = path.trim_start_matches("./").as_bytes().to_vec();
        let Ok(Found::File(metadata)) = self.site.files.find(&path) else { return None };
        let prepared = prepare(self.site, path, metadata).await.ok()?;
        let method = if self.parts.method == Method::HEAD { &Method::HEAD } else { &Method::GET };
        answer::page(&prepared, method, status).await.ok()
    }

    /// The answer to what is neither GET nor HEAD of a file.
    fn not_a_read(&self) -> Option<Response<Body>> {
        match self.parts.method {
            Method::GET | Method::HEAD => None,
            Method::OPTIONS => Some(allow(StatusCode::NO_CONTENT, "GET, HEAD, OPTIONS")),
            _ => Some(allow(StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS")),
        }
    }
}

/// The request that a handler has answered in place of its own: a GET, without a body (RFC 3875, 6.2.2).
fn instead(parts: &Parts, path: &str) -> Option<Parts> {
    let mut detour = Request::new(()).into_parts().0;
    detour.method = if parts.method == Method::HEAD { Method::HEAD } else { Method::GET };
    detour.uri = path.parse().ok()?;
    detour.version = parts.version;
    detour.headers = parts.headers.clone();
    for name in [hyper::header::CONTENT_LENGTH, hyper::header::CONTENT_TYPE, hyper::header::TRANSFER_ENCODING] {
        detour.headers.remove(name);
    }
    Some(detour)
}

async fn prepare(site: &Arc<Site>, path: Vec<u8>, metadata: Metadata) -> kitbag_fs::Result<Prepared> {
    if metadata.size <= PREPARED_AT_ONCE {
        return site.files.prepare(&path, &metadata);
    }
    let site = Arc::clone(site);
    let prepared = tokio::task::spawn_blocking(move || site.files.prepare(&path, &metadata));
    prepared.await.map_err(|_| FsError::Io)?
}

fn allow(status: StatusCode, methods: &str) -> Response<Body> {
    let mut response = if status.is_success() { Response::new(Body::empty()) } else { pages::status(status) };
    *response.status_mut() = status;
    if let Ok(methods) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

fn moved(status: StatusCode, to: &str) -> Response<Body> {
    let mut response = pages::status(status);
    if let Ok(to) = HeaderValue::from_maybe_shared(Bytes::from(to.to_owned())) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

fn redirect(to: &str, status: u16, route: &Route, target: &Target, parts: &Parts) -> Answered {
    let status = StatusCode::from_u16(status).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let Some(start) = to.strip_suffix('*') else { return Ok(moved(status, to)) };
    let rest = target.encoded(route.pattern.len());
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(moved(status, &format!("{start}{}{query}", rest.trim_start_matches('/'))))
}

/// What keeps a file from being had, as a status.
fn status_of(error: FsError) -> StatusCode {
    match error {
        FsError::Access => StatusCode::FORBIDDEN,
        FsError::Io | FsError::NoMemory | FsError::TooLarge | FsError::TooManyFiles => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::NOT_FOUND,
    }
}
