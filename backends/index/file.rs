//! File handles that any index can use.

use std::io::IoSliceMut;

use crate::{Bytes, Error, File, Metadata, Result};

/// Copies what `contents` holds from `offset` on, and says how much that was.
pub(crate) fn copy_at(contents: &[u8], buffer: &mut [u8], offset: u64) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|offset| contents.get(offset..)).unwrap_or_default();
    let count = rest.len().min(buffer.len());
    buffer[..count].copy_from_slice(&rest[..count]);
    count
}

/// Copies into several buffers in turn.
pub(crate) fn copy_vectored_at(contents: &[u8], buffers: &mut [IoSliceMut<'_>], offset: u64) -> usize {
    let mut done = 0;
    for buffer in buffers {
        done += copy_at(contents, buffer, offset.saturating_add(done as u64));
    }
    done
}

/// A file whose contents lie in memory as they are.
#[cfg(feature = "embedded")]
pub(crate) struct BytesFile {
    pub(crate) bytes: Bytes,
    pub(crate) metadata: Metadata,
}

#[cfg(feature = "embedded")]
impl File for BytesFile {
    fn metadata(&self) -> Result<Metadata> {
        Ok(self.metadata)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        Ok(copy_at(&self.bytes, buffer, offset))
    }

    fn read_vectored_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
        Ok(copy_vectored_at(&self.bytes, buffers, offset))
    }

    fn read_all(&self) -> Result<Bytes> {
        Ok(self.bytes.clone())
    }
}

/// A file that was not opened for reading: good for its metadata alone.
pub(super) struct Unreadable(pub(super) Metadata);

impl File for Unreadable {
    fn metadata(&self) -> Result<Metadata> {
        Ok(self.0)
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> Result<usize> {
        Err(Error::BadHandle)
    }

    fn read_all(&self) -> Result<Bytes> {
        Err(Error::BadHandle)
    }
}
