//! The index: copies of lower files that have several names, and the count of the names that are left.
//!
//! A copy is named by the lower inode and the count, `LAYER-DEVICE-INODE-LINKS` in hexadecimal, so that the count is
//! changed by one rename. The device is nought for the layer's own, whose number need not be the same after a restart.

use super::Inner;
use super::copy_up::Copy;
use super::identity::{Identity, Indexed, Key, UPPER};
use super::node::Leaf;
use super::upper::if_there;
use crate::{Error, Follow, Path, Result};

impl Inner {
    /// Takes up the index that is in the upper.
    pub(super) fn load_index(&self) -> Result<()> {
        let Some(index) = self.upper.existing_index()? else { return Ok(()) };
        for entry in index.list()?.iter() {
            let Some((key, links)) = self.parse(&entry.name) else { continue };
            let raw = index.stat(Path::new(&entry.name)?, Follow::No)?;
            let identity = Identity { number: self.ids.number(key), mode: None };
            let indexed = Indexed { file: entry.name.clone(), links, upper: Key::new(UPPER, &raw) };
            self.ids.set_indexed(key, identity, indexed);
        }
        Ok(())
    }

    fn parse(&self, name: &[u8]) -> Option<(Key, u64)> {
        let text = std::str::from_utf8(name).ok()?;
        let mut numbers = text.split('-').map(|digits| u64::from_str_radix(digits, 16).ok());
        let mut next = || numbers.next().flatten();
        let (layer, device, inode, links) = (u32::try_from(next()?).ok()?, next()?, next()?, next()?);
        let device = if device == 0 { self.ids.root_device(layer)? } else { device };
        Some((Key { layer, device, inode }, links))
    }

    fn index_name(&self, key: Key, links: u64) -> Box<[u8]> {
        let device = if self.ids.root_device(key.layer) == Some(key.device) { 0 } else { key.device };
        format!("{:x}-{device:x}-{:x}-{links:x}", key.layer, key.inode).into_bytes().into()
    }

    /// Makes `copy` the one that every name of the lower inode `key` leads to.
    ///
    /// In an upper without hard links this does nothing: at copy-up, the name parts from the others.
    pub(super) fn add_to_index(&self, leaf: &Leaf, key: Key, copy: &Copy) -> Result<()> {
        let links = leaf.shown.links;
        let file = self.index_name(key, links);
        let temporary = &copy.temporary;
        match temporary.work.link(temporary.path()?, Follow::No, &**self.upper.index()?, Path::new(&file)?) {
            Err(Error::NotSupported) => return Ok(()),
            other => other?,
        }
        self.ids.set_indexed(key, leaf.identity(), Indexed { file, links, upper: copy.key });
        self.promote(key, copy.file.as_ref());
        Ok(())
    }

    /// Counts a name more, or one less, of the copy of `key`; without any it goes.
    pub(super) fn count_links(&self, key: Key, change: i64) -> Result<()> {
        let Some(indexed) = self.ids.indexed(key) else { return Ok(()) };
        let index = self.upper.index()?;
        let links = indexed.links.saturating_add_signed(change);
        if links == 0 {
            self.ids.forget_indexed(key);
            return if_there(index.unlink(Path::new(&indexed.file)?)).map(drop);
        }
        let file = self.index_name(key, links);
        index.rename(Path::new(&indexed.file)?, &**index, Path::new(&file)?)?;
        let upper = indexed.upper;
        self.ids.set_links(key, Indexed { file, links, upper });
        Ok(())
    }
}
