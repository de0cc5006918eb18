//! What a manifest says of serving: the table `[serve]` and the routes.
//!
//! ```toml
//! [serve]
//! index = "index.html"            # what a folder shows; this is the default
//! listing = true                  # a page that lists a folder without index (default: only where there are no routes)
//! fallback = "index.html"         # what is shown, with 200, where nothing is: for single-page sites
//! errors = { 404 = "404.html" }   # pages for statuses from 400 on
//! headers = { X-Frame-Options = "DENY" }   # on every answer
//! dotfiles = false                # whether names that begin with a dot are served
//! shared = ["/state"]             # folders in memory that all handlers share, as long as the server runs
//!
//! [serve.limits]                  # these are the defaults
//! time = "10s"                    # a handler's, from the request to the end of the answer: 504
//! memory = "128M"                 # a handler's linear memory
//! body = "1M"                     # of a request: 413
//! response = "256M"               # of a handler's answer, which is cut there
//! headers = "16K"                 # of a request, in all: 431
//! requests = 1024                 # at once: 503
//! handlers = 16                   # that run at once (default: four for each core)
//! queue = 256                     # that wait to run: 503
//! connections = 16384             # at once; more are closed
//! idle = "60s"                    # how long a connection is kept without a request
//! head = "15s"                    # how long a client may take to send the head of a request
//! stall = "30s"                   # how long a client may take for each 16 KiB of a body, either way: 408, or it is cut
//! shared = "64M"                  # what each shared folder may hold
//!
//! [[route]]                       # the first that matches is taken
//! path = "/static/*"              # `:name` is any one segment, a `*` at the end any number of them
//! files = "public"                # a folder of the bundle
//! headers = { Cache-Control = "max-age=3600" }
//!
//! [[route]]
//! path = "/favicon.ico"
//! file = "images/icon.png"        # one file
//!
//! [[route]]
//! path = "/api/:what/*"
//! handler = "api.wasm"            # a module of the bundle, by CGI
//! methods = ["GET", "POST"]       # others are 405 (default: any)
//! args = ["--verbose"]            # before those from the query
//! env = { MODE = "live" }
//! time = "2s"                     # in place of the limits of all
//! memory = "16M"
//! authorization = true            # whether it sees the header of that name
//!
//! [[route]]
//! path = "/old/*"
//! redirect = "/static/*"          # `*` is what `*` matched
//! status = 301                    # 301, 302 (the default), 303, 307 or 308
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{ManifestError, line_of};
use crate::bundle::quantity;

/// How a bundle is served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Serve {
    /// The name of the file that a folder shows.
    pub index: String,
    /// Whether a folder without one is listed.
    pub listing: bool,
    /// The file that is shown where nothing is.
    pub fallback: Option<String>,
    /// Pages of errors, by status.
    pub errors: BTreeMap<u16, String>,
    /// Headers of every answer.
    pub headers: BTreeMap<String, String>,
    /// Whether names that begin with a dot are served.
    pub dotfiles: bool,
    /// Folders in memory that all handlers share.
    pub shared: Vec<String>,
    /// What is not exceeded.
    pub limits: Limits,
    /// Without any, every file is served.
    pub routes: Vec<Route>,
}

/// What clients and handlers do not exceed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// A handler's time from the request to the end of its answer.
    pub time: Duration,
    /// Bytes of a handler's linear memory.
    pub memory: u64,
    /// Bytes of a request's body.
    pub body: u64,
    /// Bytes of a handler's answer.
    pub response: u64,
    /// Bytes of a request's head.
    pub headers: usize,
    /// Requests at once.
    pub requests: usize,
    /// Handlers that run at once.
    pub handlers: usize,
    /// Handlers that wait to run.
    pub queue: usize,
    /// Connections at once.
    pub connections: usize,
    /// How long a connection is kept without a request.
    pub idle: Duration,
    /// How long a client may take to send the head of a request.
    pub head: Duration,
    /// How long a client may take for each 16 KiB of a body, either way.
    pub stall: Duration,
    /// Bytes in each of the shared folders.
    pub shared: u64,
}

/// What is done with the requests whose path matches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The pattern: segments, `:name` for any one, and at the end `*` (or `...`) for any number.
    pub path: String,
    /// The methods that it takes; empty for all that the action knows.
    pub methods: Vec<String>,
    /// Headers of its answers.
    pub headers: BTreeMap<String, String>,
    /// What is done.
    pub action: Action,
}

/// What a route does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Serves the files of this folder.
    Files(String),
    /// Serves this file.
    File(String),
    /// Runs a module.
    Handler(Handler),
    /// Sends the client elsewhere.
    Redirect {
        /// Where to; a `*` at its end is what the pattern's matched.
        to: String,
        /// With which status.
        status: u16,
    },
}

/// A module that answers requests.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handler {
    /// Its path in the bundle.
    pub module: String,
    /// Arguments before those from the query.
    pub args: Vec<String>,
    /// Variables of its environment, beside the bundle's.
    pub env: BTreeMap<String, String>,
    /// In place of [`Limits::time`].
    pub time: Option<Duration>,
    /// In place of [`Limits::memory`].
    pub memory: Option<u64>,
    /// Whether it sees the header `Authorization`.
    pub authorization: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            time: Duration::from_secs(10),
            memory: 128 << 20,
            body: 1 << 20,
            response: 256 << 20,
            headers: 16 << 10,
            requests: 1024,
            handlers: 4 * std::thread::available_parallelism().map_or(1, usize::from),
            queue: 256,
            connections: 1 << 14,
            idle: Duration::from_secs(60),
            head: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            shared: 64 << 20,
        }
    }
}

impl Default for Serve {
    /// Every file is served, and folders without index are listed.
    fn default() -> Serve {
        Serve {
            index: "index.html".to_owned(),
            listing: true,
            fallback: None,
            errors: BTreeMap::new(),
            headers: BTreeMap::new(),
            dotfiles: false,
            shared: Vec::new(),
            limits: Limits::default(),
            routes: Vec::new(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServeTable {
    index: Option<String>,
    listing: Option<bool>,
    fallback: Option<String>,
    errors: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    dotfiles: bool,
    shared: Vec<String>,
    limits: LimitsTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsTable {
    time: Option<Time>,
    memory: Option<Size>,
    body: Option<Size>,
    response: Option<Size>,
    headers: Option<Size>,
    requests: Option<usize>,
    handlers: Option<usize>,
    queue: Option<usize>,
    connections: Option<usize>,
    idle: Option<Time>,
    head: Option<Time>,
    stall: Option<Time>,
    shared: Option<Size>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteTable {
    path: String,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    files: Option<String>,
    file: Option<String>,
    handler: Option<String>,
    redirect: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    time: Option<Time>,
    memory: Option<Size>,
    authorization: Option<bool>,
}

/// Bytes: a number of them, or words as [`quantity::size`] reads them.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "Quantity")]
pub(super) struct Size(pub(super) u64);

/// A time: a number of seconds, or words as [`quantity::time`] reads them.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "Quantity")]
pub(super) struct Time(pub(super) Duration);

#[derive(Deserialize)]
#[serde(untagged)]
enum Quantity {
    Number(u64),
    Words(String),
}

impl TryFrom<Quantity> for Size {
    type Error = String;

    fn try_from(quantity: Quantity) -> Result<Size, String> {
        match quantity {
            Quantity::Number(bytes) => Ok(Size(bytes)),
            Quantity::Words(words) => quantity::size(&words).map(Size),
        }
    }
}

impl TryFrom<Quantity> for Time {
    type Error = String;

    fn try_from(quantity: Quantity) -> Result<Time, String> {
        match quantity {
            Quantity::Number(seconds) => Ok(Time(Duration::from_secs(seconds))),
            Quantity::Words(words) => quantity::time(&words).map(Time),
        }
    }
}

impl Serve {
    /// # Errors
    /// The first value that says nothing usable.
    pub(super) fn new(
        table: Option<ServeTable>,
        routes: Vec<toml::Spanned<RouteTable>>,
        text: &str,
    ) -> Result<Serve, ManifestError> {
        let table = table.unwrap_or_default();
        let routes = routes.into_iter().map(|table| route(table, text)).collect::<Result<Vec<_>, _>>()?;
        check_headers(&table.headers).map_err(ManifestError::anywhere)?;
        let errors = table.errors.into_iter().map(|(status, page)| Ok((error_status(&status)?, page)));
        Ok(Serve {
            index: table.index.unwrap_or_else(|| "index.html".to_owned()),
            listing: table.listing.unwrap_or(routes.is_empty()),
            fallback: table.fallback,
            errors: errors.collect::<Result<_, String>>().map_err(ManifestError::anywhere)?,
            headers: table.headers,
            dotfiles: table.dotfiles,
            shared: table.shared,
            limits: table.limits.into_limits().map_err(ManifestError::anywhere)?,
            routes,
        })
    }
}

impl LimitsTable {
    fn into_limits(self) -> Result<Limits, String> {
        let default = Limits::default();
        let size = |given: Option<Size>, default: u64| given.map_or(default, |Size(bytes)| bytes);
        let time = |given: Option<Time>, default: Duration| given.map_or(default, |Time(time)| time);
        let limits = Limits {
            time: time(self.time, default.time),
            memory: size(self.memory, default.memory),
            body: size(self.body, default.body),
            response: size(self.response, default.response),
            headers: usize::try_from(size(self.headers, default.headers as u64)).unwrap_or(usize::MAX),
            requests: self.requests.unwrap_or(default.requests),
            handlers: self.handlers.unwrap_or(default.handlers),
            queue: self.queue.unwrap_or(default.queue),
            connections: self.connections.unwrap_or(default.connections),
            idle: time(self.idle, default.idle),
            head: time(self.head, default.head),
            stall: time(self.stall, default.stall),
            shared: size(self.shared, default.shared),
        };
        match limits {
            // The HTTP library's own floor; the ceiling keeps a client from taking memory with every connection.
            Limits { headers, .. } if !(8 << 10..=1 << 20).contains(&headers) => {
                Err("the limit `headers` is between 8K and 1M".to_owned())
            }
            Limits { requests, handlers, connections, .. } if requests == 0 || handlers == 0 || connections == 0 => {
                Err("the limits `requests`, `handlers` and `connections` cannot be 0".to_owned())
            }
            Limits { handlers, .. } if handlers > 4096 => Err("the limit `handlers` is 4096 at the most".to_owned()),
            limits => Ok(limits),
        }
    }
}

fn route(table: toml::Spanned<RouteTable>, text: &str) -> Result<Route, ManifestError> {
    let line = line_of(text, table.span().start);
    let table = table.into_inner();
    let fail = |problem: String| ManifestError { line: Some(line), message: format!("the route {problem}") };
    check_pattern(&table.path).map_err(|problem| fail(format!("`{}` {problem}", table.path)))?;
    check_headers(&table.headers).map_err(|problem| fail(format!("`{}`: {problem}", table.path)))?;
    let (path, methods, headers) = (table.path.clone(), table.methods.clone(), table.headers.clone());
    let action = action(table).map_err(|problem| fail(format!("`{path}` {problem}")))?;
    Ok(Route { path, methods, headers, action })
}

fn action(table: RouteTable) -> Result<Action, String> {
    let for_handlers =
        !table.args.is_empty() || !table.env.is_empty() || table.time.is_some() || table.memory.is_some();
    if for_handlers && table.handler.is_none() {
        return Err("has `args`, `env`, `time` or `memory`, which only handlers have".to_owned());
    }
    if table.status.is_some() && table.redirect.is_none() {
        return Err("has a `status`, which only redirects have".to_owned());
    }
    match (table.files, table.file, table.handler, table.redirect) {
        (Some(folder), None, None, None) => Ok(Action::Files(folder)),
        (None, Some(file), None, None) => Ok(Action::File(file)),
        (None, None, Some(module), None) => {
            super::check_words("", &table.args, &table.env).map_err(|error| format!(": {error}"))?;
            let (time, memory) = (table.time.map(|Time(time)| time), table.memory.map(|Size(bytes)| bytes));
            let authorization = table.authorization.unwrap_or(false);
            Ok(Action::Handler(Handler { module, args: table.args, env: table.env, time, memory, authorization }))
        }
        (None, None, None, Some(to)) => redirect(&table.path, to, table.status.unwrap_or(302)),
        _ => Err("needs one of `files`, `file`, `handler` and `redirect`".to_owned()),
    }
}

fn redirect(pattern: &str, to: String, status: u16) -> Result<Action, String> {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Err(format!("has the status {status}; a redirect has 301, 302, 303, 307 or 308"));
    }
    if to.is_empty() || !to.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("redirects to what is no URL".to_owned());
    }
    if to.ends_with('*') && !open_ended(pattern) {
        return Err("redirects to a `*` that its path does not have".to_owned());
    }
    Ok(Action::Redirect { to, status })
}

/// Whether a pattern ends with any number of segments.
pub(crate) fn open_ended(pattern: &str) -> bool {
    pattern.ends_with("/*") || pattern.ends_with("/...")
}

fn check_pattern(pattern: &str) -> Result<(), &'static str> {
    let Some(segments) = pattern.strip_prefix('/') else { return Err("does not begin with a `/`") };
    let segments: Vec<_> = segments.split('/').collect();
    let (last, before) = segments.split_last().unwrap_or((&"", &[]));
    let wild = |segment: &str| segment.contains('*') || segment == "...";
    if before.iter().any(|segment| wild(segment)) || wild(last) && !matches!(*last, "*" | "...") {
        return Err("has a `*` or `...` that is not its last segment");
    }
    match segments.iter().any(|segment| matches!(*segment, "." | ".." | ":") || segment.contains(['\0', '?', '#'])) {
        true => Err("can never match"),
        false => Ok(()),
    }
}

/// Field names are tokens (RFC 9110, 5.6.2), values visible text.
fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let visible = |byte: u8| matches!(byte, b' ' | b'\t' | 0x21..=0x7e | 0x80..);
    let bad = headers.iter().find(|(name, value)| {
        name.is_empty() || !name.bytes().all(token) || !value.bytes().all(visible) || value.trim() != value.as_str()
    });
    match bad {
        Some((name, _)) => Err(format!("the header `{name}` is none")),
        None => Ok(()),
    }
}

fn error_status(word: &str) -> Result<u16, String> {
    let status = word.parse().ok().filter(|status| (400..600).contains(status));
    status.ok_or_else(|| format!("`{word}` in `errors` is no status of an error"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HEAD, error, example};
    use super::super::{Manifest, Mount};
    use super::*;

    fn serve(text: &str) -> Serve {
        Manifest::parse(&format!("{HEAD}{text}")).unwrap().serve.unwrap()
    }

    #[test]
    fn the_example_of_the_documentation() {
        let text = example(include_str!("serve.rs"));
        let manifest = Manifest::parse(&format!("[bundle]\nname = \"n\"\n{text}")).unwrap();
        let serve = manifest.serve.unwrap();
        assert_eq!((manifest.entry, manifest.mounts), (None, Vec::<Mount>::new()));
        assert_eq!(serve.limits, Limits { handlers: 16, ..Limits::default() });
        assert_eq!((serve.errors.len(), serve.headers.len(), serve.routes.len(), serve.listing), (1, 1, 4, true));
        let Action::Handler(handler) = &serve.routes[2].action else { panic!() };
        assert_eq!((handler.time, handler.memory), (Some(Duration::from_secs(2)), Some(16 << 20)));
        assert_eq!(serve.routes[3].action, Action::Redirect { to: "/static/*".into(), status: 301 });
    }

    #[test]
    fn what_is_left_out() {
        assert_eq!(Manifest::parse(HEAD).unwrap().serve, None);
        assert_eq!(serve("[serve]"), Serve::default());
        assert!(!serve("[[route]]\npath = \"/\"\nfile = \"a\"").listing);
        assert_eq!(serve("[serve.limits]\ntime = 3\nbody = 5").limits.time, Duration::from_secs(3));
    }

    #[test]
    fn routes_that_are_none() {
        for (route, part) in [
            ("path = \"/a\"", "the route `/a` needs one of"),
            ("path = \"/a\"\nfile = \"a\"\nfiles = \"b\"", "needs one of"),
            ("path = \"a\"\nfile = \"a\"", "does not begin with a `/`"),
            ("path = \"/*/a\"\nfile = \"a\"", "not its last segment"),
            ("path = \"/a*\"\nfile = \"a\"", "not its last segment"),
            ("path = \"/../a\"\nfile = \"a\"", "can never match"),
            ("path = \"/a\"\nfile = \"a\"\nargs = [\"b\"]", "only handlers"),
            ("path = \"/a\"\nfile = \"a\"\nstatus = 301", "only redirects"),
            ("path = \"/a\"\nredirect = \"/b\"\nstatus = 200", "has the status 200"),
            ("path = \"/a\"\nredirect = \"/b\\r\\nX: y\"", "no URL"),
            ("path = \"/a\"\nredirect = \"/b/*\"", "that its path does not have"),
            ("path = \"/a\"\nhandler = \"a\"\nenv = { \"=\" = \"\" }", "`env`"),
            ("path = \"/a\"\nfile = \"a\"\nheaders = { \"A B\" = \"\" }", "the header `A B` is none"),
            ("path = \"/a\"\nfile = \"a\"\nheaders = { A = \"b\\nC: d\" }", "the header `A` is none"),
        ] {
            let error = error(&format!("[[route]]\n{route}"));
            assert!(error.starts_with("line 4: ") && error.contains(part), "{error}");
        }
    }

    #[test]
    fn limits_and_pages_that_are_none() {
        for (text, part) in [
            ("[serve.limits]\nbody = \"1T\"", "line 5: it is no size"),
            ("[serve.limits]\ntime = \"1d\"", "line 5: it is no time"),
            ("[serve.limits]\nheaders = 100", "between 8K and 1M"),
            ("[serve.limits]\nhandlers = 0", "cannot be 0"),
            ("[serve]\nerrors = { 200 = \"a\" }", "`200` in `errors`"),
            ("[serve]\nfoo = 1", "unknown key `foo`"),
        ] {
            assert!(error(text).contains(part), "{}", error(text));
        }
    }
}
