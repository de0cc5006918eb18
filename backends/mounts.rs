//! Several file systems, or single files, at paths of one tree.
//!
//! ```
//! # #[cfg(feature = "memory")] {
//! use std::sync::Arc;
//! use kitbag_fs::memory::Memory;
//! use kitbag_fs::mounts::Mounts;
//! use kitbag_fs::{Bytes, FileSystem, Follow, Path};
//!
//! let data = Memory::new();
//! data.insert(Path::new(b"readme")?, Bytes::from_static(b"hello"))?;
//! let tree = Mounts::builder()
//!     .mount(Path::new(b"srv/data")?, Arc::new(data))?
//!     .mount(Path::DOT, Arc::new(Memory::new()))?
//!     .build();
//! assert_eq!(tree.root()?.stat(Path::new(b"srv/data/readme")?, Follow::Yes)?.size, 5);
//! # }
//! # Ok::<(), kitbag_fs::Error>(())
//! ```
//!
//! # What is where
//!
//! Mounts nest, whatever the order they are given in. A mount hides what the file system around it has at
//! its place. The directories on the way to a mount are those of the file system around it, if it has them, and
//! made up if not (also where it has a file or a link in the way); what is made up cannot be written to.
//! `..` out of a mount leads to the directory that it is mounted in, and a link within one file system
//! may lead into another that is mounted beneath the same handle: links mean what they say in the whole tree.
//!
//! A mount point and the directories on the way to it can be neither removed nor renamed ([`Error::Busy`]); between
//! file systems nothing is renamed or linked ([`Error::CrossDevice`]). Inodes and devices are those of the file systems. A listing shows
//! a mount point with the inode of what is mounted there.
//!
//! # What it costs
//!
//! A directory with no mount beneath it hands every call to its file system as it is. Where there are mounts beneath, the
//! file system is asked in one call too if the path is one name, and in two if its first name leads
//! neither through a link nor towards a mount: what lies beneath such a directory, and does not lead out of it, cannot meet a mount.
//! Everything else is walked name by name.

mod dir;
#[cfg(all(test, feature = "conformance", feature = "memory"))]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Dir, DirEntry, Error, FileSystem, FileType, Follow, Metadata, Path, Result, Timestamp, fresh_device};
use dir::MountDir;

/// Where a point stands in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PointId(usize);

const TOP: PointId = PointId(0);

/// A mount, or a directory on the way to one.
struct Point {
    name: Box<[u8]>,
    source: Source,
    below: BTreeMap<Box<[u8]>, PointId>,
}

/// What is at a point.
#[derive(Clone)]
enum Source {
    /// Nothing is mounted here, only beneath.
    Way,
    /// The root of a file system.
    Tree(Arc<dyn Dir>),
    /// The file of this name in a directory.
    File(Arc<dyn Dir>, Box<[u8]>),
}

struct Table {
    points: Vec<Point>,
    /// That of the directories that are made up.
    device: u64,
    made: Timestamp,
    /// Every lookup goes name by name, as if there were mounts everywhere.
    always_walk: bool,
}

/// A tree of mounts.
pub struct Mounts {
    table: Arc<Table>,
}

/// Collects what is mounted where.
pub struct Builder(Table);

impl Mounts {
    /// Starts with nothing: the root is made up until something is mounted at `.`.
    #[must_use]
    pub fn builder() -> Builder {
        let top = Point { name: Box::default(), source: Source::Way, below: BTreeMap::new() };
        Builder(Table { points: vec![top], device: fresh_device(), made: crate::metadata::now(), always_walk: false })
    }
}

impl Builder {
    /// Mounts `files` at `at`.
    ///
    /// # Errors
    /// [`Error::Exists`] where something is mounted; [`Error::NotDirectory`] beneath a file; [`Error::Invalid`] for a path with
    /// `..`; and what [`FileSystem::root`] answers.
    pub fn mount(mut self, at: &Path, files: Arc<dyn FileSystem>) -> Result<Builder> {
        self.0.mount(at, Source::Tree(files.root()?))?;
        Ok(self)
    }

    /// Mounts the file `name` of the directory `folder` at `at`. It need not be there yet, and may be replaced by another
    /// one of its name; nothing else of the folder shows.
    ///
    /// # Errors
    /// As [`Builder::mount`]; [`Error::IsDirectory`] at `.` and above another mount; what is wrong with the name.
    pub fn mount_file(mut self, at: &Path, folder: Arc<dyn Dir>, name: &[u8]) -> Result<Builder> {
        match Path::new(name)?.split_last() {
            Some((parent, last)) if parent == Path::DOT && last == name => {}
            _ => return Err(Error::Invalid),
        }
        self.0.mount(at, Source::File(folder, name.into()))?;
        Ok(self)
    }

    /// The tree.
    #[must_use]
    pub fn build(self) -> Mounts {
        Mounts { table: Arc::new(self.0) }
    }
}

impl FileSystem for Mounts {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        let dir = self.table.root_of(TOP);
        Ok(Arc::new(MountDir::new(&self.table, dir, Some(TOP), TOP)))
    }
}

impl Table {
    fn mount(&mut self, at: &Path, source: Source) -> Result<()> {
        let mut id = TOP;
        for name in at.components() {
            id = self.step(id, name)?;
        }
        let point = &mut self.points[id.0];
        match (&point.source, &source) {
            (Source::Tree(_) | Source::File(..), _) => return Err(Error::Exists),
            (_, Source::File(..)) if id == TOP || !point.below.is_empty() => return Err(Error::IsDirectory),
            _ => point.source = source,
        }
        Ok(())
    }

    /// The point of that name beneath `id`, made if there is none.
    fn step(&mut self, id: PointId, name: &[u8]) -> Result<PointId> {
        if name == b".." {
            return Err(Error::Invalid);
        }
        if matches!(self.points[id.0].source, Source::File(..)) {
            return Err(Error::NotDirectory);
        }
        if let Some(below) = self.below(id, name) {
            return Ok(below);
        }
        let new = PointId(self.points.len());
        self.points.push(Point { name: name.into(), source: Source::Way, below: BTreeMap::new() });
        self.points[id.0].below.insert(name.into(), new);
        Ok(new)
    }

    fn point(&self, id: PointId) -> &Point {
        &self.points[id.0]
    }

    fn below(&self, id: PointId, name: &[u8]) -> Option<PointId> {
        self.point(id).below.get(name).copied()
    }

    /// The root of what is mounted at `id`.
    fn root_of(&self, id: PointId) -> Option<Arc<dyn Dir>> {
        match &self.point(id).source {
            Source::Tree(dir) => Some(Arc::clone(dir)),
            Source::Way | Source::File(..) => None,
        }
    }

    /// The directory at the point `id`, whose parent has `around` of the file system that it lies in.
    fn dir_at(&self, id: PointId, around: Option<&dyn Dir>) -> Option<Arc<dyn Dir>> {
        self.root_of(id).or_else(|| {
            let options = crate::OpenOptions { follow: Follow::No, ..crate::OpenOptions::directory() };
            around?.open(Path::new(&self.point(id).name).ok()?, options).ok()?.dir().ok()
        })
    }

    /// The metadata of the point `id`.
    fn stat(&self, id: PointId, around: Option<&dyn Dir>) -> Result<Metadata> {
        match &self.point(id).source {
            Source::File(folder, name) => folder.stat(Path::new(name)?, Follow::Yes),
            _ => self.dir_at(id, around).map_or_else(|| Ok(self.made_up(id)), |dir| dir.metadata()),
        }
    }

    /// The entry of the point `id` in the listing of its parent; a file that is not there has none.
    fn entry(&self, id: PointId, around: Option<&dyn Dir>) -> Result<Option<DirEntry>> {
        match self.stat(id, around) {
            Err(Error::NotFound) => Ok(None),
            other => {
                other.map(|it| Some(DirEntry { name: self.point(id).name.clone(), inode: it.inode, kind: it.kind }))
            }
        }
    }

    /// The metadata of a directory that no file system has.
    fn made_up(&self, id: PointId) -> Metadata {
        Metadata {
            kind: FileType::Directory,
            size: 0,
            inode: id.0 as u64 + 1,
            device: self.device,
            links: 2 + self.point(id).below.len() as u64,
            mode: 0o555,
            accessed: self.made,
            modified: self.made,
            changed: self.made,
        }
    }
}
