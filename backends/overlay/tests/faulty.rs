//! An upper that fails, and what is left after a death at any moment.

use std::any::Any;
use std::io::IoSlice;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::{Listing, Node};

/// A file system that refuses every change after a number of them, as if the process had died, or has no hard links, or
/// few handles, or directories that may be passed through but not read, or one case of letters.
pub(super) struct Faulty {
    inner: Arc<dyn FileSystem>,
    state: Arc<State>,
}

struct State {
    changes: AtomicI64,
    /// The one change after those is refused, and none after it.
    once: bool,
    links: bool,
    /// How many more handles can be open.
    handles: AtomicI64,
    closed_book: bool,
    /// Capitals are not told from small letters.
    folds_case: bool,
}

impl Default for State {
    fn default() -> State {
        let many = || AtomicI64::new(i64::MAX);
        State { changes: many(), once: false, links: true, handles: many(), closed_book: false, folds_case: false }
    }
}

/// An open handle, counted.
struct Handle(Arc<State>);

impl Handle {
    fn new(state: &Arc<State>) -> Result<Handle> {
        let handle = Handle(state.clone());
        if state.handles.fetch_sub(1, Ordering::Relaxed) > 0 { Ok(handle) } else { Err(Error::TooManyFiles) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.handles.fetch_add(1, Ordering::Relaxed);
    }
}

impl State {
    fn fold(&self, path: &Path) -> Vec<u8> {
        if self.folds_case { path.as_bytes().to_ascii_lowercase() } else { path.as_bytes().to_vec() }
    }

    fn change(&self) -> Result<()> {
        let left = self.changes.fetch_sub(1, Ordering::Relaxed);
        if left > 0 || self.once && left < 0 { Ok(()) } else { Err(Error::Io) }
    }
}

impl Faulty {
    fn new(inner: Arc<dyn FileSystem>, state: State) -> Faulty {
        Faulty { inner, state: Arc::new(state) }
    }

    pub(super) fn after(inner: Arc<dyn FileSystem>, changes: i64) -> Faulty {
        Faulty::new(inner, State { changes: AtomicI64::new(changes), ..State::default() })
    }

    pub(super) fn once_after(inner: Arc<dyn FileSystem>, changes: i64) -> Faulty {
        Faulty::new(inner, State { changes: AtomicI64::new(changes), once: true, ..State::default() })
    }

    pub(super) fn without_links(inner: Arc<dyn FileSystem>) -> Faulty {
        Faulty::new(inner, State { links: false, ..State::default() })
    }
}

impl FileSystem for Faulty {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        Ok(Arc::new(FaultyDir { inner: self.inner.root()?, state: self.state.clone(), _handle: None, may_list: true }))
    }
}

struct FaultyDir {
    inner: Arc<dyn Dir>,
    state: Arc<State>,
    _handle: Option<Handle>,
    may_list: bool,
}

impl FaultyDir {
    fn inside(dir: &dyn Dir) -> &dyn Dir {
        &*dir.as_any().downcast_ref::<FaultyDir>().unwrap().inner
    }
}

impl Dir for FaultyDir {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        if options.mutates() {
            self.state.change()?;
        }
        let state = self.state.clone();
        let handle = Handle::new(&state)?;
        match self.inner.open(Path::new(&state.fold(path))?, options)? {
            Node::Dir(_) if state.closed_book && options.access.read => Err(Error::Access),
            Node::Dir(inner) => {
                let may_list = options.access.read;
                Ok(Node::Dir(Arc::new(FaultyDir { inner, state, _handle: Some(handle), may_list })))
            }
            Node::File(inner) => Ok(Node::File(Arc::new(FaultyFile { inner, state, _handle: handle }))),
        }
    }

    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata> {
        self.inner.stat(Path::new(&self.state.fold(path))?, follow)
    }

    fn metadata(&self) -> Result<Metadata> {
        self.inner.metadata()
    }

    fn list(&self) -> Result<Listing> {
        if self.may_list { self.inner.list() } else { Err(Error::BadHandle) }
    }

    fn read_link(&self, path: &Path) -> Result<Box<[u8]>> {
        self.inner.read_link(Path::new(&self.state.fold(path))?)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.state.change()?;
        self.inner.create_dir(Path::new(&self.state.fold(path))?)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.state.change()?;
        self.inner.remove_dir(Path::new(&self.state.fold(path))?)
    }

    fn unlink(&self, path: &Path) -> Result<()> {
        self.state.change()?;
        self.inner.unlink(Path::new(&self.state.fold(path))?)
    }

    fn symlink(&self, target: &[u8], path: &Path) -> Result<()> {
        self.state.change()?;
        self.inner.symlink(target, Path::new(&self.state.fold(path))?)
    }

    fn link(&self, from: &Path, follow: Follow, target: &dyn Dir, to: &Path) -> Result<()> {
        if !self.state.links {
            return Err(Error::NotSupported);
        }
        self.state.change()?;
        let (from, to) = (self.state.fold(from), self.state.fold(to));
        self.inner.link(Path::new(&from)?, follow, FaultyDir::inside(target), Path::new(&to)?)
    }

    fn rename(&self, from: &Path, target: &dyn Dir, to: &Path) -> Result<()> {
        self.state.change()?;
        let (from, to) = (self.state.fold(from), self.state.fold(to));
        self.inner.rename(Path::new(&from)?, FaultyDir::inside(target), Path::new(&to)?)
    }

    fn set_times(&self, path: &Path, follow: Follow, times: SetTimes) -> Result<()> {
        self.state.change()?;
        self.inner.set_times(Path::new(&self.state.fold(path))?, follow, times)
    }

    fn set_own_times(&self, times: SetTimes) -> Result<()> {
        self.state.change()?;
        self.inner.set_own_times(times)
    }
}

struct FaultyFile {
    inner: Arc<dyn File>,
    state: Arc<State>,
    _handle: Handle,
}

impl File for FaultyFile {
    fn metadata(&self) -> Result<Metadata> {
        self.inner.metadata()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        self.state.change()?;
        self.inner.write_at(bytes, offset)
    }

    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<(usize, u64)> {
        self.state.change()?;
        self.inner.append(buffers)
    }

    fn set_len(&self, size: u64) -> Result<()> {
        self.state.change()?;
        self.inner.set_len(size)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.state.change()?;
        self.inner.set_times(times)
    }
}

fn lower() -> Arc<Memory> {
    let lower = memory(&[("dir/a", "a"), ("dir/sub/b", "b"), ("file", "file"), ("hollow/x", "x"), ("up/low", "low")]);
    let root = lower.root().unwrap();
    root.link(path("file"), Follow::No, &*root, path("dir/twin")).unwrap();
    lower
}

/// An upper with whiteouts and a redirect already.
fn upper(lower: &Arc<Memory>) -> Arc<Memory> {
    let scene = over(std::slice::from_ref(lower));
    scene.unlink("hollow/x").unwrap();
    scene.mkdir("fresh").unwrap();
    scene.put("up/file", "up").unwrap();
    scene.rename("up", "moved").unwrap();
    scene.upper
}

type Operation = fn(&dyn Dir) -> Result<()>;

const OPERATIONS: &[(&str, Operation)] = &[
    ("unlink a lower file", |root| root.unlink(path("dir/a"))),
    ("unlink one of two names", |root| root.unlink(path("file"))),
    ("remove a merged directory", |root| root.remove_dir(path("hollow"))),
    ("rename a lower file", |root| root.rename(path("dir/a"), root, path("moved/a"))),
    ("rename onto a lower file", |root| root.rename(path("moved/file"), root, path("dir/a"))),
    ("rename a lower directory", |root| root.rename(path("dir"), root, path("fresh/dir"))),
    ("rename onto an empty merged directory", |root| root.rename(path("dir"), root, path("hollow"))),
    ("rename a redirected directory", |root| root.rename(path("moved"), root, path("up"))),
    ("rename an upper directory over a merged one", |root| root.rename(path("fresh"), root, path("hollow"))),
    ("link a lower file", |root| root.link(path("dir/sub/b"), Follow::No, root, path("fresh/b"))),
    ("copy up", |root| root.open(path("dir/sub/b"), OpenOptions::write()).map(drop)),
    ("copy up one of two names", |root| root.open(path("dir/twin"), OpenOptions::write()).map(drop)),
];

fn tree(dir: &dyn Dir, prefix: &str, lines: &mut Vec<String>) {
    for name in names(dir) {
        match dir.open(path(&name), OpenOptions::read()).unwrap() {
            Node::Dir(inner) => {
                lines.push(format!("{prefix}{name}/"));
                tree(&*inner, &format!("{prefix}{name}/"), lines);
            }
            Node::File(file) => lines.push(format!("{prefix}{name} {}", text(&*file).unwrap())),
        }
    }
}

fn shown(root: &dyn Dir) -> Vec<String> {
    let mut lines = Vec::new();
    tree(root, "", &mut lines);
    lines
}

#[test]
fn a_death_at_any_step_leaves_the_tree_as_before_or_as_after() {
    for (what, operation) in OPERATIONS {
        let lower = lower();
        let before = shown(&*with_upper(upper(&lower), std::slice::from_ref(&lower)).root);
        let whole = with_upper(upper(&lower), std::slice::from_ref(&lower));
        operation(&*whole.root).unwrap_or_else(|error| panic!("{what}: {error}"));
        let after = shown(&*whole.root);
        for changes in 0.. {
            let upper = upper(&lower);
            let layers = [lower.clone() as Arc<dyn FileSystem>];
            let overlay = Overlay::new(Arc::new(Faulty::after(upper.clone(), changes)), layers).unwrap();
            let root = overlay.root().unwrap();
            let result = operation(&*root);
            let now = shown(&*root);
            assert!(now == before || now == after, "{what}, {changes} changes, alive: {now:#?}");
            drop((root, overlay));
            let scene = with_upper(upper, std::slice::from_ref(&lower));
            let now = shown(&*scene.root);
            assert!(now == before || now == after, "{what}, {changes} changes, restarted: {now:#?}");
            if result.is_ok() {
                assert_eq!(now, after, "{what}");
                break;
            }
            operation(&*scene.root).unwrap_or_else(|error| {
                assert_eq!((now, error), (after.clone(), Error::NotFound), "{what}, {changes} changes, again");
            });
            assert_eq!(shown(&*scene.root), after, "{what}, {changes} changes, again");
        }
    }
}

#[test]
fn what_follows_a_failure_is_the_same_in_memory_and_after_a_restart() {
    for (what, operation) in OPERATIONS {
        for changes in 0..60 {
            let lower = lower();
            let upper = upper(&lower);
            let layers = [lower.clone() as Arc<dyn FileSystem>];
            let overlay = Overlay::new(Arc::new(Faulty::once_after(upper.clone(), changes)), layers).unwrap();
            let root = overlay.root().unwrap();
            let failed = operation(&*root).is_err();
            for name in ["hollow", "dir", "moved", "fresh"] {
                _ = root.rename(path(name), &*root, path(&format!("{name}-elsewhere")));
            }
            let restarted = with_upper(upper, std::slice::from_ref(&lower)).root;
            assert_eq!(shown(&*root), shown(&*restarted), "{what}, {changes} changes");
            if !failed {
                break;
            }
        }
    }
}

#[test]
fn directories_are_not_kept_ready_at_the_cost_of_handles() {
    let names: Vec<_> = (0..40).map(|number| format!("dir{number}/file")).collect();
    let lower: Arc<dyn FileSystem> = memory(&names.iter().map(|name| (name.as_str(), "x")).collect::<Vec<_>>());
    let few = Faulty::new(lower, State { handles: AtomicI64::new(12), ..State::default() });
    let overlay = Overlay::new(Arc::new(Memory::new()), [Arc::new(few) as Arc<dyn FileSystem>]).unwrap();
    let root = overlay.root().unwrap();
    for name in &names {
        let file = root.open(path(name), OpenOptions::read()).unwrap().file().unwrap();
        assert_eq!(text(&*file), Ok("x".into()));
        root.stat(path(name), Follow::No).unwrap();
        root.rename(path(name), &*root, path("moved")).unwrap();
    }
    let open: Vec<_> = names
        .iter()
        .map_while(|name| root.open(path(name.split_once('/').unwrap().0), OpenOptions::directory()).ok())
        .collect();
    assert_eq!(open.len(), 12);
}

#[test]
fn what_lies_beneath_an_unreadable_lower_directory_is_found() {
    let lower = memory(&[("dir/sub/file", "x")]);
    let closed = Faulty::new(lower, State { closed_book: true, ..State::default() });
    let overlay = Overlay::new(Arc::new(Memory::new()), [Arc::new(closed) as Arc<dyn FileSystem>]).unwrap();
    let root = overlay.root().unwrap();
    assert_eq!(root.stat(path("dir/sub/file"), Follow::No).unwrap().size, 1);
    let dir = root.open(path("dir"), OpenOptions::directory()).unwrap().dir().unwrap();
    assert_eq!(dir.list().err(), Some(Error::Access));
    assert_eq!(root.remove_dir(path("dir/sub")), Err(Error::Access));
}

#[test]
fn an_upper_that_cannot_be_written_refuses_every_change() {
    let lower = lower();
    let read_only = crate::readonly::ReadOnly::new(upper(&lower));
    let overlay = Overlay::new(Arc::new(read_only), [lower.clone() as Arc<dyn FileSystem>]).unwrap();
    let root = overlay.root().unwrap();
    let before = shown(&*root);
    for (what, operation) in OPERATIONS {
        assert_eq!(operation(&*root), Err(Error::ReadOnly), "{what}");
    }
    assert_eq!(shown(&*root), before);
}

#[test]
fn an_upper_without_case_does_not_give_the_state_away() {
    let upper = Arc::new(Memory::new());
    let folding = Faulty::new(upper.clone(), State { folds_case: true, ..State::default() });
    let overlay =
        Overlay::new(Arc::new(folding), [memory(&[("a", ""), ("dir/b", "")]) as Arc<dyn FileSystem>]).unwrap();
    let root = overlay.root().unwrap();
    root.unlink(path("a")).unwrap();
    root.unlink(path("dir/b")).unwrap();
    for dir in ["", "dir/"] {
        let name = |tail| format!("{dir}.Kitbag-OVERLAY{tail}");
        assert_eq!(root.stat(path(&name("")), Follow::No).err(), Some(Error::NotFound));
        assert_eq!(root.open(path(&name("/hidden")), OpenOptions::read()).err(), Some(Error::NotFound));
        assert_eq!(root.unlink(path(&name("/hidden/a"))), Err(Error::NotFound));
        assert_eq!(root.create_dir(path(&name(""))), Err(Error::Exists));
        root.create_dir(path("new")).unwrap();
        assert_eq!(root.rename(path("new"), &*root, path(&name(""))), Err(Error::NotEmpty));
        root.remove_dir(path("new")).unwrap();
    }
    assert_eq!((names(&*root), shown(&*root)), (vec!["dir".into()], vec!["dir/".into()]));
}
