//! Serving a bundle over HTTP: its files, and its modules as handlers.
//!
//! ```no_run
//! use kitbag::serve::{Options, Server};
//!
//! let server = Server::bind("site.zip".as_ref(), Options::new("127.0.0.1:8080".parse().unwrap()))?;
//! println!("http://{}", server.address());
//! server.run()?; // until SIGTERM or SIGINT
//! # Ok::<(), kitbag::serve::Error>(())
//! ```
//!
//! What is served, and how, is in the bundle's [manifest](crate::bundle::Serve).
//!
//! # Shape
//!
//! One thread for each core, each with its own runtime and its own listening socket (`SO_REUSEPORT`: the kernel deals out the
//! connections), and nothing that is shared between them on the way of a request for a file but counters. Handlers run on
//! threads of a pool (`cgi`), so that none keeps a connection waiting that is not its own.
//!
//! HTTP itself is hyper's, which has seen more hostile peers than anything made here would: framing,
//! limits on heads, HTTP/2. Against its own server a framework (axum) lost: its router and extractors cost a
//! tenth of a small file's answer, and none of what is special here is in it. Beneath hyper a
//! connection (`connection.rs`) hands pages of the archive's file to the kernel, which is what it takes to keep up with
//! `sendfile` in servers made of nothing else.
//!
//! | | |
//! |---|---|
//! | `worker` | accepting, routing, answering |
//! | `site`, `route`, `target` | an opened bundle, its patterns, the paths of requests |
//! | `files`, `answer`, `conditional`, `encoding`, `range` | files and what can be asked of them |
//! | `cgi` | handlers |
//! | `connection`, `body`, `exchange` | bytes, and what is counted of them |
//! | `log`, `metrics`, `pages`, `state` | what is said and shown |
//! | `control`, `reload`, `heap` | what is done beside answering |

mod answer;
mod body;
mod cgi;
mod conditional;
mod connection;
mod control;
mod encoding;
mod exchange;
mod files;
mod heap;
mod log;
mod metrics;
mod pages;
mod range;
mod reload;
mod route;
mod site;
mod sockets;
mod state;
mod target;
mod worker;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener as Listener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

pub use self::log::{Format, Notes};

use self::control::{Signals, Workers};
use self::log::Log;
use self::metrics::Metrics;
use self::reload::Reloading;
use self::site::Site;
use self::state::{Current, Folders, Shared};
use self::worker::Worker;
use crate::bundle::Opened;

/// Threads of a worker that read files.
const READERS: usize = 8;

/// How a server is run, beside what the bundle says.
pub struct Options {
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    access: Option<(Format, Box<dyn Write + Send>)>,
    notes: Notes,
    workers: usize,
    grace: Duration,
    watch: bool,
}

impl Options {
    /// A server on `address`: a worker for each core, no access log, no metrics, nothing said, ten seconds for requests in flight when
    /// it ends.
    #[must_use]
    pub fn new(address: SocketAddr) -> Options {
        Options {
            address,
            metrics: None,
            access: None,
            notes: Box::new(|_| ()),
            workers: thread::available_parallelism().map_or(1, usize::from),
            grace: Duration::from_secs(10),
            watch: false,
        }
    }

    /// Shows what is counted at `/metrics` of another address.
    #[must_use]
    pub fn metrics(self, address: SocketAddr) -> Options {
        Options { metrics: Some(address), ..self }
    }

    /// Writes an access log.
    #[must_use]
    pub fn access_log(self, format: Format, sink: impl Write + Send + 'static) -> Options {
        Options { access: Some((format, Box::new(sink))), ..self }
    }

    /// Says what happens: what handlers say and what is wrong with them, reloads.
    #[must_use]
    pub fn notes(self, notes: impl Fn(&str) + Send + Sync + 'static) -> Options {
        Options { notes: Box::new(notes), ..self }
    }

    /// Threads that answer, beside those of handlers.
    #[must_use]
    pub fn workers(self, count: usize) -> Options {
        Options { workers: count.max(1), ..self }
    }

    /// How long requests in flight may take when the server ends.
    #[must_use]
    pub fn grace(self, time: Duration) -> Options {
        Options { grace: time, ..self }
    }

    /// Looks each second whether the bundle has changed, and swaps it in.
    #[must_use]
    pub fn watch(self, watch: bool) -> Options {
        Options { watch, ..self }
    }
}

/// Why a bundle cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something about the bundle.
    #[error("{0}")]
    Bundle(String),
    /// An address that cannot be listened on.
    #[error("{0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The system refuses threads, signals and the like.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A server whose sockets listen already.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<TcpListener>,
    metrics: Option<TcpListener>,
    address: SocketAddr,
    reloading: Arc<Reloading>,
    grace: Duration,
    /// What waits for signals.
    control: Runtime,
    signals: Signals,
}

impl Server {
    /// Opens a bundle, compiles its handlers, and listens. From then on SIGTERM, SIGINT and SIGHUP wait for [`Server::run`], and
    /// SIGPIPE is nothing.
    ///
    /// # Errors
    /// [`Error`].
    pub fn bind(bundle: &Path, options: Options) -> Result<Server, Error> {
        let folders = Folders::default();
        let site = open(bundle, &folders).map_err(Error::Bundle)?;
        let listen = |address, count| sockets::listen(address, count).map_err(|error| Error::Listen(address, error));
        let listeners = listen(options.address, options.workers)?;
        let metrics = options.metrics.map(|address| listen(address, 1)).transpose()?.and_then(|mut one| one.pop());
        let address = listeners.first().map_or(Ok(options.address), TcpListener::local_addr)?;
        sockets::raise_descriptors();
        let log = Log::new(options.notes, options.access)?;
        let shared =
            Arc::new(Shared { current: Current::new(site), metrics: Metrics::default(), log, pool: cgi::Pool::new() });
        let reloading = Arc::new(Reloading::new(bundle, folders, options.watch));
        let control = runtime()?;
        let signals = control.block_on(async { Signals::new() })?;
        Ok(Server { shared, listeners, metrics, address, reloading, grace: options.grace, control, signals })
    }

    /// Where it listens: with the port that the system chose, where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics are shown.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until the process gets SIGTERM or SIGINT, and then until all requests in flight are answered or the time for that is
    /// over; a second signal ends it at once. SIGHUP has the bundle opened anew.
    ///
    /// # Errors
    /// [`Error::Io`], where it could not start.
    pub fn run(self) -> Result<(), Error> {
        let (stop, stopped) = watch::channel(false);
        let mut threads = Vec::new();
        for listener in self.listeners {
            let (shared, stopped, runtime) = (Arc::clone(&self.shared), stopped.clone(), runtime()?);
            let run = move || {
                runtime.block_on(async {
                    let listener = Listener::from_std(listener)?;
                    Worker::new(shared).run(listener, stopped).await;
                    Ok(())
                })
            };
            threads.push(thread::Builder::new().name("kitbag worker".to_owned()).spawn(run)?);
        }
        let workers = Workers { threads, stop };
        let control = control::run(&self.shared, self.signals, self.metrics, &self.reloading, workers, self.grace);
        let result = self.control.block_on(control);
        // A bundle that is still being opened is not waited for.
        self.control.shutdown_background();
        self.shared.pool.close();
        self.shared.log.close();
        Ok(result?)
    }
}

/// A runtime for one thread.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(READERS).build()
}

fn open(path: &Path, folders: &Folders) -> Result<Site, String> {
    let bundle = Opened::open(path).map_err(|error| error.to_string())?;
    Site::open(&bundle, folders)
}
