//! Files in memory, with a quota.
//!
//! ```
//! use kitbag_fs::memory::{Limits, Memory};
//! use kitbag_fs::{FileSystem, OpenOptions, Path};
//!
//! let files = Memory::with_limits(Limits { bytes: 1 << 20, inodes: 100 });
//! let root = files.root()?;
//! root.create_dir(Path::new(b"etc")?)?;
//! let file = root.open(Path::new(b"etc/motd")?, OpenOptions::write())?.file()?;
//! file.write_at(b"hello", 0)?;
//! assert_eq!(file.read_all()?, "hello");
//! assert_eq!(files.used().bytes, 5);
//! # Ok::<(), kitbag_fs::Error>(())
//! ```
//!
//! # Shape
//!
//! The directories of a file system lie in one table under one lock, which lookups share and changes of names
//! take alone: a path is resolved in one state of the tree, so that a concurrent rename can neither lead it
//! astray nor out of its handle, and nothing is counted or allocated on the way. A lock per
//! directory lost: it costs an atomic operation per name instead of per path, and needs an order of locking for renames.
//! Whole paths are noted beside (`paths.rs`), so that most lookups are one.
//! Files have a lock each for their contents; writers of one file do not disturb anyone else.
//!
//! Contents are chunks of up to 64 KiB, so that holes cost nothing and growing moves nothing; [`File::read_all`](crate::File::read_all)
//! joins them once and keeps the joined bytes, which further calls share until the next write.
//!
//! Reading does not set the time of the last read (as a file system mounted `noatime`), since that would make every read a write.

mod content;
mod dir;
mod file;
mod paths;
mod quota;
mod space;
#[cfg(all(test, feature = "conformance"))]
mod tests;
mod times;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::metadata::now;
use crate::{
    Bytes, Create, Dir, Error, FileSystem, Metadata, Node, OpenOptions, Path, Result, SetTime, SetTimes, Timestamp,
    fresh_device,
};
use dir::MemoryDir;
use quota::{Charge, Quota};
pub use quota::{Limits, Used};
use space::Space;
use times::{Times, TimesCell};

/// A file system in memory. It lives as long as any handle on it.
pub struct Memory {
    root: Arc<MemoryDir>,
}

impl Memory {
    /// An empty one with the [default limits](Limits::default).
    #[must_use]
    pub fn new() -> Memory {
        Memory::with_limits(Limits::default())
    }

    /// An empty one. The root counts as no inode.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Memory {
        let shared = Arc::new(Shared::new(limits));
        Memory { root: MemoryDir::root(shared) }
    }

    /// What is taken up now.
    #[must_use]
    pub fn used(&self) -> Used {
        self.root.shared().quota.used()
    }

    /// Makes the file `path` with these contents, which are shared, not copied, and the directories above it that are missing.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::NotDirectory`] where a file is in the way; [`Error::NoSpace`].
    pub fn insert(&self, path: &Path, contents: Bytes) -> Result<()> {
        let (parent, _) = path.split_last().ok_or(Error::Exists)?;
        self.create_dirs(parent)?;
        let options = OpenOptions { create: Create::New, ..OpenOptions::write() };
        match self.root.open_own(path, options)? {
            dir::Opened::File(file) => file.replace(contents).or_else(|error| self.root.unlink(path).and(Err(error))),
            dir::Opened::Dir(_) => Err(Error::Exists),
        }
    }

    /// Makes the directory `path` and those above it, as far as they are missing.
    ///
    /// # Errors
    /// As [`Dir::create_dir`], except [`Error::Exists`] for a directory.
    pub fn create_dirs(&self, path: &Path) -> Result<()> {
        let bytes = path.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        for end in ends.chain([bytes.len()]) {
            match self.root.create_dir(Path::new(&bytes[..end])?) {
                Ok(()) | Err(Error::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        self.root.open(path, OpenOptions::directory()).map(|_| ())
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl FileSystem for Memory {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        Ok(Arc::clone(&self.root) as Arc<dyn Dir>)
    }
}

/// What all handles on one file system share.
struct Shared {
    space: RwLock<Space>,
    quota: Arc<Quota>,
    device: u64,
    next_inode: AtomicU64,
}

impl Shared {
    fn new(limits: Limits) -> Shared {
        let quota = Arc::new(Quota::new(limits));
        let device = fresh_device();
        let root = Attributes::new(1, device, Charge::nothing(&quota));
        Shared { space: RwLock::new(Space::new(root)), quota, device, next_inode: AtomicU64::new(2) }
    }

    fn read(&self) -> RwLockReadGuard<'_, Space> {
        let space = self.space.read().unwrap_or_else(PoisonError::into_inner);
        if space.is_forgetful() { self.remember(space) } else { space }
    }

    #[cold]
    fn remember<'s>(&'s self, forgetful: RwLockReadGuard<'s, Space>) -> RwLockReadGuard<'s, Space> {
        drop(forgetful);
        let mut space = self.write();
        // Another thread may have been here first.
        if space.is_forgetful() {
            space.note_all();
        }
        RwLockWriteGuard::downgrade(space)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Space> {
        self.space.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new inode, charged.
    fn attributes(&self) -> Result<Attributes> {
        let charge = Charge::inode(&self.quota)?;
        Ok(Attributes::new(self.next_inode.fetch_add(1, Ordering::Relaxed), self.device, charge))
    }
}

/// What every object has.
struct Attributes {
    inode: u64,
    device: u64,
    /// The number of names; of a directory, whether it has its one.
    links: AtomicU64,
    times: TimesCell,
    /// Gives the inode back when the object goes.
    _charge: Charge,
}

impl Attributes {
    fn new(inode: u64, device: u64, charge: Charge) -> Attributes {
        let now = now();
        let times = Times { accessed: now, modified: now, changed: now };
        Attributes { inode, device, links: AtomicU64::new(1), times: TimesCell::new(times), _charge: charge }
    }

    #[inline(always)]
    fn metadata(&self, kind: crate::FileType, size: u64, mode: u32) -> Metadata {
        let Times { accessed, modified, changed } = self.times.get();
        let links = self.links.load(Ordering::Relaxed);
        Metadata { kind, size, inode: self.inode, device: self.device, links, mode, accessed, modified, changed }
    }

    fn change_times(&self, change: impl FnOnce(&mut Times, Timestamp)) {
        self.times.change(|times| change(times, now()));
    }

    /// The contents changed.
    fn touch(&self) {
        self.change_times(|times, now| (times.modified, times.changed) = (now, now));
    }

    /// The number of names, or where they are, changed.
    fn touch_changed(&self) {
        self.change_times(|times, now| times.changed = now);
    }

    fn set_times(&self, set: SetTimes) {
        self.change_times(|times, now| {
            apply(set.accessed, &mut times.accessed, now);
            apply(set.modified, &mut times.modified, now);
            times.changed = now;
        });
    }
}

fn apply(set: SetTime, time: &mut Timestamp, now: Timestamp) {
    match set {
        SetTime::Keep => {}
        SetTime::Now => *time = now,
        SetTime::At(moment) => *time = moment,
    }
}

impl From<dir::Opened> for Node {
    fn from(opened: dir::Opened) -> Node {
        match opened {
            dir::Opened::File(file) => Node::File(Arc::new(file)),
            dir::Opened::Dir(dir) => Node::Dir(Arc::new(dir)),
        }
    }
}
