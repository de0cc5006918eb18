//! A file system that is complete before it is mounted: the index that archives and embedded assets share.
//!
//! One table holds every file, directory and link as a node; a node's number is its place in the table, and its inode
//! is that number plus one. Nothing changes after [`Builder::build`], so nothing is locked.
//!
//! - **A lookup is one probe.** A hash table leads from whole paths to nodes. A path that is spelled as it is stored
//!   (no dots, no doubled or trailing slashes, no links on the way) is found at once and without allocating, from the
//!   root and from any other directory; every other path, those that lead nowhere among them, takes the common walk of
//!   [`resolve`](mod@crate::resolve). The alternatives: a search per component costs a probe and a cache miss for each,
//!   and hashing component after component lets two directories of one name collide on purpose. The hash is keyed by a
//!   random seed for each index, so that an archive cannot be made whose names collide.
//! - **Names are stored once.** A node's path is a range of one arena; a directory that is only implied by its contents
//!   takes its range from the first of their paths. Memory is therefore linear in the names of the source, however deep
//!   they go.
//! - **Siblings are neighbours**, sorted by name: a directory is a range of the table, and its listing is made
//!   beforehand.

use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::path::Joined;
use crate::resolve::Tree;
use crate::{Access, Error, File, FileType, Listing, Metadata, Result, Timestamp};
#[cfg(feature = "zip")]
use crate::{Follow, Path};

mod builder;
mod dir;
mod file;
#[cfg(test)]
mod tests;

pub(crate) use builder::{Builder, Refusal};
pub(crate) use dir::IndexDir;
#[cfg(feature = "embedded")]
pub(crate) use file::BytesFile;
pub(crate) use file::{copy_at, copy_vectored_at};

use file::Unreadable;

/// The number of the root's node.
pub(crate) const ROOT: u32 = 0;

/// Paths up to this length, joined to that of the directory they start from, are looked up by one probe.
const PROBE_MAX: usize = 512;

/// How the bytes of a file are reached.
pub(crate) trait Source: Send + Sync + 'static {
    /// What tells one file from another.
    type Entry: Send + Sync;

    /// A handle for reading; `metadata` is what it shall say of itself.
    ///
    /// # Errors
    /// Those of [`Dir::open`](crate::Dir::open).
    fn open(&self, entry: &Self::Entry, metadata: Metadata) -> Result<Arc<dyn File>>;
}

/// What a source says about one of its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Permission bits.
    pub(crate) mode: u32,
    /// All three times.
    pub(crate) modified: Timestamp,
}

/// A range of the arena, and where in it the last name begins.
#[derive(Clone, Copy)]
struct PathRange {
    start: usize,
    len: u16,
    name: u16,
}

impl PathRange {
    fn range(self) -> Range<usize> {
        self.start..self.start + usize::from(self.len)
    }

    fn name_range(self) -> Range<usize> {
        self.start + usize::from(self.name)..self.start + usize::from(self.len)
    }
}

struct Node<E> {
    path: PathRange,
    parent: u32,
    attributes: Attributes,
    what: What<E>,
}

enum What<E> {
    File { size: u64, entry: E },
    Link(Box<[u8]>),
    Dir(Directory),
}

impl<E> What<E> {
    fn kind(&self) -> FileType {
        match self {
            What::File { .. } => FileType::File,
            What::Link(_) => FileType::Symlink,
            What::Dir(_) => FileType::Directory,
        }
    }
}

struct Directory {
    children: Range<u32>,
    /// Directories among the children.
    subdirectories: u32,
    listing: Listing,
}

/// The index: see the [module](self).
pub(crate) struct Index<S: Source> {
    names: Box<[u8]>,
    nodes: Box<[Node<S::Entry>]>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    device: u64,
    source: S,
}

impl<S: Source> Index<S> {
    /// How the files' bytes are reached.
    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// Files, directories and links, the root among them.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// All files, with their paths.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&[u8], Result<Arc<dyn File>>)> {
        let read = Access { read: true, write: false };
        (ROOT..).zip(&self.nodes).filter_map(move |(number, node)| match &node.what {
            What::File { entry, .. } => Some((&self.names[node.path.range()], self.open_file(number, entry, read))),
            _ => None,
        })
    }

    /// The file that `path` leads to from the root, with what its handles say of it.
    ///
    /// # Errors
    /// Those of resolution; [`Error::IsDirectory`].
    #[cfg(feature = "zip")]
    pub(crate) fn file(self: &Arc<Self>, path: &Path) -> Result<(&S::Entry, Metadata)> {
        let number = IndexDir::new(Arc::clone(self), ROOT).lookup(path, Follow::Yes)?;
        match &self.node(number).what {
            What::File { entry, .. } => Ok((entry, self.metadata(number))),
            What::Dir(_) => Err(Error::IsDirectory),
            What::Link(_) => Err(Error::Loop),
        }
    }

    fn node(&self, node: u32) -> &Node<S::Entry> {
        &self.nodes[node as usize]
    }

    /// The children of `dir`; none for what is no directory.
    fn children(&self, dir: u32) -> &[Node<S::Entry>] {
        match &self.node(dir).what {
            What::Dir(directory) => &self.nodes[directory.children.start as usize..directory.children.end as usize],
            _ => &[],
        }
    }

    /// What `path` means beneath `dir` if it is spelled as it is stored. `None` says nothing about whether it is there.
    fn probe(&self, dir: u32, path: &[u8]) -> Option<u32> {
        if dir == ROOT {
            return self.find(path);
        }
        let above = &self.names[self.node(dir).path.range()];
        self.find(Joined::<PROBE_MAX>::new(above, path)?.as_bytes())
    }

    fn find(&self, path: &[u8]) -> Option<u32> {
        let same = |&node: &u32| &self.names[self.node(node).path.range()] == path;
        self.table.find(self.hasher.hash_one(path), same).copied()
    }

    fn metadata(&self, number: u32) -> Metadata {
        let node = self.node(number);
        let (size, links) = match &node.what {
            What::File { size, .. } => (*size, 1),
            What::Link(target) => (target.len() as u64, 1),
            What::Dir(directory) => (0, 2 + u64::from(directory.subdirectories)),
        };
        let Attributes { mode, modified } = node.attributes;
        Metadata {
            kind: node.what.kind(),
            size,
            inode: inode(number),
            device: self.device,
            links,
            mode,
            accessed: modified,
            modified,
            changed: modified,
        }
    }

    fn open_file(&self, number: u32, entry: &S::Entry, access: Access) -> Result<Arc<dyn File>> {
        let metadata = self.metadata(number);
        if access.read { self.source.open(entry, metadata) } else { Ok(Arc::new(Unreadable(metadata))) }
    }
}

/// The inode of a node.
fn inode(node: u32) -> u64 {
    u64::from(node) + 1
}

impl<S: Source> Tree for Index<S> {
    type Node = u32;

    fn kind(&self, &node: &u32) -> FileType {
        self.node(node).what.kind()
    }

    fn child(&self, &dir: &u32, name: &[u8]) -> Result<Option<u32>> {
        let What::Dir(Directory { children, .. }) = &self.node(dir).what else { return Err(Error::NotDirectory) };
        let found = self.children(dir).binary_search_by(|child| self.names[child.path.name_range()].cmp(name));
        Ok(found.ok().map(|place| children.start + place as u32))
    }

    fn parent(&self, &dir: &u32) -> Result<u32> {
        Ok(self.node(dir).parent)
    }

    fn target(&self, &link: &u32) -> Result<Cow<'_, [u8]>> {
        match &self.node(link).what {
            What::Link(target) => Ok(Cow::Borrowed(target)),
            _ => Err(Error::Invalid),
        }
    }
}
