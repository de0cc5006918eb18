//! The tree of names: a table of directories, and what their names lead to.

use hashbrown::HashMap;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::Attributes;
use super::file::FileNode;
use super::paths::{Joined, Paths, Whole};
use super::quota::{Charge, Quota};
use crate::resolve::{Entry, Place, Tree, locate, resolve};
use crate::{DirEntry, Error, FileType, Follow, Listing, Metadata, Path, Result};

/// Where a directory lies in the table. It is taken again only when the directory has neither a name nor a handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DirId(usize);

pub(super) const ROOT: DirId = DirId(0);

pub(super) struct DirNode {
    pub(super) attributes: Attributes,
    /// The directory above; means nothing once the name is gone.
    parent: DirId,
    /// Its path, once it has been noted.
    whole: Option<Whole>,
    children: HashMap<Box<[u8]>, Child>,
    subdirs: u64,
    /// The names as they are now, once somebody has asked.
    listing: OnceLock<Listing>,
    /// How many handles keep the place in the table.
    pub(super) handles: AtomicUsize,
}

pub(super) struct LinkNode {
    pub(super) attributes: Attributes,
    target: Box<[u8]>,
    _charge: Charge,
}

/// What a name leads to.
#[derive(Clone)]
pub(super) enum Child {
    Dir(DirId),
    File(Arc<FileNode>),
    Link(Arc<LinkNode>),
}

/// A node on the way of a lookup, borrowed from the table.
#[derive(Clone, Copy)]
pub(super) enum Found<'s> {
    Dir(DirId),
    File(&'s Arc<FileNode>),
    Link(&'s Arc<LinkNode>),
}

/// A place for a name, free of the table, which can then be changed.
pub(super) struct Spot<'p> {
    pub(super) dir: DirId,
    pub(super) name: Cow<'p, [u8]>,
    pub(super) child: Option<Child>,
    pub(super) slash: bool,
}

pub(super) struct Space {
    dirs: Vec<Option<DirNode>>,
    free: Vec<DirId>,
    /// How many names there are.
    names: usize,
    paths: Paths,
}

impl LinkNode {
    pub(super) fn new(attributes: Attributes, target: &[u8], quota: &Arc<Quota>) -> Result<LinkNode> {
        let mut charge = Charge::nothing(quota);
        charge.set_bytes(target.len() as u64)?;
        Ok(LinkNode { attributes, target: target.into(), _charge: charge })
    }

    pub(super) fn target(&self) -> &[u8] {
        &self.target
    }

    fn metadata(&self) -> Metadata {
        self.attributes.metadata(FileType::Symlink, self.target.len() as u64, 0o777)
    }
}

impl DirNode {
    fn new(attributes: Attributes, parent: DirId) -> DirNode {
        DirNode {
            attributes,
            parent,
            whole: None,
            children: HashMap::new(),
            subdirs: 0,
            listing: OnceLock::new(),
            handles: AtomicUsize::new(0),
        }
    }

    /// Whether its name is gone.
    pub(super) fn is_unlinked(&self) -> bool {
        self.attributes.links.load(Ordering::Relaxed) == 0
    }

    pub(super) fn metadata(&self) -> Metadata {
        let metadata = self.attributes.metadata(FileType::Directory, 4096, 0o755);
        Metadata { links: if metadata.links == 0 { 0 } else { 2 + self.subdirs }, ..metadata }
    }

    /// The names changed.
    fn touch(&mut self) {
        self.listing.take();
        self.attributes.touch();
    }
}

impl Child {
    pub(super) fn is_dir(&self) -> bool {
        matches!(self, Child::Dir(_))
    }

    fn found(&self) -> Found<'_> {
        match self {
            Child::Dir(id) => Found::Dir(*id),
            Child::File(file) => Found::File(file),
            Child::Link(link) => Found::Link(link),
        }
    }

    /// Whether both are names of one object.
    pub(super) fn same(&self, other: &Child) -> bool {
        match (self, other) {
            (Child::Dir(a), Child::Dir(b)) => a == b,
            (Child::File(a), Child::File(b)) => Arc::ptr_eq(a, b),
            (Child::Link(a), Child::Link(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The number of names of what can have several.
    fn links(&self) -> Option<&AtomicU64> {
        match self {
            Child::Dir(_) => None,
            Child::File(file) => Some(&file.attributes.links),
            Child::Link(link) => Some(&link.attributes.links),
        }
    }

    /// One name more, if the quota allows it.
    pub(super) fn add_name(&self, quota: &Quota) -> Result<()> {
        let links = self.links().ok_or(Error::NotPermitted)?;
        quota.take_name()?;
        links.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Found<'_> {
    pub(super) fn kind(&self) -> FileType {
        match self {
            Found::Dir(_) => FileType::Directory,
            Found::File(_) => FileType::File,
            Found::Link(_) => FileType::Symlink,
        }
    }

    pub(super) fn to_child(self) -> Child {
        match self {
            Found::Dir(id) => Child::Dir(id),
            Found::File(file) => Child::File(Arc::clone(file)),
            Found::Link(link) => Child::Link(Arc::clone(link)),
        }
    }
}

impl<'p> Spot<'p> {
    pub(super) fn new(entry: Entry<'p, Found<'_>>) -> Result<Spot<'p>> {
        let Found::Dir(dir) = entry.dir else { return Err(Error::NotDirectory) };
        Ok(Spot { dir, name: entry.name, child: entry.node.map(Found::to_child), slash: entry.slash })
    }
}

impl Space {
    pub(super) fn new(root: Attributes) -> Space {
        let dirs = vec![Some(DirNode::new(root, ROOT))];
        Space { dirs, free: Vec::new(), names: 0, paths: Paths::default() }
    }

    pub(super) fn dir(&self, id: DirId) -> &DirNode {
        self.dirs[id.0].as_ref().expect("a name or a handle keeps the directory")
    }

    fn dir_mut(&mut self, id: DirId) -> &mut DirNode {
        self.dirs[id.0].as_mut().expect("a name or a handle keeps the directory")
    }

    pub(super) fn attributes<'s>(&'s self, found: Found<'s>) -> &'s Attributes {
        match found {
            Found::Dir(id) => &self.dir(id).attributes,
            Found::File(file) => &file.attributes,
            Found::Link(link) => &link.attributes,
        }
    }

    pub(super) fn metadata(&self, found: Found<'_>) -> Metadata {
        match found {
            Found::Dir(id) => self.dir(id).metadata(),
            Found::File(file) => file.metadata(),
            Found::Link(link) => link.metadata(),
        }
    }

    pub(super) fn resolve(&self, start: DirId, path: &Path, follow: Follow) -> Result<Found<'_>> {
        match self.probe(start, path.as_bytes()) {
            Some(Child::Link(_)) if follow == Follow::Yes => {}
            Some(child) => return Ok(child.found()),
            None => self.paths.walk(),
        }
        resolve(&self, Found::Dir(start), path, follow)
    }

    /// What has the path, if it is noted. `None` says nothing about whether it is there.
    fn probe(&self, start: DirId, path: &[u8]) -> Option<&Child> {
        if start == ROOT {
            return self.paths.get(path);
        }
        self.paths.get(Joined::new(self.path(start)?, path)?.as_bytes())
    }

    /// The path of a directory, if it is noted.
    fn path(&self, id: DirId) -> Option<&[u8]> {
        if id == ROOT { Some(b"") } else { self.paths.place(self.dir(id).whole.as_ref()?) }
    }

    fn joined(&self, dir: DirId, name: &[u8]) -> Option<Joined> {
        Joined::new(self.path(dir)?, name)
    }

    /// Notes what the name of `dir` means.
    fn note(&mut self, dir: DirId, name: &[u8], child: Child) {
        let Some(path) = self.joined(dir, name) else { return };
        let below = if let Child::Dir(id) = child { Some(id) } else { None };
        let whole = self.paths.note(&path, child);
        if let Some(id) = below {
            self.dir_mut(id).whole = whole;
        }
    }

    /// Whether [`Space::note_all`] is due.
    pub(super) fn is_forgetful(&self) -> bool {
        self.paths.want(self.names)
    }

    /// Notes all paths, from the root on.
    pub(super) fn note_all(&mut self) {
        let mut left = vec![ROOT];
        while let Some(dir) = left.pop() {
            let children = std::mem::take(&mut self.dir_mut(dir).children);
            for (name, child) in &children {
                if let Child::Dir(id) = child {
                    left.push(*id);
                }
                self.note(dir, name, child.clone());
            }
            self.dir_mut(dir).children = children;
        }
        self.paths.recall();
    }

    pub(super) fn place<'p>(&self, start: DirId, path: &'p Path, follow: Follow) -> Result<Place<'p, Found<'_>>> {
        locate(&self, Found::Dir(start), path, follow)
    }

    /// Whether `id` is `above` or lies beneath it.
    pub(super) fn within(&self, mut id: DirId, above: DirId) -> bool {
        while id != above && id != ROOT {
            id = self.dir(id).parent;
        }
        id == above
    }

    pub(super) fn is_empty(&self, id: DirId) -> bool {
        self.dir(id).children.is_empty()
    }

    /// Puts a directory into the table; it gets its name by [`Space::attach`].
    pub(super) fn new_dir(&mut self, attributes: Attributes) -> DirId {
        let node = Some(DirNode::new(attributes, ROOT));
        if let Some(id) = self.free.pop() {
            self.dirs[id.0] = node;
            return id;
        }
        self.dirs.push(node);
        DirId(self.dirs.len() - 1)
    }

    /// Whether names can be made in it: not after its own is gone.
    pub(super) fn check_linked(&self, id: DirId) -> Result<()> {
        if self.dir(id).is_unlinked() { Err(Error::NotFound) } else { Ok(()) }
    }

    /// Gives `child` the name, which is free.
    pub(super) fn attach(&mut self, dir: DirId, name: &[u8], child: Child) {
        if let Child::Dir(id) = child {
            self.dir_mut(id).parent = dir;
            self.dir_mut(dir).subdirs += 1;
        }
        self.attributes(child.found()).touch_changed();
        self.note(dir, name, child.clone());
        self.dir_mut(dir).children.insert(name.into(), child);
        self.names += 1;
        self.dir_mut(dir).touch();
    }

    /// Takes the name away, and says what had it.
    pub(super) fn detach(&mut self, dir: DirId, name: &[u8]) -> Result<Child> {
        let child = self.dir_mut(dir).children.remove(name).ok_or(Error::NotFound)?;
        self.names -= 1;
        if let Some(path) = self.joined(dir, name) {
            self.paths.remove(&path);
        }
        if let Child::Dir(id) = child {
            self.dir_mut(dir).subdirs -= 1;
            // What lies in it has another path now.
            if self.path(id).is_some() && !self.is_empty(id) {
                self.paths.forget_all();
            }
            self.dir_mut(id).whole = None;
        }
        self.dir_mut(dir).touch();
        Ok(child)
    }

    /// Takes the name away, and with it what has no other name and no handle.
    pub(super) fn remove(&mut self, dir: DirId, name: &[u8], quota: &Quota) -> Result<()> {
        let child = self.detach(dir, name)?;
        self.attributes(child.found()).touch_changed();
        match &child {
            Child::Dir(id) => {
                self.dir(*id).attributes.links.store(0, Ordering::Relaxed);
                self.release(*id);
            }
            other => {
                let before = other.links().map_or(0, |links| links.fetch_sub(1, Ordering::Relaxed));
                if before > 1 {
                    quota.give_name();
                }
            }
        }
        Ok(())
    }

    /// Frees the directory's place if neither a name nor a handle keeps it.
    pub(super) fn release(&mut self, id: DirId) {
        let gone = |node: &DirNode| node.is_unlinked() && node.handles.load(Ordering::Relaxed) == 0;
        if self.dirs[id.0].as_ref().is_some_and(gone) {
            self.dirs[id.0] = None;
            self.free.push(id);
        }
    }

    fn entry(&self, name: &[u8], child: &Child) -> DirEntry {
        let found = child.found();
        DirEntry { name: name.into(), inode: self.attributes(found).inode, kind: found.kind() }
    }

    /// The names, sorted, so that a run is the same each time.
    pub(super) fn list(&self, id: DirId) -> Listing {
        let dir = self.dir(id);
        let make = || {
            let mut entries: Vec<_> = dir.children.iter().map(|(name, child)| self.entry(name, child)).collect();
            entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            entries.into()
        };
        Arc::clone(dir.listing.get_or_init(make))
    }
}

impl<'s> Tree for &'s Space {
    type Node = Found<'s>;

    fn kind(&self, node: &Found<'s>) -> FileType {
        node.kind()
    }

    #[inline(always)]
    fn child(&self, dir: &Found<'s>, name: &[u8]) -> Result<Option<Found<'s>>> {
        let space: &'s Space = self;
        match dir {
            Found::Dir(id) => Ok(space.dir(*id).children.get(name).map(Child::found)),
            _ => Err(Error::NotDirectory),
        }
    }

    fn parent(&self, dir: &Found<'s>) -> Result<Found<'s>> {
        match dir {
            Found::Dir(id) => Ok(Found::Dir(self.dir(*id).parent)),
            _ => Err(Error::NotDirectory),
        }
    }

    fn target(&self, link: &Found<'s>) -> Result<Cow<'_, [u8]>> {
        match link {
            Found::Link(link) => Ok(Cow::Borrowed(link.target())),
            _ => Err(Error::Invalid),
        }
    }
}

#[cfg(test)]
impl Space {
    pub(super) fn names(&self) -> usize {
        self.names
    }

    /// How many paths are noted. Each leads where it does name by name.
    pub(super) fn check_paths(&self) -> usize {
        let lead = |(path, child): (&[u8], &Child)| {
            let there = resolve(&self, Found::Dir(ROOT), Path::new(path).unwrap(), Follow::No).unwrap();
            assert!(there.to_child().same(child), "{}", path.escape_ascii());
        };
        self.paths.all().map(lead).count()
    }
}
