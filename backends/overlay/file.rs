//! File handles.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Inner;
use super::identity::{Identity, Key, Live};
use super::node::Leaf;
use crate::{Access, Bytes, Error, File, Metadata, Result, SetTimes};

/// A handle on a file of an overlay.
pub(super) struct OverlayFile {
    overlay: Arc<Inner>,
    access: Access,
    /// What it was opened as; nothing for what the upper alone knows.
    identity: Option<Identity>,
    own: Arc<dyn File>,
    lower: Option<Lower>,
}

/// What a handle on a lower file has besides it. It cannot write: writing copies up before the handle is made.
struct Lower {
    live: Arc<Live>,
    leaf: Arc<Leaf>,
}

impl OverlayFile {
    /// A handle that stays with `own`.
    pub(super) fn direct(
        overlay: Arc<Inner>,
        access: Access,
        identity: Option<Identity>,
        own: Arc<dyn File>,
    ) -> OverlayFile {
        OverlayFile { overlay, access, identity, own, lower: None }
    }

    /// A handle on the lower file `own` that goes over to its copy as soon as there is one.
    pub(super) fn lower(
        overlay: Arc<Inner>,
        access: Access,
        leaf: Arc<Leaf>,
        key: Key,
        own: Arc<dyn File>,
    ) -> OverlayFile {
        let live = overlay.ids.open_lower(key);
        let identity = Some(leaf.identity());
        OverlayFile { overlay, access, identity, own, lower: Some(Lower { live, leaf }) }
    }

    fn copy(&self) -> Option<&Arc<dyn File>> {
        self.lower.as_ref()?.live.copy.get()
    }

    fn readable(&self) -> Result<&dyn File> {
        match self.copy() {
            Some(_) if !self.access.read => Err(Error::BadHandle),
            Some(copy) => Ok(&**copy),
            None => Ok(&*self.own),
        }
    }

    fn writable(&self) -> Result<&dyn File> {
        if self.lower.is_some() { Err(Error::BadHandle) } else { Ok(&*self.own) }
    }
}

impl File for OverlayFile {
    fn metadata(&self) -> Result<Metadata> {
        let ids = &self.overlay.ids;
        match (&self.lower, self.copy()) {
            (Some(lower), None) => {
                let shown = ids.show(self.own.metadata()?, lower.leaf.identity());
                let unlinked = lower.live.unlinked.load(Ordering::Acquire);
                Ok(Metadata { links: if unlinked { 0 } else { shown.links }, ..shown })
            }
            (_, copy) => {
                let raw = copy.unwrap_or(&self.own).metadata()?;
                Ok(ids.show_upper(raw, self.identity.unwrap_or_else(|| ids.of_upper(&raw))))
            }
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.readable()?.read_at(buffer, offset)
    }

    fn read_vectored_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
        self.readable()?.read_vectored_at(buffers, offset)
    }

    fn read_all(&self) -> Result<Bytes> {
        self.readable()?.read_all()
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        self.writable()?.write_at(bytes, offset)
    }

    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize> {
        self.writable()?.write_vectored_at(buffers, offset)
    }

    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<(usize, u64)> {
        self.writable()?.append(buffers)
    }

    fn set_len(&self, size: u64) -> Result<()> {
        self.writable()?.set_len(size)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.writable()?.allocate(offset, len)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        match &self.lower {
            Some(lower) => self.overlay.copy_up_live(&lower.live, &lower.leaf, &self.own)?.set_times(times),
            None => self.own.set_times(times),
        }
    }

    fn sync(&self, metadata: bool) -> Result<()> {
        match self.copy() {
            Some(copy) => copy.sync(metadata),
            None if self.lower.is_some() => Ok(()),
            None => self.own.sync(metadata),
        }
    }
}
