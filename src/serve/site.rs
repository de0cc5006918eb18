//! A bundle that is ready to be served: its manifest read, its routes resolved, its handlers compiled. All that can be
//! wrong with it is found when it is opened, not by the request that comes across it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use kitbag_fs::memory::Memory;
use kitbag_fs::subtree::Subtree;
use kitbag_fs::{Error as FsError, FileSystem, Follow, OpenOptions, Path};

use super::cgi::{Handler, Mounted, View};
use super::files::{Files, Found};
use super::route::Pattern;
use super::state::Folders;
use crate::bundle::{self, Action, Bundle, MANIFEST, Manifest, Opened, Place, Serve, Source};

/// The largest module, as of `kitbag run`.
const MODULE_MAX: u64 = 1 << 30;

/// A bundle that is ready to be served.
pub(super) struct Site {
    pub(super) files: Files,
    pub(super) serve: Serve,
    pub(super) routes: Vec<Route>,
    pub(super) headers: Headers,
}

pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

/// A route of the manifest, resolved.
pub(super) struct Route {
    pub(super) pattern: Pattern,
    pub(super) methods: Vec<String>,
    pub(super) headers: Headers,
    pub(super) target: Target,
}

/// What a route leads to.
pub(super) enum Target {
    /// The folder at this path.
    Files(Vec<u8>),
    /// The file at this path.
    File(Vec<u8>),
    Handler(Arc<Handler>),
    Redirect {
        to: String,
        status: u16,
    },
}

impl Site {
    /// Makes a bundle ready.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn open(bundle: &Opened, folders: &Folders) -> Result<Site, String> {
        let manifest = manifest(bundle)?;
        let serve = manifest.as_ref().and_then(|manifest| manifest.serve.clone()).unwrap_or_default();
        let hidden = modules(&serve).map(inner).collect();
        let files = Files::new(bundle, hidden, serve.dotfiles).map_err(|error| error.to_string())?;
        let everything = Files::new(bundle, Vec::new(), true).map_err(|error| error.to_string())?;
        let mut handlers = Handlers::new(bundle, manifest.as_ref(), &serve, folders)?;
        let routes = serve.routes.iter().map(|route| resolve(route, &everything, &mut handlers));
        let routes = routes.collect::<Result<Vec<_>, String>>()?;
        for page in serve.errors.values().chain(&serve.fallback) {
            check_file(&everything, page)?;
        }
        Ok(Site { files, headers: headers(&serve.headers)?, routes, serve })
    }

    /// Whether a route takes this method, as far as the manifest says.
    pub(super) fn allows(&self, route: Option<usize>, method: &Method) -> bool {
        let methods = route.map_or(&[][..], |route| &self.routes[route].methods);
        methods.is_empty() || methods.iter().any(|allowed| allowed == method.as_str())
    }
}

fn manifest(bundle: &Opened) -> Result<Option<Manifest>, String> {
    let root = bundle.files().root().map_err(|error| error.to_string())?;
    let there = Path::new(MANIFEST.as_bytes()).and_then(|path| root.stat(path, Follow::Yes));
    if there == Err(FsError::NotFound) {
        return Ok(None);
    }
    let bundle = Bundle::new(Arc::clone(bundle.files())).map_err(|error| error.to_string())?;
    Ok(Some(bundle.manifest().clone()))
}

pub(super) fn modules(serve: &Serve) -> impl Iterator<Item = &str> {
    serve.routes.iter().filter_map(|route| match &route.action {
        Action::Handler(handler) => Some(handler.module.as_str()),
        _ => None,
    })
}

/// A path of the manifest as paths are compared: without dots and repeated slashes.
fn inner(path: &str) -> Vec<u8> {
    let names: Vec<_> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    names.join("/").into_bytes()
}

fn headers(given: &BTreeMap<String, String>) -> Result<Headers, String> {
    let header = |(name, value): (&String, &String)| {
        let wrong = || format!("{MANIFEST}: the header `{name}` is none");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        Ok((name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong())?))
    };
    given.iter().map(header).collect()
}

fn resolve(route: &bundle::Route, files: &Files, handlers: &mut Handlers<'_>) -> Result<Route, String> {
    let target = match &route.action {
        Action::Files(folder) => match files.find(&inner(folder)) {
            Ok(Found::Folder) => Target::Files(inner(folder)),
            Ok(Found::File(_)) => return Err(format!("{folder}: it is no folder; `file` serves one file")),
            Err(error) => return Err(format!("{folder}: {error}")),
        },
        Action::File(file) => {
            check_file(files, file)?;
            Target::File(inner(file))
        }
        Action::Handler(handler) => Target::Handler(handlers.get(handler)?),
        Action::Redirect { to, status } => Target::Redirect { to: to.clone(), status: *status },
    };
    Ok(Route {
        pattern: Pattern::new(&route.path),
        methods: route.methods.clone(),
        headers: headers(&route.headers)?,
        target,
    })
}

fn check_file(files: &Files, file: &str) -> Result<(), String> {
    match files.find(&inner(file)) {
        Ok(Found::File(_)) => Ok(()),
        Ok(Found::Folder) => Err(format!("{file}: it is a folder")),
        Err(error) => Err(format!("{file}: {error}")),
    }
}

/// Compiles handlers; each that is asked for twice in the same way once.
struct Handlers<'b> {
    bundle: &'b Opened,
    serve: &'b Serve,
    env: BTreeMap<String, String>,
    view: Arc<View>,
    made: HashMap<String, Vec<(bundle::Handler, Arc<Handler>)>>,
}

impl<'b> Handlers<'b> {
    fn new(
        bundle: &'b Opened,
        manifest: Option<&Manifest>,
        serve: &'b Serve,
        folders: &Folders,
    ) -> Result<Self, String> {
        let env = manifest.into_iter().flat_map(|manifest| &manifest.env);
        let env = env.map(|(name, value)| (name.clone(), value.clone())).collect();
        let view = Arc::new(view(bundle, manifest, serve, folders)?);
        Ok(Handlers { bundle, serve, env, view, made: HashMap::new() })
    }

    fn get(&mut self, wanted: &bundle::Handler) -> Result<Arc<Handler>, String> {
        let made = self.made.entry(wanted.module.clone()).or_default();
        if let Some((_, handler)) = made.iter().find(|(like, _)| like == wanted) {
            return Ok(Arc::clone(handler));
        }
        let bytes = read(self.bundle.files(), &wanted.module).map_err(|error| format!("{}: {error}", wanted.module))?;
        let handler = Handler::new(wanted, &self.serve.limits, &bytes, self.env.clone(), &self.view)?;
        let handler = Arc::new(handler);
        made.push((wanted.clone(), Arc::clone(&handler)));
        Ok(handler)
    }
}

fn read(files: &Arc<dyn FileSystem>, path: &str) -> kitbag_fs::Result<kitbag_fs::Bytes> {
    let file = files.root()?.open(Path::new(path.as_bytes())?, OpenOptions::read())?.file()?;
    match file.metadata()?.size > MODULE_MAX {
        true => Err(FsError::TooLarge),
        false => file.read_all(),
    }
}

/// What handlers see: the bundle, what the manifest mounts, and the shared folders.
fn view(bundle: &Opened, manifest: Option<&Manifest>, serve: &Serve, folders: &Folders) -> Result<View, String> {
    let mut view = View { files: Arc::clone(bundle.files()), mounts: Vec::new() };
    for mount in manifest.into_iter().flat_map(|manifest| &manifest.mounts) {
        let place = place(&mount.guest)?;
        let mounted = match &mount.source {
            Source::Memory => Mounted::Fresh,
            Source::Host { .. } => return Err(format!("{}: handlers get no folders of the host", mount.guest)),
            Source::Bundle { path, overlay } => {
                let folder = Path::new(path.as_bytes()).and_then(|path| Subtree::new(&**bundle.files(), path));
                let folder: Arc<dyn FileSystem> = Arc::new(folder.map_err(|error| format!("{path}: {error}"))?);
                if *overlay { Mounted::Layered(folder) } else { Mounted::Shared(folder) }
            }
        };
        match (place.is_empty(), mounted) {
            (true, Mounted::Shared(files) | Mounted::Layered(files)) => view.files = files,
            (true, Mounted::Fresh) => view.files = Arc::new(Memory::new()),
            (false, mounted) => view.mounts.push((place, mounted)),
        }
    }
    for shared in &serve.shared {
        let place = place(shared)?;
        let folder = folders.get(&place, serve.limits.shared);
        view.mounts.push((place, Mounted::Shared(folder)));
    }
    view.mounts.sort_by(|(one, _), (other, _)| one.cmp(other));
    match view.mounts.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(format!("/{}: it is mounted twice", String::from_utf8_lossy(&pair[0].0))),
        None => Ok(view),
    }
}

/// A place of the guest's, seen from its root.
fn place(text: &str) -> Result<Vec<u8>, String> {
    let place = Place::new(text.as_bytes()).map_err(|error| error.to_string())?.to_bytes();
    match place.strip_prefix(b"/") {
        Some(place) => Ok(place.to_vec()),
        None => Err(format!("{text}: a handler's places begin with a /")),
    }
}
