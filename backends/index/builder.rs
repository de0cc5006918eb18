//! Making an index from names in any order.

use std::borrow::Cow;
use std::fmt;
use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Attributes, Directory, Index, Node, PathRange, ROOT, Source, What, inode};
use crate::{DirEntry, FileType, Listing, NAME_MAX, PATH_MAX, fresh_device};

/// Why a name cannot be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It begins with a slash.
    Absolute,
    /// It has a `..`.
    ParentDir,
    /// It holds a NUL.
    Nul,
    /// It, or a part of it, is longer than a path can be.
    TooLong,
    /// It names the root, which is a directory.
    Root,
    /// It is a directory's here and a file's there.
    Conflict,
    /// There are more objects than are allowed.
    TooMany,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Absolute => "its name is absolute",
            Refusal::ParentDir => "its name has a `..`",
            Refusal::Nul => "its name holds a NUL",
            Refusal::TooLong => "its name is too long",
            Refusal::Root => "it takes the place of the root",
            Refusal::Conflict => "it is a directory in one place and a file in another",
            Refusal::TooMany => "there are more entries than are allowed",
        })
    }
}

struct Draft<E> {
    path: PathRange,
    parent: u32,
    attributes: Attributes,
    what: DraftWhat<E>,
}

enum DraftWhat<E> {
    File { size: u64, entry: E },
    Link(Box<[u8]>),
    Dir,
}

impl<E> DraftWhat<E> {
    fn is_dir(&self) -> bool {
        matches!(self, DraftWhat::Dir)
    }
}

/// Takes in files, directories and links, each by its whole path and in any order, with the directories between them
/// implied. Of two that share a path the last counts.
pub(crate) struct Builder<E> {
    names: Vec<u8>,
    drafts: Vec<Draft<E>>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    limit: usize,
}

impl<E> Builder<E> {
    /// An index of a root that has these attributes until one is given for it, and of at most `limit` objects.
    pub(crate) fn new(root: Attributes, limit: usize) -> Builder<E> {
        let path = PathRange { start: 0, len: 0, name: 0 };
        let root = Draft { path, parent: ROOT, attributes: root, what: DraftWhat::Dir };
        Builder {
            names: Vec::new(),
            drafts: vec![root],
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            limit: limit.min(u32::MAX as usize),
        }
    }

    /// Takes in a directory.
    pub(crate) fn directory(&mut self, path: &[u8], attributes: Attributes) -> Result<(), Refusal> {
        self.insert(path, attributes, DraftWhat::Dir)
    }

    /// Takes in a file.
    pub(crate) fn file(&mut self, path: &[u8], attributes: Attributes, size: u64, entry: E) -> Result<(), Refusal> {
        self.insert(path, attributes, DraftWhat::File { size, entry })
    }

    /// Takes in a symbolic link.
    pub(crate) fn link(&mut self, path: &[u8], attributes: Attributes, target: &[u8]) -> Result<(), Refusal> {
        self.insert(path, attributes, DraftWhat::Link(target.into()))
    }

    fn insert(&mut self, path: &[u8], attributes: Attributes, what: DraftWhat<E>) -> Result<(), Refusal> {
        let path = normal(path)?;
        if path.is_empty() {
            return self.replace(ROOT, attributes, what, Refusal::Root);
        }
        match self.find(&path) {
            Some(old) => self.replace(old, attributes, what, Refusal::Conflict),
            None => self.add(&path, attributes, what),
        }
    }

    fn find(&self, path: &[u8]) -> Option<u32> {
        let same = |&node: &u32| &self.names[self.drafts[node as usize].path.range()] == path;
        self.table.find(self.hasher.hash_one(path), same).copied()
    }

    fn replace(
        &mut self,
        old: u32,
        attributes: Attributes,
        what: DraftWhat<E>,
        otherwise: Refusal,
    ) -> Result<(), Refusal> {
        let old = &mut self.drafts[old as usize];
        if old.what.is_dir() != what.is_dir() {
            return Err(otherwise);
        }
        old.attributes = attributes;
        old.what = what;
        Ok(())
    }

    fn add(&mut self, path: &[u8], attributes: Attributes, what: DraftWhat<E>) -> Result<(), Refusal> {
        let start = self.names.len();
        self.names.extend_from_slice(path);
        let parent = self.parent(start, path, attributes.modified)?;
        self.push(start, path, parent, attributes, what).map(|_| ())
    }

    /// The directory above `path`, which begins at `start` of the arena; made, with those above it, where it is
    /// missing.
    fn parent(&mut self, start: usize, path: &[u8], modified: i128) -> Result<u32, Refusal> {
        let above = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(place, _)| &path[..place]);
        let (mut parent, mut missing) = (ROOT, Vec::new());
        for directory in above.rev() {
            if let Some(found) = self.find(directory) {
                parent = found;
                break;
            }
            missing.push(directory);
        }
        if !self.drafts[parent as usize].what.is_dir() {
            return Err(Refusal::Conflict);
        }
        let implied = Attributes { mode: 0o755, modified };
        for directory in missing.into_iter().rev() {
            parent = self.push(start, directory, parent, implied, DraftWhat::Dir)?;
        }
        Ok(parent)
    }

    fn push(
        &mut self,
        start: usize,
        path: &[u8],
        parent: u32,
        attributes: Attributes,
        what: DraftWhat<E>,
    ) -> Result<u32, Refusal> {
        if self.drafts.len() >= self.limit {
            return Err(Refusal::TooMany);
        }
        let number = self.drafts.len() as u32;
        let name = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let path = PathRange { start, len: path.len() as u16, name: name as u16 };
        self.drafts.push(Draft { path, parent, attributes, what });
        let hash = |node: &u32| self.hasher.hash_one(&self.names[self.drafts[*node as usize].path.range()]);
        self.table.insert_unique(hash(&number), number, hash);
        Ok(number)
    }

    /// The index of what was taken in.
    pub(crate) fn build<S: Source<Entry = E>>(mut self, source: S) -> Index<S> {
        let order = Order::new(&self.names, &self.drafts);
        for node in self.table.iter_mut() {
            *node = order.new_number[*node as usize];
        }
        let mut drafts: Vec<Option<Draft<E>>> = self.drafts.into_iter().map(Some).collect();
        let in_order = order.old_number.iter().filter_map(|&old| drafts[old as usize].take());
        let in_order: Vec<Draft<E>> = in_order.collect();
        let listings: Vec<Listing> =
            order.children.iter().map(|range| listing(&self.names, &in_order, range)).collect();
        let parts = in_order.into_iter().zip(order.children).zip(listings);
        let nodes = parts.map(|((draft, children), listing)| draft.finish(&order.new_number, children, listing));
        Index {
            nodes: nodes.collect(),
            names: self.names.into(),
            table: self.table,
            hasher: self.hasher,
            device: fresh_device(),
            source,
        }
    }
}

impl<E> Draft<E> {
    fn finish(self, new_number: &[u32], children: Range<u32>, listing: Listing) -> Node<E> {
        let what = match self.what {
            DraftWhat::File { size, entry } => What::File { size, entry },
            DraftWhat::Link(target) => What::Link(target),
            DraftWhat::Dir => {
                let directories = listing.iter().filter(|entry| entry.kind == FileType::Directory);
                What::Dir(Directory { children, subdirectories: directories.count() as u32, listing })
            }
        };
        Node { path: self.path, parent: new_number[self.parent as usize], attributes: self.attributes, what }
    }

    fn kind(&self) -> FileType {
        match self.what {
            DraftWhat::File { .. } => FileType::File,
            DraftWhat::Link(_) => FileType::Symlink,
            DraftWhat::Dir => FileType::Directory,
        }
    }
}

/// The order of the table: level by level, siblings side by side and sorted by name.
struct Order {
    old_number: Vec<u32>,
    new_number: Vec<u32>,
    /// By new number.
    children: Vec<Range<u32>>,
}

impl Order {
    fn new<E>(names: &[u8], drafts: &[Draft<E>]) -> Order {
        let mut by_parent: Vec<u32> = (1..drafts.len() as u32).collect();
        let key = |&number: &u32| {
            let draft = &drafts[number as usize];
            (draft.parent, &names[draft.path.name_range()])
        };
        by_parent.sort_unstable_by(|left, right| key(left).cmp(&key(right)));
        let mut runs = vec![0..0; drafts.len()];
        let mut start = 0;
        for run in by_parent.chunk_by(|&left, &right| drafts[left as usize].parent == drafts[right as usize].parent) {
            runs[drafts[run[0] as usize].parent as usize] = start..start + run.len();
            start += run.len();
        }
        Order::by_level(&by_parent, &runs)
    }

    fn by_level(by_parent: &[u32], runs: &[Range<usize>]) -> Order {
        let mut order = Order {
            old_number: vec![ROOT],
            new_number: vec![ROOT; runs.len()],
            children: Vec::with_capacity(runs.len()),
        };
        for next in 0..runs.len() {
            let run = &by_parent[runs[order.old_number[next] as usize].clone()];
            let first = order.old_number.len() as u32;
            for (&old, new) in run.iter().zip(first..) {
                order.new_number[old as usize] = new;
            }
            order.old_number.extend_from_slice(run);
            order.children.push(first..first + run.len() as u32);
        }
        order
    }
}

fn listing<E>(names: &[u8], nodes: &[Draft<E>], children: &Range<u32>) -> Listing {
    let entry = |number: u32| {
        let node = &nodes[number as usize];
        DirEntry { name: names[node.path.name_range()].into(), inode: inode(number), kind: node.kind() }
    };
    if children.is_empty() { Arc::default() } else { children.clone().map(entry).collect() }
}

/// `path` without `.`, doubled and trailing slashes; empty for the root.
fn normal(path: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    match path {
        [b'/', ..] => return Err(Refusal::Absolute),
        _ if path.contains(&0) => return Err(Refusal::Nul),
        _ => {}
    }
    let mut plain = true;
    let path = path.strip_suffix(b"/").unwrap_or(path);
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b".." => return Err(Refusal::ParentDir),
            _ if name.len() > NAME_MAX => return Err(Refusal::TooLong),
            _ => plain &= !name.is_empty() && name != b".",
        }
    }
    let path = if plain { Cow::Borrowed(path) } else { Cow::Owned(without_dots(path)) };
    if path.len() > PATH_MAX { Err(Refusal::TooLong) } else { Ok(path) }
}

fn without_dots(path: &[u8]) -> Vec<u8> {
    let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    names.collect::<Vec<_>>().join(&b'/')
}
