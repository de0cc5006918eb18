//! What a name leads to, and what a directory holds.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::identity::{Key, UPPER};
use super::node::{DirNode, Found, Leaf, LowerDir, Peek, Whence};
use super::upper::{DIRECTORY, Marks, if_there, is_private, stored};
use super::{Inner, NODES_KEPT, PRIVATE, lock};
use crate::resolve::Tree;
use crate::{Access, Dir, DirEntry, Error, File, FileType, Follow, Listing, Metadata, OpenOptions, Path, Result};

impl Tree for Inner {
    type Node = Found;

    fn kind(&self, node: &Found) -> FileType {
        node.kind()
    }

    fn child(&self, dir: &Found, name: &[u8]) -> Result<Option<Found>> {
        self.find(dir.as_dir()?, name)
    }

    fn parent(&self, dir: &Found) -> Result<Found> {
        dir.as_dir()?.parent().map(Found::Dir).ok_or(Error::NotFound)
    }

    fn target(&self, link: &Found) -> Result<Cow<'_, [u8]>> {
        Ok(Cow::Owned(self.read_link(&*link.clone().leaf()?)?.into()))
    }
}

impl Found {
    fn as_dir(&self) -> Result<&Arc<DirNode>> {
        match self {
            Found::Dir(dir) => Ok(dir),
            Found::Leaf(_) => Err(Error::NotDirectory),
        }
    }

    pub(super) fn dir(self) -> Result<Arc<DirNode>> {
        match self {
            Found::Dir(dir) => Ok(dir),
            Found::Leaf(_) => Err(Error::NotDirectory),
        }
    }

    pub(super) fn leaf(self) -> Result<Arc<Leaf>> {
        match self {
            Found::Leaf(leaf) => Ok(leaf),
            Found::Dir(_) => Err(Error::IsDirectory),
        }
    }
}

/// Nothing where a layer has nothing of that name, or cannot have.
fn in_layer<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(Error::IllegalSequence | Error::NameTooLong) => Ok(None),
        other => if_there(other),
    }
}

/// Opens the directory `name` of a lower: for lookups at least, where it may not be read.
fn open_dir(above: &dyn Dir, name: &[u8]) -> Result<Arc<dyn Dir>> {
    let name = Path::new(name)?;
    match above.open(name, DIRECTORY) {
        Err(Error::Access) => above.open(name, OpenOptions { access: Access::default(), ..DIRECTORY })?.dir(),
        other => other?.dir(),
    }
}

/// What a handle that is for lookups alone answers, in the words of one that was asked for more.
fn readable(listing: Result<Listing>) -> Result<Listing> {
    listing.map_err(|error| if error == Error::BadHandle { Error::Access } else { error })
}

/// What `name` merges in the directories `above`, down to the first that has something else there.
fn descend(above: &[LowerDir], name: &[u8]) -> Result<Vec<LowerDir>> {
    let mut lowers = Vec::new();
    for &LowerDir { layer, ref dir } in above {
        match in_layer(open_dir(&**dir, name)) {
            Ok(Some(dir)) => lowers.push(LowerDir { layer, dir }),
            Ok(None) => {}
            Err(Error::NotDirectory | Error::Loop) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(lowers)
}

impl Inner {
    /// What has `name` in `dir`.
    pub(super) fn find(&self, dir: &Arc<DirNode>, name: &[u8]) -> Result<Option<Found>> {
        let (upper, hidden) = match dir.peek(name) {
            Peek::Removed => return Ok(None),
            Peek::Known(node) => return Ok(Some(Found::Dir(node))),
            Peek::Look { upper, hidden } => (upper, hidden),
        };
        if let Some(upper) = upper
            && let Some(raw) = if_there(upper.stat(stored(name)?, Follow::No))?
        {
            return self.found_in_upper(dir, name, &*upper, raw, hidden);
        }
        if hidden { Ok(None) } else { self.find_in_lowers(dir, name) }
    }

    fn found_in_upper(
        &self,
        dir: &Arc<DirNode>,
        name: &[u8],
        upper: &dyn Dir,
        raw: Metadata,
        hidden: bool,
    ) -> Result<Option<Found>> {
        let identity = self.ids.of_upper(&raw);
        if raw.kind != FileType::Directory {
            let whence = Whence::Upper(Key::new(UPPER, &raw));
            return Ok(Some(leaf(dir, name, whence, self.ids.show_upper(raw, identity))));
        }
        if is_private(upper, name, &raw)? {
            return Ok(None);
        }
        let handle = upper.open(stored(name)?, DIRECTORY)?.dir()?;
        let marks = Marks::load(&*handle)?;
        let lowers = match &marks.redirect {
            Some(path) => self.follow_redirect(path)?,
            None if hidden => Vec::new(),
            None => descend(dir.lowers(), name)?,
        };
        let node = DirNode::new(identity, lowers, Some((handle, marks)), Some((dir.clone(), name.into())));
        Ok(Some(Found::Dir(self.keep(dir, name, node))))
    }

    fn follow_redirect(&self, path: &[u8]) -> Result<Vec<LowerDir>> {
        path.split(|&byte| byte == b'/').try_fold(self.root.lowers().to_vec(), |lowers, name| descend(&lowers, name))
    }

    fn find_in_lowers(&self, dir: &Arc<DirNode>, name: &[u8]) -> Result<Option<Found>> {
        for (at, lower) in dir.lowers().iter().enumerate() {
            if let Some(raw) = in_layer(lower.dir.stat(Path::new(name)?, Follow::No))? {
                return self.found_in_layer(dir, name, at, raw).map(Some);
            }
        }
        Ok(None)
    }

    fn found_in_layer(&self, dir: &Arc<DirNode>, name: &[u8], at: usize, raw: Metadata) -> Result<Found> {
        let layer = dir.lower(at).layer;
        let identity = self.ids.of_lower(layer, &raw);
        if raw.kind != FileType::Directory {
            return self.found_lower_leaf(dir, name, at, Key::new(layer, &raw), self.ids.show(raw, identity));
        }
        let lowers = descend(&dir.lowers()[at..], name)?;
        let place = Some((dir.clone(), name.into()));
        let node = DirNode::new(identity, lowers, None, place);
        Ok(Found::Dir(self.keep(dir, name, node)))
    }

    /// A lower file, or what became of it by another of its names.
    fn found_lower_leaf(&self, dir: &Arc<DirNode>, name: &[u8], at: usize, key: Key, shown: Metadata) -> Result<Found> {
        let indexed = if shown.links > 1 { self.ids.indexed(key) } else { None };
        let Some(indexed) = indexed else { return Ok(leaf(dir, name, Whence::Lower { at, key }, shown)) };
        let raw = self.upper.index()?.stat(Path::new(&indexed.file)?, Follow::No)?;
        Ok(leaf(dir, name, Whence::Indexed(key), self.ids.show_upper(raw, self.ids.of_upper(&raw))))
    }

    /// Makes `node` the child of `dir` and keeps it for a while.
    fn keep(&self, dir: &Arc<DirNode>, name: &[u8], node: DirNode) -> Arc<DirNode> {
        let node = dir.know(name, Arc::new(node));
        let dropped = {
            let recent = &mut *lock(&self.recent);
            recent.push_back(node.clone());
            if recent.len() > NODES_KEPT { recent.pop_front() } else { None }
        };
        drop(dropped);
        node
    }

    /// Whether a lower has something at `name`, seen or hidden.
    pub(super) fn lowers_have(&self, dir: &DirNode, name: &[u8]) -> Result<bool> {
        for lower in dir.lowers() {
            if in_layer(lower.dir.stat(Path::new(name)?, Follow::No))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The directory of a layer in which `leaf` is, and its name there.
    fn with_stored<R>(&self, leaf: &Leaf, act: impl FnOnce(&dyn Dir, &Path) -> Result<R>) -> Result<R> {
        match leaf.whence {
            Whence::Upper(_) => act(&*leaf.dir.upper().ok_or(Error::NotFound)?, stored(&leaf.name)?),
            Whence::Lower { at, .. } => act(&*leaf.dir.lower(at).dir, Path::new(&leaf.name)?),
            Whence::Indexed(key) => {
                let indexed = self.ids.indexed(key).ok_or(Error::NotFound)?;
                act(&**self.upper.index()?, Path::new(&indexed.file)?)
            }
        }
    }

    pub(super) fn read_link(&self, leaf: &Leaf) -> Result<Box<[u8]>> {
        self.with_stored(leaf, |dir, name| dir.read_link(name))
    }

    /// Opens what `leaf` is in its layer.
    pub(super) fn open_stored(&self, leaf: &Leaf, options: OpenOptions) -> Result<Arc<dyn File>> {
        self.sparing(|| self.with_stored(leaf, |dir, name| dir.open(name, options)?.file()))
    }

    /// The metadata of a directory.
    pub(super) fn dir_metadata(&self, node: &DirNode) -> Result<Metadata> {
        let upper = node.upper();
        let dir = upper.as_ref().or(node.lowers().first().map(|lower| &lower.dir)).ok_or(Error::Io)?;
        let shown = self.ids.show(dir.metadata()?, node.identity);
        Ok(if node.is_removed() { Metadata { links: 0, ..shown } } else { shown })
    }

    pub(super) fn metadata(&self, found: &Found) -> Result<Metadata> {
        match found {
            Found::Dir(node) => self.dir_metadata(node),
            Found::Leaf(leaf) => Ok(leaf.shown),
        }
    }

    /// The names in `node`.
    pub(super) fn list(&self, node: &DirNode) -> Result<Listing> {
        if node.is_removed() {
            return Ok(Listing::default());
        }
        let mut entries = match node.upper() {
            Some(upper) => self.list_upper(&*upper)?,
            None => Vec::new(),
        };
        for lower in node.lowers() {
            let device = lower.dir.metadata()?.device;
            let listing = readable(lower.dir.list())?;
            self.merge(node, &mut entries, &listing, |inode| Key { layer: lower.layer, device, inode });
        }
        Ok(entries.into())
    }

    fn list_upper(&self, upper: &dyn Dir) -> Result<Vec<DirEntry>> {
        let device = upper.metadata()?.device;
        let listing = upper.list()?;
        let number = |inode| self.ids.listed_upper(Key { layer: UPPER, device, inode });
        let theirs = listing.iter().filter(|entry| &*entry.name != PRIVATE);
        let mut entries: Vec<_> =
            theirs.map(|entry| DirEntry { inode: number(entry.inode), ..entry.clone() }).collect();
        if entries.len() < listing.len()
            && let Some(raw) = if_there(upper.stat(stored(PRIVATE)?, Follow::No))?
        {
            entries.push(DirEntry { name: PRIVATE.into(), inode: number(raw.inode), kind: raw.kind });
        }
        Ok(entries)
    }

    /// Adds what `listing` of a lower has and neither the layers above nor a whiteout hide.
    fn merge(&self, node: &DirNode, entries: &mut Vec<DirEntry>, listing: &Listing, key: impl Fn(u64) -> Key) {
        let seen: HashSet<&[u8]> = entries.iter().map(|entry| &*entry.name).collect();
        let number = |entry: &DirEntry| DirEntry { inode: self.ids.number(key(entry.inode)), ..entry.clone() };
        let new: Vec<_> = node.with_hidden(|hidden| {
            let shows = |entry: &&DirEntry| !seen.contains(&*entry.name) && !hidden.contains(&entry.name);
            listing.iter().filter(shows).map(number).collect()
        });
        entries.extend(new);
    }
}

fn leaf(dir: &Arc<DirNode>, name: &[u8], whence: Whence, shown: Metadata) -> Found {
    Found::Leaf(Arc::new(Leaf { dir: dir.clone(), name: name.into(), whence, shown }))
}
