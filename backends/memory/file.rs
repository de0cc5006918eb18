//! Files and the handles on them.

use std::io::IoSlice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Attributes;
use super::content::Content;
use crate::{Access, Bytes, Error, File, FileType, Metadata, Result, SetTimes};

/// A file: lives as long as a name or a handle does.
pub(super) struct FileNode {
    pub(super) attributes: Attributes,
    /// That of the contents, so that asking for it waits for no writer.
    size: AtomicU64,
    content: RwLock<Content>,
}

impl FileNode {
    pub(super) fn new(attributes: Attributes, content: Content) -> FileNode {
        FileNode { attributes, size: AtomicU64::new(content.size()), content: RwLock::new(content) }
    }

    fn read(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Content> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn metadata(&self) -> Metadata {
        self.attributes.metadata(FileType::File, self.size.load(Ordering::Acquire), 0o644)
    }

    /// Changes the contents and the time of their change.
    fn change<T>(&self, change: impl FnOnce(&mut Content) -> Result<T>) -> Result<T> {
        let mut content = self.write();
        let result = change(&mut content);
        self.size.store(content.size(), Ordering::Release);
        if result.is_ok() {
            self.attributes.touch();
        }
        result
    }

    /// Writing nothing changes nothing, not even a time.
    fn write_unless_empty<T>(
        &self,
        buffers: &[IoSlice<'_>],
        write: impl FnOnce(&mut Content) -> Result<T>,
    ) -> Option<Result<T>> {
        buffers.iter().any(|buffer| !buffer.is_empty()).then(|| self.change(write))
    }

    pub(super) fn truncate(&self) -> Result<()> {
        self.change(|content| content.set_len(0))
    }
}

pub(super) struct MemoryFile {
    node: Arc<FileNode>,
    access: Access,
}

impl MemoryFile {
    pub(super) fn new(node: Arc<FileNode>, access: Access) -> MemoryFile {
        MemoryFile { node, access }
    }

    pub(super) fn replace(&self, bytes: Bytes) -> Result<()> {
        self.node.change(|content| content.replace(bytes))
    }

    fn readable(&self) -> Result<&FileNode> {
        if self.access.read { Ok(&self.node) } else { Err(Error::BadHandle) }
    }

    fn writable(&self) -> Result<&FileNode> {
        if self.access.write { Ok(&self.node) } else { Err(Error::BadHandle) }
    }
}

/// Writes one buffer after the other, and says how many bytes.
fn write_all(content: &mut Content, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize> {
    let mut done = 0;
    for buffer in buffers {
        match content.write(buffer, offset.saturating_add(done as u64)) {
            Ok(count) if count < buffer.len() => return Ok(done + count),
            Ok(count) => done += count,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

impl File for MemoryFile {
    fn metadata(&self) -> Result<Metadata> {
        Ok(self.node.metadata())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.readable()?.read().read(buffer, offset)
    }

    fn read_all(&self) -> Result<Bytes> {
        let node = self.readable()?;
        let joined = node.read().joined();
        joined.map_or_else(|| node.write().join(), Ok)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        self.write_vectored_at(&[IoSlice::new(bytes)], offset)
    }

    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize> {
        self.writable()?.write_unless_empty(buffers, |content| write_all(content, buffers, offset)).unwrap_or(Ok(0))
    }

    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<(usize, u64)> {
        let node = self.writable()?;
        let written = node.write_unless_empty(buffers, |content| {
            let end = content.size();
            let count = write_all(content, buffers, end)?;
            Ok((count, content.size()))
        });
        written.unwrap_or_else(|| Ok((0, node.metadata().size)))
    }

    fn set_len(&self, size: u64) -> Result<()> {
        self.writable()?.change(|content| content.set_len(size))
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        let node = self.writable()?;
        if len == 0 {
            return Err(Error::Invalid);
        }
        node.change(|content| content.allocate(offset, len))
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.node.attributes.set_times(times);
        Ok(())
    }
}
