//! Handles on files.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::buffer::spare_capacity;
use rustix::fs::{FallocateFlags, SeekFrom, fstat};
use rustix::io::{Errno, ReadWriteFlags};

use super::Manner;
use super::convert::{failed, metadata, timestamps};
use super::often::Often;
use crate::{Access, Bytes, Error, File, FileType, Metadata, Result, SetTimes, mapped};

/// The largest file that [`File::read_all`] copies; a larger one is [`Error::TooLarge`] unless it is mapped.
pub const READ_ALL_MAX: u64 = 1 << 30;

/// From this size on, a mapping costs less than a copy.
const MAP_MIN: u64 = 64 << 10;

/// How many buffers one system call takes (`IOV_MAX`).
const BUFFERS_MAX: usize = 1024;

/// The largest size of a file, and the largest offset.
const SIZE_MAX: u64 = i64::MAX as u64;

pub(super) struct DiskFile {
    fd: OwnedFd,
    access: Access,
    manner: Manner,
    often: Often,
    /// Held while appending, since where that ended is told by the descriptor's one position.
    appending: Mutex<()>,
}

/// Calls again while a signal gets in between.
fn retried<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other.map_err(failed),
        }
    }
}

/// Checks that `length` bytes fit behind `offset`.
fn in_range(offset: u64, length: u64) -> Result<()> {
    match offset.checked_add(length) {
        Some(end) if end <= SIZE_MAX => Ok(()),
        _ => Err(Error::TooLarge),
    }
}

impl DiskFile {
    pub(super) fn new(fd: OwnedFd, access: Access, manner: Manner) -> DiskFile {
        DiskFile { fd, access, manner, often: Often::new(), appending: Mutex::new(()) }
    }

    fn readable(&self) -> Result<&OwnedFd> {
        if self.access.read { Ok(&self.fd) } else { Err(Error::BadHandle) }
    }

    fn writable(&self) -> Result<&OwnedFd> {
        match self.manner.write {
            false => Err(Error::ReadOnly),
            true if self.access.write => Ok(&self.fd),
            true => Err(Error::BadHandle),
        }
    }

    /// Copies from the start to the end, wherever that is by then: `size` is only a hint (of files in `/proc` it is 0, and the
    /// file may have changed since). The room for one byte more lets the end show itself in the same call.
    fn copy(&self, size: u64) -> Result<Bytes> {
        let mut bytes = Vec::new();
        let mut room = usize::try_from(size).map_err(|_| Error::TooLarge)? + 1;
        loop {
            bytes.try_reserve_exact(room).map_err(|_| Error::NoMemory)?;
            let at = bytes.len() as u64;
            let count = retried(|| rustix::io::pread(&self.fd, spare_capacity(&mut bytes), at))?;
            let length = bytes.len() as u64;
            if length > READ_ALL_MAX {
                return Err(Error::TooLarge);
            }
            if count == 0 || size > 0 && length == size {
                return Ok(bytes.into());
            }
            room = bytes.len().max(4096);
        }
    }
}

/// The bytes of all buffers.
fn total<B: std::ops::Deref<Target = [u8]>>(buffers: &[B]) -> u64 {
    buffers.iter().fold(0, |sum, buffer| sum.saturating_add(buffer.len() as u64))
}

/// Transfers batch after batch, and stops at the first that comes short.
fn in_batches<B>(
    batches: impl Iterator<Item = B>,
    total: impl Fn(&B) -> u64,
    mut transfer: impl FnMut(B, u64) -> Result<usize>,
) -> Result<usize> {
    let mut done = 0;
    for batch in batches {
        let wanted = total(&batch);
        match transfer(batch, done as u64) {
            Ok(count) if (count as u64) < wanted => return Ok(done + count),
            Ok(count) => done += count,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

impl File for DiskFile {
    fn metadata(&self) -> Result<Metadata> {
        fstat(&self.fd).map(|stat| metadata(&stat)).map_err(failed)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let fd = self.readable()?;
        let room = usize::try_from(SIZE_MAX.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = buffer.len().min(room);
        let buffer = &mut buffer[..length];
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.often.fill(fd, buffer, offset) {
            return Ok(buffer.len());
        }
        match retried(|| rustix::io::pread(fd, &mut *buffer, offset)) {
            Err(Error::IllegalSeek) => retried(|| rustix::io::read(fd, &mut *buffer)),
            other => other,
        }
    }

    fn read_vectored_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
        // One buffer is the common case, for which the kernel has a shorter way.
        if buffers.len() == 1 || in_range(offset, total(buffers)).is_err() {
            return buffers
                .first_mut()
                .map_or_else(|| self.readable().map(|_| 0), |buffer| self.read_at(buffer, offset));
        }
        let fd = self.readable()?;
        let batches = buffers.chunks_mut(BUFFERS_MAX);
        in_batches(
            batches,
            |batch| total(batch),
            |batch, done| match retried(|| rustix::io::preadv(fd, batch, offset + done)) {
                Err(Error::IllegalSeek) => retried(|| rustix::io::readv(fd, batch)),
                other => other,
            },
        )
    }

    fn read_all(&self) -> Result<Bytes> {
        self.readable()?;
        let map = mapped::enabled();
        let Metadata { kind, size, .. } = self.metadata()?;
        match kind {
            FileType::File if map && size >= MAP_MIN => mapped::map(&self.fd).map_err(Error::from),
            FileType::File if size > READ_ALL_MAX => Err(Error::TooLarge),
            FileType::File => self.copy(size),
            _ => Err(Error::IllegalSeek),
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        let fd = self.writable()?;
        in_range(offset, bytes.len() as u64)?;
        match retried(|| rustix::io::pwrite(fd, bytes, offset)) {
            Err(Error::IllegalSeek) => retried(|| rustix::io::write(fd, bytes)),
            other => other,
        }
    }

    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize> {
        if let [buffer] = buffers {
            return self.write_at(buffer, offset);
        }
        let fd = self.writable()?;
        in_range(offset, total(buffers))?;
        let batches = buffers.chunks(BUFFERS_MAX);
        in_batches(
            batches,
            |batch| total(batch),
            |batch, done| match retried(|| rustix::io::pwritev(fd, batch, offset + done)) {
                Err(Error::IllegalSeek) => retried(|| rustix::io::writev(fd, batch)),
                other => other,
            },
        )
    }

    /// One `pwritev2` with `RWF_APPEND`, which moves the descriptor's position to the end of what it wrote.
    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<(usize, u64)> {
        let fd = self.writable()?;
        let buffers = &buffers[..buffers.len().min(BUFFERS_MAX)];
        let at_position = u64::MAX;
        let _alone = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        match retried(|| rustix::io::pwritev2(fd, buffers, at_position, ReadWriteFlags::APPEND))? {
            0 => Ok((0, self.metadata()?.size)),
            count => match rustix::fs::seek(fd, SeekFrom::Current(0)) {
                Ok(end) => Ok((count, end)),
                Err(Errno::SPIPE) => Ok((count, 0)),
                Err(errno) => Err(failed(errno)),
            },
        }
    }

    fn set_len(&self, size: u64) -> Result<()> {
        let fd = self.writable()?;
        in_range(size, 0)?;
        retried(|| rustix::fs::ftruncate(fd, size))
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        let fd = self.writable()?;
        if len == 0 {
            return Err(Error::Invalid);
        }
        in_range(offset, len)?;
        retried(|| rustix::fs::fallocate(fd, FallocateFlags::empty(), offset, len))
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        if !self.manner.write {
            return Err(Error::ReadOnly);
        }
        rustix::fs::futimens(&self.fd, &timestamps(times)?).map_err(failed)
    }

    fn sync(&self, metadata: bool) -> Result<()> {
        let synced = if metadata { rustix::fs::fsync(&self.fd) } else { rustix::fs::fdatasync(&self.fd) };
        match synced {
            // A stream, which has nothing to bring to a disk.
            Err(Errno::INVAL | Errno::ROFS) => Ok(()),
            other => other.map_err(failed),
        }
    }
}
