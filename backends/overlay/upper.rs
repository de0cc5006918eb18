//! The upper layer: names, marks and the areas for work and index.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::PRIVATE;
use crate::{Access, Create, Dir, Error, File, Follow, Metadata, OpenOptions, Path, Result, SetTime, SetTimes};

const SELF: &[u8] = b".kitbag-overlay/self";
const HIDDEN: &[u8] = b".kitbag-overlay/hidden";
const REDIRECT: &[u8] = b".kitbag-overlay/lower";
const WORK: &[u8] = b".kitbag-overlay/work";
const INDEX: &[u8] = b".kitbag-overlay/index";

/// The longest redirect that is believed.
const REDIRECT_MAX: usize = 1 << 20;

/// How an object of a layer is opened by its name alone.
pub(super) const PLAIN: OpenOptions = OpenOptions { follow: Follow::No, ..OpenOptions::read() };

/// How a directory of a layer is.
pub(super) const DIRECTORY: OpenOptions = OpenOptions { directory: true, ..PLAIN };

/// How a file of the overlay's own is made.
pub(super) const NEW: OpenOptions =
    OpenOptions { access: Access { read: true, write: true }, create: Create::New, ..PLAIN };

/// Where the upper keeps what the guest calls `name`.
pub(super) fn stored(name: &[u8]) -> Result<&Path> {
    Path::new(if name == PRIVATE { SELF } else { name })
}

/// The path `name` in the folder `area` of the overlay's own.
fn within(area: &[u8], name: &[u8]) -> Vec<u8> {
    [area, b"/", name].concat()
}

/// Nothing where nothing is.
pub(super) fn if_there<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The times of `raw`, to be set.
pub(super) fn times_of(raw: &Metadata) -> SetTimes {
    SetTimes { accessed: SetTime::At(raw.accessed), modified: SetTime::At(raw.modified) }
}

/// Does something to the directory `dir` that shall not show in its times. What was done is done, also where its
/// times cannot be put back.
pub(super) fn keeping_times<R>(dir: &dyn Dir, change: impl FnOnce() -> Result<R>) -> Result<R> {
    let before = dir.metadata()?;
    let result = change()?;
    _ = dir.set_own_times(times_of(&before));
    Ok(result)
}

/// Says that the names in `dir` have changed, which they have even if this cannot be said.
pub(super) fn touch(dir: &dyn Dir) {
    _ = dir.set_own_times(SetTimes { accessed: SetTime::Keep, modified: SetTime::Now });
}

fn make_dir(dir: &dyn Dir, path: &[u8]) -> Result<()> {
    match dir.create_dir(Path::new(path)?) {
        Err(Error::Exists) => Ok(()),
        other => other,
    }
}

fn make_private(dir: &dyn Dir) -> Result<()> {
    keeping_times(dir, || make_dir(dir, PRIVATE))
}

/// Whether the directory `raw`, found as `name` in `dir`, is the overlay's own: a layer that takes several names for one (in
/// capitals, say) would give it away. Such a name is of no use to the guest, but nothing is behind it either.
pub(super) fn is_private(dir: &dyn Dir, name: &[u8], raw: &Metadata) -> Result<bool> {
    if name == PRIVATE {
        return Ok(false);
    }
    let private = if_there(dir.stat(Path::new(PRIVATE)?, Follow::No))?;
    Ok(private.is_some_and(|private| (private.device, private.inode) == (raw.device, raw.inode)))
}

/// Sees to it that an object can be made in `dir` where the guest calls it `name`.
pub(super) fn make_room(dir: &dyn Dir, name: &[u8]) -> Result<()> {
    if name == PRIVATE { make_private(dir) } else { Ok(()) }
}

/// Says that `name` in `dir` has changed, where the layer does not by itself.
pub(super) fn changed(dir: &dyn Dir, name: &[u8]) {
    if name == PRIVATE {
        touch(dir);
    }
}

/// What an upper directory says of itself.
#[derive(Default)]
pub(super) struct Marks {
    /// The whiteouts in it.
    pub(super) hidden: HashSet<Box<[u8]>>,
    /// The path in the lowers of what it merges with.
    pub(super) redirect: Option<Box<[u8]>>,
}

impl Marks {
    pub(super) fn load(dir: &dyn Dir) -> Result<Marks> {
        let Some(private) = if_there(dir.open(Path::new(PRIVATE)?, DIRECTORY))? else { return Ok(Marks::default()) };
        let private = private.dir()?;
        let hidden = match if_there(private.open(Path::new(b"hidden")?, DIRECTORY))? {
            Some(hidden) => hidden.dir()?.list()?.iter().map(|entry| entry.name.clone()).collect(),
            None => HashSet::new(),
        };
        let redirect = if_there(private.open(Path::new(b"lower")?, PLAIN))?;
        let redirect = redirect.map(|node| read_redirect(&*node.file()?)).transpose()?;
        Ok(Marks { hidden, redirect })
    }
}

/// A redirect that is no sequence of names did not come from an overlay.
fn read_redirect(file: &dyn File) -> Result<Box<[u8]>> {
    if file.metadata()?.size > REDIRECT_MAX as u64 {
        return Err(Error::Io);
    }
    let path = file.read_all()?;
    let legal = |name: &[u8]| Path::new(name).is_ok() && !matches!(name, b"." | b"..");
    if path.split(|&byte| byte == b'/').all(legal) { Ok(path.as_ref().into()) } else { Err(Error::Io) }
}

/// Puts a whiteout at `name` in `dir`.
pub(super) fn hide(dir: &dyn Dir, name: &[u8]) -> Result<()> {
    let mark = within(HIDDEN, name);
    let make = || dir.open(Path::new(&mark)?, OpenOptions { create: Create::IfMissing, ..NEW });
    if if_there(make())?.is_none() {
        make_private(dir)?;
        make_dir(dir, HIDDEN)?;
        make()?;
    }
    Ok(())
}

/// Removes everything that `dir` says of itself; it must be hidden in its parent, or merge with nothing.
pub(super) fn clear_marks(dir: &dyn Dir) -> Result<()> {
    if_there(dir.unlink(Path::new(REDIRECT)?))?;
    remove_tree(dir, PRIVATE)
}

/// Removes `name` from `dir`, with all that it holds.
pub(super) fn remove_tree(dir: &dyn Dir, name: &[u8]) -> Result<()> {
    let path = Path::new(name)?;
    match if_there(dir.open(path, DIRECTORY)) {
        Ok(None) => return Ok(()),
        Ok(Some(node)) => {
            empty(&*node.dir()?)?;
        }
        Err(Error::NotDirectory | Error::Loop) => return dir.unlink(path),
        Err(error) => return Err(error),
    }
    dir.remove_dir(path)
}

fn empty(dir: &dyn Dir) -> Result<()> {
    dir.list()?.iter().try_for_each(|entry| remove_tree(dir, &entry.name))
}

/// The upper layer as a whole.
pub(super) struct Upper {
    root: Arc<dyn Dir>,
    work: OnceLock<Arc<dyn Dir>>,
    index: OnceLock<Arc<dyn Dir>>,
    next: AtomicU64,
}

impl Upper {
    pub(super) fn new(root: Arc<dyn Dir>) -> Result<Upper> {
        if let Some(work) = if_there(root.open(Path::new(WORK)?, DIRECTORY))? {
            match empty(&*work.dir()?) {
                Err(Error::ReadOnly) => {}
                other => other?,
            }
        }
        Ok(Upper { root, work: OnceLock::new(), index: OnceLock::new(), next: AtomicU64::new(0) })
    }

    /// Where copies are made.
    pub(super) fn work(&self) -> Result<&Arc<dyn Dir>> {
        self.area(&self.work, WORK)
    }

    /// Where copies of files with several names are kept.
    pub(super) fn index(&self) -> Result<&Arc<dyn Dir>> {
        self.area(&self.index, INDEX)
    }

    /// The index, if there is one already.
    pub(super) fn existing_index(&self) -> Result<Option<Arc<dyn Dir>>> {
        if_there(self.root.open(Path::new(INDEX)?, DIRECTORY))?.map(crate::Node::dir).transpose()
    }

    fn area<'a>(&self, cell: &'a OnceLock<Arc<dyn Dir>>, path: &[u8]) -> Result<&'a Arc<dyn Dir>> {
        if cell.get().is_none() {
            make_private(&*self.root)?;
            make_dir(&*self.root, path)?;
            _ = cell.set(self.root.open(Path::new(path)?, DIRECTORY)?.dir()?);
        }
        cell.get().ok_or(Error::Io)
    }

    /// A name in the work area that nothing has.
    pub(super) fn temporary(&self) -> Result<Temporary> {
        let name = format!("{:x}", self.next.fetch_add(1, Ordering::Relaxed)).into_bytes();
        Ok(Temporary { work: self.work()?.clone(), name })
    }

    /// Says in `dir` that it merges with what is at `path` in the lowers.
    ///
    /// # Errors
    /// [`Error::NameTooLong`] for a path that would not be believed.
    pub(super) fn redirect(&self, dir: &dyn Dir, path: &[u8]) -> Result<()> {
        if path.len() > REDIRECT_MAX {
            return Err(Error::NameTooLong);
        }
        let temporary = self.temporary()?;
        let file = temporary.work.open(temporary.path()?, NEW)?.file()?;
        let mut done = 0;
        while done < path.len() {
            done += nonzero(file.write_at(&path[done..], done as u64)?)?;
        }
        file.sync(true)?;
        make_private(dir)?;
        temporary.publish(dir, Path::new(REDIRECT)?)
    }
}

/// A write that writes nothing would be tried for ever.
pub(super) fn nonzero(count: usize) -> Result<usize> {
    if count == 0 { Err(Error::Io) } else { Ok(count) }
}

/// A name in the work area. What is there when it is dropped is removed.
pub(super) struct Temporary {
    pub(super) work: Arc<dyn Dir>,
    name: Vec<u8>,
}

impl Temporary {
    pub(super) fn path(&self) -> Result<&Path> {
        Path::new(&self.name)
    }

    /// Gives what is there its final place, in one step.
    pub(super) fn publish(self, dir: &dyn Dir, path: &Path) -> Result<()> {
        self.work.rename(self.path()?, dir, path)
    }
}

impl Drop for Temporary {
    /// After `publish` there is nothing left to remove; a failure leaves it to the next opening of the overlay.
    fn drop(&mut self) {
        _ = remove_tree(&*self.work, &self.name);
    }
}
