//! Handles on directories.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Shared;
use super::content::Content;
use super::file::{FileNode, MemoryFile};
use super::quota::Charge;
use super::space::{Child, DirId, Found, LinkNode, ROOT, Space, Spot};
use crate::resolve::{Entry, Place};
use crate::{Dir, Error, Follow, Listing, Metadata, Node, OpenOptions, PATH_MAX, Path, Result, SetTimes};

/// A handle: keeps the directory's place in the table.
pub(super) struct MemoryDir {
    shared: Arc<Shared>,
    id: DirId,
}

/// What was opened, as our own.
pub(super) enum Opened {
    File(MemoryFile),
    Dir(MemoryDir),
}

impl MemoryDir {
    pub(super) fn root(shared: Arc<Shared>) -> Arc<MemoryDir> {
        let dir = MemoryDir::new(&shared, &shared.read(), ROOT);
        Arc::new(dir)
    }

    /// A handle on a directory that has a name or a handle as long as `space` is held.
    fn new(shared: &Arc<Shared>, space: &Space, id: DirId) -> MemoryDir {
        space.dir(id).handles.fetch_add(1, Ordering::Relaxed);
        MemoryDir { shared: Arc::clone(shared), id }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The other handle as one of ours on the same file system.
    fn own<'d>(&self, other: &'d dyn Dir) -> Result<&'d MemoryDir> {
        let own = other.as_any().downcast_ref::<MemoryDir>();
        own.filter(|own| Arc::ptr_eq(&own.shared, &self.shared)).ok_or(Error::CrossDevice)
    }

    pub(super) fn open_own(&self, path: &Path, options: OpenOptions) -> Result<Opened> {
        options.validate()?;
        {
            let space = self.shared.read();
            if !options.creates() {
                return self.admit(&space, space.resolve(self.id, path, options.follow)?, options);
            }
            if let Ok(found) = self.place_to_create(&space, path, options)? {
                return self.admit(&space, found, options);
            }
        }
        self.create(path, options)
    }

    /// What is there already, or the spot to make it at.
    fn place_to_create<'s, 'p>(
        &self,
        space: &'s Space,
        path: &'p Path,
        options: OpenOptions,
    ) -> Result<Result<Found<'s>, Spot<'p>>> {
        match space.place(self.id, path, options.follow_last())? {
            Place::Dot(found) | Place::DotDot(found) => Ok(Ok(found)),
            Place::Name(Entry { slash: true, .. }) => Err(Error::IsDirectory),
            Place::Name(Entry { node: Some(found), .. }) => Ok(Ok(found)),
            Place::Name(entry) => Spot::new(entry).map(Err),
        }
    }

    fn create(&self, path: &Path, options: OpenOptions) -> Result<Opened> {
        let mut space = self.shared.write();
        let spot = match self.place_to_create(&space, path, options)? {
            Ok(found) => return self.admit(&space, found, options),
            Err(spot) => spot,
        };
        space.check_linked(spot.dir)?;
        let content = Content::new(Charge::nothing(&self.shared.quota));
        let node = Arc::new(FileNode::new(self.shared.attributes()?, content));
        space.attach(spot.dir, &spot.name, Child::File(Arc::clone(&node)));
        Ok(Opened::File(MemoryFile::new(node, options.access)))
    }

    /// Opens what is there.
    fn admit(&self, space: &Space, found: Found<'_>, options: OpenOptions) -> Result<Opened> {
        options.admit(found.kind())?;
        match found {
            Found::Dir(id) => Ok(Opened::Dir(MemoryDir::new(&self.shared, space, id))),
            Found::Link(_) => Err(Error::Loop),
            Found::File(node) => {
                if options.truncate {
                    node.truncate()?;
                }
                Ok(Opened::File(MemoryFile::new(Arc::clone(node), options.access)))
            }
        }
    }

    /// The place of a name that is made or removed.
    fn spot<'p>(&self, space: &Space, path: &'p Path, dot: Error, dotdot: Error) -> Result<Spot<'p>> {
        Spot::new(space.place(self.id, path, Follow::No)?.entry(dot, dotdot)?)
    }

    /// The place of a name that is to be new.
    fn new_name<'p>(&self, space: &Space, path: &'p Path) -> Result<Spot<'p>> {
        let spot = self.spot(space, path, Error::Exists, Error::Exists)?;
        if spot.child.is_some() {
            return Err(Error::Exists);
        }
        Ok(spot)
    }

    /// The place of a name that is to be new and not a directory's.
    fn new_plain_name<'p>(&self, space: &Space, path: &'p Path) -> Result<Spot<'p>> {
        let spot = self.new_name(space, path)?;
        if spot.slash {
            return Err(Error::NotFound);
        }
        space.check_linked(spot.dir)?;
        Ok(spot)
    }
}

impl Drop for MemoryDir {
    fn drop(&mut self) {
        let last = |space: &Space| {
            let dir = space.dir(self.id);
            dir.handles.fetch_sub(1, Ordering::Relaxed) == 1 && dir.is_unlinked()
        };
        if last(&self.shared.read()) {
            self.shared.write().release(self.id);
        }
    }
}

impl Dir for MemoryDir {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        self.open_own(path, options).map(Node::from)
    }

    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata> {
        let space = self.shared.read();
        Ok(space.metadata(space.resolve(self.id, path, follow)?))
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(self.shared.read().dir(self.id).metadata())
    }

    fn list(&self) -> Result<Listing> {
        Ok(self.shared.read().list(self.id))
    }

    fn read_link(&self, path: &Path) -> Result<Box<[u8]>> {
        match self.shared.read().resolve(self.id, path, Follow::No)? {
            Found::Link(link) => Ok(link.target().into()),
            _ => Err(Error::Invalid),
        }
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let mut space = self.shared.write();
        let spot = self.new_name(&space, path)?;
        space.check_linked(spot.dir)?;
        let id = space.new_dir(self.shared.attributes()?);
        space.attach(spot.dir, &spot.name, Child::Dir(id));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        let mut space = self.shared.write();
        let spot = self.spot(&space, path, Error::Invalid, Error::NotEmpty)?;
        match spot.child.ok_or(Error::NotFound)? {
            Child::Dir(id) if space.is_empty(id) => space.remove(spot.dir, &spot.name, &self.shared.quota),
            Child::Dir(_) => Err(Error::NotEmpty),
            _ => Err(Error::NotDirectory),
        }
    }

    fn unlink(&self, path: &Path) -> Result<()> {
        let mut space = self.shared.write();
        let spot = self.spot(&space, path, Error::IsDirectory, Error::IsDirectory)?;
        match spot.child.ok_or(Error::NotFound)? {
            Child::Dir(_) => Err(Error::IsDirectory),
            _ if spot.slash => Err(Error::NotDirectory),
            _ => space.remove(spot.dir, &spot.name, &self.shared.quota),
        }
    }

    fn symlink(&self, target: &[u8], path: &Path) -> Result<()> {
        match target.len() {
            0 => return Err(Error::NotFound),
            length if length > PATH_MAX => return Err(Error::NameTooLong),
            _ if target.contains(&0) => return Err(Error::Invalid),
            _ => {}
        }
        let mut space = self.shared.write();
        let spot = self.new_plain_name(&space, path)?;
        let link = LinkNode::new(self.shared.attributes()?, target, &self.shared.quota)?;
        space.attach(spot.dir, &spot.name, Child::Link(Arc::new(link)));
        Ok(())
    }

    fn link(&self, from: &Path, follow: Follow, target: &dyn Dir, to: &Path) -> Result<()> {
        let target = self.own(target)?;
        let mut space = self.shared.write();
        let child = space.resolve(self.id, from, follow)?.to_child();
        let spot = target.new_plain_name(&space, to)?;
        child.add_name(&self.shared.quota)?;
        space.attach(spot.dir, &spot.name, child);
        Ok(())
    }

    fn rename(&self, from: &Path, target: &dyn Dir, to: &Path) -> Result<()> {
        let target = self.own(target)?;
        let mut space = self.shared.write();
        let (source, goal) = (space.place(self.id, from, Follow::No)?, space.place(target.id, to, Follow::No)?);
        let source = Spot::new(source.entry(Error::Busy, Error::Busy)?)?;
        let goal = Spot::new(goal.entry(Error::Busy, Error::Busy)?)?;
        let moved = source.child.as_ref().ok_or(Error::NotFound)?;
        space.check_linked(goal.dir)?;
        if !moves(&space, moved, &source, &goal)? {
            return Ok(());
        }
        if goal.child.is_some() {
            space.remove(goal.dir, &goal.name, &self.shared.quota)?;
        }
        let moved = space.detach(source.dir, &source.name)?;
        space.attach(goal.dir, &goal.name, moved);
        Ok(())
    }

    fn set_times(&self, path: &Path, follow: Follow, times: SetTimes) -> Result<()> {
        let space = self.shared.read();
        space.attributes(space.resolve(self.id, path, follow)?).set_times(times);
        Ok(())
    }

    fn set_own_times(&self, times: SetTimes) -> Result<()> {
        self.shared.read().dir(self.id).attributes.set_times(times);
        Ok(())
    }
}

/// Whether a rename moves anything, checked in Linux' order; two names of one object stay as they are.
fn moves(space: &Space, moved: &Child, source: &Spot<'_>, goal: &Spot<'_>) -> Result<bool> {
    match moved {
        Child::Dir(id) if space.within(goal.dir, *id) => return Err(Error::Invalid),
        Child::Dir(_) => {}
        _ if source.slash || goal.slash => return Err(Error::NotDirectory),
        _ => {}
    }
    match (moved, &goal.child) {
        (_, Some(Child::Dir(above))) if space.within(source.dir, *above) => Err(Error::NotEmpty),
        (_, Some(there)) if there.same(moved) => Ok(false),
        (Child::Dir(_), Some(Child::Dir(there))) if !space.is_empty(*there) => Err(Error::NotEmpty),
        (Child::Dir(_), Some(Child::File(_) | Child::Link(_))) => Err(Error::NotDirectory),
        (Child::File(_) | Child::Link(_), Some(Child::Dir(_))) => Err(Error::IsDirectory),
        _ => Ok(true),
    }
}
