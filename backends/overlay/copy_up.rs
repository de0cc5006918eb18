//! Copy-up: how what is in a lower comes to be in the upper.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::identity::{Key, Live, UPPER};
use super::node::{DirNode, Found, Leaf, Whence};
use super::upper::{DIRECTORY, NEW, PLAIN, Temporary, keeping_times, make_room, nonzero, stored, times_of};
use super::{Inner, lock, write};
use crate::{Dir, Error, File, FileType, Follow, Path, Result};

/// How much is copied at a time.
const CHUNK: usize = 128 << 10;

/// What of a file is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    Whole,
    /// It is about to be emptied.
    None,
}

/// A finished copy that has no place yet.
pub(super) struct Copy {
    pub(super) temporary: Temporary,
    pub(super) key: Key,
    /// Open for reading and writing, if it is a file.
    pub(super) file: Option<Arc<dyn File>>,
}

impl Inner {
    /// The upper directory of `node`, which is made, after those above it, where there is none.
    pub(super) fn copy_up_dir(&self, node: &Arc<DirNode>) -> Result<Arc<dyn Dir>> {
        let mut missing = Vec::new();
        let mut at = node.clone();
        let mut upper = loop {
            if let Some(upper) = at.upper() {
                break upper;
            }
            let Some((parent, name)) = at.place() else { return self.orphan(&at) };
            missing.push((at, name));
            at = parent;
        };
        while let Some((node, name)) = missing.pop() {
            upper = self.make_upper(&node, &name, &*upper)?;
        }
        Ok(upper)
    }

    fn make_upper(&self, node: &DirNode, name: &[u8], parent: &dyn Dir) -> Result<Arc<dyn Dir>> {
        let (temporary, upper) = self.copy_dir(node)?;
        let key = Key::new(UPPER, &upper.metadata()?);
        make_room(parent, name)?;
        let _commit = write(&self.topology);
        keeping_times(parent, || temporary.publish(parent, stored(name)?))?;
        self.ids.adopt(key, node.identity);
        node.set_upper(upper.clone());
        Ok(upper)
    }

    /// The upper directory of `node`, whose name is gone: one without a name, where there is none.
    fn orphan(&self, node: &DirNode) -> Result<Arc<dyn Dir>> {
        let (_, upper) = self.copy_dir(node)?;
        node.set_upper(upper.clone());
        Ok(upper)
    }

    fn copy_dir(&self, node: &DirNode) -> Result<(Temporary, Arc<dyn Dir>)> {
        let lower = node.lowers().first().ok_or(Error::Io)?.dir.metadata()?;
        let temporary = self.upper.temporary()?;
        temporary.work.create_dir(temporary.path()?)?;
        let upper = self.sparing(|| temporary.work.open(temporary.path()?, DIRECTORY)?.dir())?;
        upper.set_own_times(times_of(&lower))?;
        Ok((temporary, upper))
    }

    /// Sees to it that `leaf` has its name in the upper.
    pub(super) fn copy_up(&self, leaf: &Leaf, contents: Contents) -> Result<()> {
        match leaf.whence {
            Whence::Upper(_) => Ok(()),
            Whence::Indexed(key) => self.copy_up_indexed(leaf, key),
            Whence::Lower { key, .. } => self.copy_up_lower(leaf, key, contents),
        }
    }

    /// The same, and what is there then.
    pub(super) fn copied_up(&self, leaf: Arc<Leaf>, contents: Contents) -> Result<Arc<Leaf>> {
        if let Whence::Upper(_) = leaf.whence {
            return Ok(leaf);
        }
        self.copy_up(&leaf, contents)?;
        self.find(&leaf.dir, &leaf.name)?.ok_or(Error::Io).and_then(Found::leaf)
    }

    fn copy_up_indexed(&self, leaf: &Leaf, key: Key) -> Result<()> {
        let upper = self.copy_up_dir(&leaf.dir)?;
        make_room(&*upper, &leaf.name)?;
        let indexed = self.ids.indexed(key).ok_or(Error::Io)?;
        let index = self.upper.index()?;
        let _commit = write(&self.topology);
        keeping_times(&*upper, || index.link(Path::new(&indexed.file)?, Follow::No, &*upper, stored(&leaf.name)?))
    }

    fn copy_up_lower(&self, leaf: &Leaf, key: Key, contents: Contents) -> Result<()> {
        let upper = self.copy_up_dir(&leaf.dir)?;
        let copy = self.copy(leaf, None, contents)?;
        make_room(&*upper, &leaf.name)?;
        let _commit = write(&self.topology);
        if leaf.shown.links > 1 {
            self.add_to_index(leaf, key, &copy)?;
        }
        keeping_times(&*upper, || copy.temporary.publish(&*upper, stored(&leaf.name)?))?;
        if leaf.shown.links <= 1 {
            self.ids.adopt(copy.key, leaf.identity());
        }
        self.promote(key, copy.file.as_ref());
        Ok(())
    }

    /// Copies a lower file of several names into the index alone, so that its names can be counted.
    pub(super) fn copy_to_index(&self, leaf: &Leaf, key: Key) -> Result<()> {
        let copy = self.copy(leaf, None, Contents::Whole)?;
        let _commit = write(&self.topology);
        self.add_to_index(leaf, key, &copy)
    }

    /// Lets every handle on the lower file `key` go by its copy from now on.
    pub(super) fn promote(&self, key: Key, copy: Option<&Arc<dyn File>>) {
        if let (Some(live), Some(file)) = (self.ids.live(key), copy) {
            _ = live.copy.set(file.clone());
        }
    }

    /// The copy behind a handle on the lower file `own`, which was opened as `leaf`. It is made if need be, without
    /// a name where the file has none any more.
    pub(super) fn copy_up_live(&self, live: &Live, leaf: &Leaf, own: &Arc<dyn File>) -> Result<Arc<dyn File>> {
        let _turn = lock(&self.mutation);
        if live.copy.get().is_none() && live.unlinked.load(Ordering::Acquire) {
            let copy = self.copy(leaf, Some(own), Contents::Whole)?;
            _ = live.copy.set(copy.file.ok_or(Error::Io)?);
        } else if live.copy.get().is_none() {
            self.copy_up(leaf, Contents::Whole)?;
        }
        live.copy.get().cloned().ok_or(Error::Io)
    }

    fn copy(&self, leaf: &Leaf, own: Option<&Arc<dyn File>>, contents: Contents) -> Result<Copy> {
        let temporary = self.upper.temporary()?;
        match leaf.shown.kind {
            FileType::File => self.copy_file(temporary, leaf, own, contents),
            FileType::Symlink => self.copy_link(temporary, leaf),
            _ => Err(Error::NotSupported),
        }
    }

    fn copy_link(&self, temporary: Temporary, leaf: &Leaf) -> Result<Copy> {
        let (work, path) = (&temporary.work, temporary.path()?);
        work.symlink(&self.read_link(leaf)?, path)?;
        work.set_times(path, Follow::No, times_of(&leaf.shown))?;
        let key = Key::new(UPPER, &work.stat(path, Follow::No)?);
        Ok(Copy { temporary, key, file: None })
    }

    fn copy_file(
        &self,
        temporary: Temporary,
        leaf: &Leaf,
        own: Option<&Arc<dyn File>>,
        contents: Contents,
    ) -> Result<Copy> {
        let copy = self.sparing(|| temporary.work.open(temporary.path()?, NEW)?.file())?;
        if contents == Contents::Whole {
            let source = match own {
                Some(own) => own.clone(),
                None => self.open_stored(leaf, PLAIN)?,
            };
            copy_contents(&*source, &*copy)?;
            copy.set_times(times_of(&leaf.shown))?;
            copy.sync(true)?;
        }
        let key = Key::new(UPPER, &copy.metadata()?);
        Ok(Copy { temporary, key, file: Some(copy) })
    }
}

/// Copies everything; stretches of zeros stay holes.
fn copy_contents(from: &dyn File, to: &dyn File) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let count = from.read_at(&mut buffer, offset)?;
        if count == 0 {
            return to.set_len(offset);
        }
        if buffer[..count].iter().any(|&byte| byte != 0) {
            write_all(to, &buffer[..count], offset)?;
        }
        offset += count as u64;
    }
}

fn write_all(to: &dyn File, bytes: &[u8], offset: u64) -> Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        done += nonzero(to.write_at(&bytes[done..], offset + done as u64)?)?;
    }
    Ok(())
}
