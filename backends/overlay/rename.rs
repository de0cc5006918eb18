//! Rename.

use std::sync::Arc;

use super::copy_up::Contents;
use super::mutate::Spot;
use super::node::{DirNode, Found, Leaf};
use super::upper::{changed, keeping_times, make_room, stored};
use super::{Inner, write};
use crate::{Dir, Error, Result};

/// The two ends in the upper.
struct Ends {
    from: Arc<dyn Dir>,
    to: Arc<dyn Dir>,
}

impl Inner {
    /// Moves `from` to `to`. Called with `mutation` held.
    ///
    /// # Errors
    /// As Linux answers, in its order.
    pub(super) fn rename(&self, from: &Spot<'_>, to: &Spot<'_>) -> Result<()> {
        let moved = from.node.clone().ok_or(Error::NotFound)?;
        if to.dir.is_removed() {
            return Err(Error::NotFound);
        }
        match (moved, &to.node) {
            (Found::Dir(node), None) => {
                self.check_tree(&node, from, to)?;
                self.rename_dir(from, to, &node, None)
            }
            (Found::Dir(node), Some(Found::Dir(target))) => {
                self.check_tree(&node, from, to)?;
                self.rename_onto_dir(from, to, &node, target)
            }
            (Found::Dir(node), Some(Found::Leaf(_))) => {
                self.check_tree(&node, from, to)?;
                Err(Error::NotDirectory)
            }
            (Found::Leaf(_), _) if from.slash || to.slash => Err(Error::NotDirectory),
            (Found::Leaf(_), Some(Found::Dir(target))) => {
                Err(if target.holds(&from.dir) { Error::NotEmpty } else { Error::IsDirectory })
            }
            (Found::Leaf(leaf), Some(Found::Leaf(target))) if leaf.shown.inode == target.shown.inode => Ok(()),
            (Found::Leaf(leaf), Some(Found::Leaf(target))) => self.rename_leaf(from, to, leaf, Some(target)),
            (Found::Leaf(leaf), None) => self.rename_leaf(from, to, leaf, None),
        }
    }

    fn check_tree(&self, node: &Arc<DirNode>, from: &Spot<'_>, to: &Spot<'_>) -> Result<()> {
        match &to.node {
            _ if node.holds(&to.dir) => Err(Error::Invalid),
            Some(Found::Dir(target)) if target.holds(&from.dir) => Err(Error::NotEmpty),
            _ => Ok(()),
        }
    }

    fn ends(&self, from: &Spot<'_>, to: &Spot<'_>) -> Result<Ends> {
        let ends = Ends { from: self.copy_up_dir(&from.dir)?, to: self.copy_up_dir(&to.dir)? };
        make_room(&*ends.to, &to.name)?;
        Ok(ends)
    }

    /// The one step that moves what is in the upper, the source's place hidden.
    fn move_upper(&self, ends: &Ends, from: &Spot<'_>, to: &Spot<'_>) -> Result<()> {
        self.hide_lowers(&from.dir, &*ends.from, &from.name)?;
        ends.from.rename(stored(&from.name)?, &*ends.to, stored(&to.name)?)?;
        changed(&*ends.from, &from.name);
        changed(&*ends.to, &to.name);
        Ok(())
    }

    /// A file of the upper hides what the lowers have at its new name; a whiteout comes when it is removed.
    fn rename_leaf(&self, from: &Spot<'_>, to: &Spot<'_>, leaf: Arc<Leaf>, target: Option<&Arc<Leaf>>) -> Result<()> {
        let ends = self.ends(from, to)?;
        self.copied_up(leaf, Contents::Whole)?;
        target.map_or(Ok(()), |target| self.before_removal(target))?;
        let _commit = write(&self.topology);
        self.move_upper(&ends, from, to)?;
        target.map_or(Ok(()), |target| self.after_removal(target))
    }

    fn rename_onto_dir(
        &self,
        from: &Spot<'_>,
        to: &Spot<'_>,
        node: &Arc<DirNode>,
        target: &Arc<DirNode>,
    ) -> Result<()> {
        if Arc::ptr_eq(node, target) {
            return Ok(());
        }
        if !self.list(target)?.is_empty() {
            return Err(Error::NotEmpty);
        }
        self.rename_dir(from, to, node, Some(target))
    }

    fn rename_dir(
        &self,
        from: &Spot<'_>,
        to: &Spot<'_>,
        node: &Arc<DirNode>,
        target: Option<&Arc<DirNode>>,
    ) -> Result<()> {
        let ends = self.ends(from, to)?;
        let upper = self.copy_up_dir(node)?;
        target.map_or(Ok(()), |target| self.copy_up_dir(target).map(drop))?;
        let _commit = write(&self.topology);
        self.carry_lowers(node, &*upper)?;
        let replaced = target.map(|target| self.bare(to, &*ends.to, target)).transpose()?;
        self.move_upper(&ends, from, to)?;
        if let (Some(target), Some(key)) = (target, replaced) {
            self.ids.forget(key);
            target.remove();
        }
        node.move_to(&to.dir, &to.name);
        Ok(())
    }

    /// No contents are copied: a directory that merges with lower ones takes their path along.
    fn carry_lowers(&self, node: &Arc<DirNode>, upper: &dyn Dir) -> Result<()> {
        if !node.lowers().is_empty() && !node.is_redirected() {
            let path = node.lower_path();
            keeping_times(upper, || self.upper.redirect(upper, &path))?;
            node.set_redirect(path.into());
        }
        Ok(())
    }
}
