//! What makes and removes names. Each takes its turn under the overlay's `mutation` lock, which its caller holds.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::copy_up::Contents;
use super::file::OverlayFile;
use super::identity::{Key, UPPER};
use super::node::{DirNode, Found, Leaf, Whence};
use super::upper::{changed, clear_marks, hide, make_room, stored, touch};
use super::{Inner, write};
use crate::resolve::Entry;
use crate::{Dir, Error, FileType, Follow, OpenOptions, Result, SetTimes};

/// A name in a directory, and what has it.
pub(super) struct Spot<'p> {
    pub(super) dir: Arc<DirNode>,
    pub(super) name: std::borrow::Cow<'p, [u8]>,
    pub(super) node: Option<Found>,
    pub(super) slash: bool,
}

impl<'p> Spot<'p> {
    pub(super) fn new(entry: Entry<'p, Found>) -> Result<Spot<'p>> {
        Ok(Spot { dir: entry.dir.dir()?, name: entry.name, node: entry.node, slash: entry.slash })
    }

    /// Checks that a new name can be made here; with `slash` it may be that of a directory only.
    pub(super) fn vacant(&self, directory: bool) -> Result<()> {
        match &self.node {
            Some(_) => Err(Error::Exists),
            None if self.slash && !directory || self.dir.is_removed() => Err(Error::NotFound),
            None => Ok(()),
        }
    }
}

impl Inner {
    /// Does `act` to the place of `spot` in the upper, where readers see all of it or nothing.
    fn make<R>(&self, spot: &Spot<'_>, act: impl FnOnce(&dyn Dir) -> Result<R>) -> Result<R> {
        let upper = self.copy_up_dir(&spot.dir)?;
        make_room(&*upper, &spot.name)?;
        let _commit = write(&self.topology);
        let made = act(&*upper)?;
        changed(&*upper, &spot.name);
        Ok(made)
    }

    pub(super) fn create_file(self: &Arc<Self>, spot: &Spot<'_>, options: OpenOptions) -> Result<OverlayFile> {
        let options = OpenOptions { create: crate::Create::New, follow: Follow::No, ..options };
        let file = self.make(spot, |upper| self.sparing(|| upper.open(stored(&spot.name)?, options)?.file()))?;
        Ok(OverlayFile::direct(self.clone(), options.access, None, file))
    }

    /// Where a whiteout is, it stays, and the directory merges with nothing.
    pub(super) fn create_dir(&self, spot: &Spot<'_>) -> Result<()> {
        self.make(spot, |upper| upper.create_dir(stored(&spot.name)?))
    }

    pub(super) fn symlink(&self, target: &[u8], spot: &Spot<'_>) -> Result<()> {
        self.make(spot, |upper| upper.symlink(target, stored(&spot.name)?))
    }

    pub(super) fn link(&self, leaf: Arc<Leaf>, spot: &Spot<'_>) -> Result<()> {
        let leaf = self.copied_up(leaf, Contents::Whole)?;
        let Whence::Upper(key) = leaf.whence else { return Err(Error::Io) };
        let from = leaf.dir.upper().ok_or(Error::Io)?;
        self.make(spot, |upper| from.link(stored(&leaf.name)?, Follow::No, upper, stored(&spot.name)?))?;
        self.ids.index_of(key).map_or(Ok(()), |index| self.count_links(index, 1))
    }

    pub(super) fn set_times_at(&self, found: Found, times: SetTimes) -> Result<()> {
        match found {
            Found::Dir(node) => self.set_dir_times(&node, times),
            Found::Leaf(leaf) => {
                let leaf = self.copied_up(leaf, Contents::Whole)?;
                let upper = leaf.dir.upper().ok_or(Error::Io)?;
                upper.set_times(stored(&leaf.name)?, Follow::No, times)
            }
        }
    }

    pub(super) fn set_dir_times(&self, node: &Arc<DirNode>, times: SetTimes) -> Result<()> {
        self.copy_up_dir(node)?.set_own_times(times)
    }

    /// Hides what the lowers have at `name`, if anything. Called with `topology` written.
    pub(super) fn hide_lowers(&self, dir: &DirNode, upper: &dyn Dir, name: &[u8]) -> Result<()> {
        if !dir.hides(name) && self.lowers_have(dir, name)? {
            hide(upper, name)?;
            dir.set_hidden(name);
        }
        Ok(())
    }

    pub(super) fn unlink(&self, leaf: &Leaf) -> Result<()> {
        let upper = self.copy_up_dir(&leaf.dir)?;
        self.before_removal(leaf)?;
        let _commit = write(&self.topology);
        self.hide_lowers(&leaf.dir, &*upper, &leaf.name)?;
        match leaf.whence {
            Whence::Upper(_) => {
                upper.unlink(stored(&leaf.name)?)?;
                changed(&*upper, &leaf.name);
            }
            _ => touch(&*upper),
        }
        self.after_removal(leaf)
    }

    /// What is to be done before `leaf` loses its name: from now on the names that are left are counted.
    pub(super) fn before_removal(&self, leaf: &Leaf) -> Result<()> {
        match leaf.whence {
            Whence::Lower { key, .. } if leaf.shown.links > 1 && can_be_copied(leaf) => self.copy_to_index(leaf, key),
            _ => Ok(()),
        }
    }

    /// What is to be done after `leaf` has lost its name.
    pub(super) fn after_removal(&self, leaf: &Leaf) -> Result<()> {
        match leaf.whence {
            Whence::Upper(key) => match self.ids.index_of(key) {
                Some(index) => self.count_links(index, -1)?,
                None if leaf.shown.links <= 1 => self.ids.forget(key),
                None => {}
            },
            Whence::Indexed(key) => self.count_links(key, -1)?,
            Whence::Lower { key, .. } if leaf.shown.links > 1 => self.count_links(key, -1)?,
            Whence::Lower { key, .. } => {
                if let Some(live) = self.ids.live(key) {
                    live.unlinked.store(true, Ordering::Release);
                }
            }
        }
        Ok(())
    }

    pub(super) fn remove_dir(&self, spot: &Spot<'_>, node: &Arc<DirNode>) -> Result<()> {
        if !self.list(node)?.is_empty() {
            return Err(Error::NotEmpty);
        }
        let parent = self.copy_up_dir(&spot.dir)?;
        let _commit = write(&self.topology);
        match node.upper() {
            Some(_) => {
                let key = self.bare(spot, &*parent, node)?;
                parent.remove_dir(stored(&spot.name)?)?;
                changed(&*parent, &spot.name);
                self.ids.forget(key);
            }
            None => {
                self.hide_lowers(&spot.dir, &*parent, &spot.name)?;
                touch(&*parent);
            }
        }
        node.remove();
        Ok(())
    }

    /// Makes the empty directory `node` one that the upper can remove or replace: hidden, so that it merges with
    /// nothing, and then without marks. Says which object of the upper it is.
    pub(super) fn bare(&self, spot: &Spot<'_>, parent: &dyn Dir, node: &DirNode) -> Result<Key> {
        let upper = node.upper().ok_or(Error::Io)?;
        let key = Key::new(UPPER, &upper.metadata()?);
        self.hide_lowers(&spot.dir, parent, &spot.name)?;
        node.set_opaque();
        clear_marks(&*upper)?;
        Ok(key)
    }
}

fn can_be_copied(leaf: &Leaf) -> bool {
    matches!(leaf.shown.kind, FileType::File | FileType::Symlink)
}
