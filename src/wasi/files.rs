//! Reading, writing, seeking: what is done with an open file or stream.

use std::io::IoSlice;

use kitbag_fs::{File, FileType, Result as FsResult};

use super::iovec::Spans;
use super::stream::{self, Interest, Stream};
use super::table::{Descriptor, Handle, OpenFile};
use super::types::{FdFlags, Rights, Whence};
use super::{Errno, WasiCtx, guest};

/// No offset and no size is larger: the kernel's `off_t`.
const OFFSET_MAX: u64 = i64::MAX as u64;

/// Reads from the position on, and moves it (`readv`).
///
/// # Errors
/// `EBADF`; `EISDIR`; `ENOTCAPABLE`; `EINVAL` for more than 1,024 buffers or more than 2³²−1 bytes; `EFAULT`, before
/// anything is read; `EAGAIN` from a non-blocking stream; `EIO`.
pub fn fd_read(memory: &mut [u8], ctx: &mut WasiCtx, fd: u32, iovs: u32, count: u32, done: u32) -> Result<(), Errno> {
    let descriptor = ctx.table.get_mut(fd)?;
    guest::check(memory, done, 4)?;
    let spans = Spans::new(memory, iovs, count)?;
    let read = match &mut descriptor.handle {
        Handle::Dir(_) => return Err(Errno::Isdir),
        Handle::File(open) => {
            descriptor.rights.need(Rights::FD_READ)?;
            let mut offset = open.offset;
            let read = read_file(&*open.file, memory, &spans, &mut offset)?;
            open.offset = offset;
            read
        }
        Handle::Stream(stream) => {
            descriptor.rights.need(Rights::FD_READ)?;
            read_stream(&**stream, descriptor.flags, memory, &spans)?
        }
    };
    guest::put_u32(memory, done, read as u32)
}

/// Reads at an offset (`preadv`).
///
/// # Errors
/// As [`fd_read`]; `ESPIPE` for a stream; `EINVAL` for an offset beyond 2⁶³−1.
pub fn fd_pread(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    done: u32,
) -> Result<(), Errno> {
    let needed = Rights::FD_READ | Rights::FD_SEEK;
    let open = ctx.table.get_mut(fd)?.as_file(needed, Errno::Spipe, Errno::Isdir)?;
    guest::check(memory, done, 4)?;
    let spans = Spans::new(memory, iovs, count)?;
    let mut offset = checked_offset(offset)?;
    let read = read_file(&*open.file, memory, &spans, &mut offset)?;
    guest::put_u32(memory, done, read as u32)
}

/// Writes from the position on, or at the end, and moves it (`writev`).
///
/// # Errors
/// `EBADF`, also for a directory; `ENOTCAPABLE`; `EINVAL`, `EFAULT` as [`fd_read`], before anything is written; `EAGAIN`;
/// `EDQUOT` beyond what the guest may write in all; `ENOSPC`, `EFBIG`, `EROFS`, `EPIPE`, `EIO`.
pub fn fd_write(memory: &mut [u8], ctx: &mut WasiCtx, fd: u32, iovs: u32, count: u32, done: u32) -> Result<(), Errno> {
    let descriptor = ctx.table.get_mut(fd)?;
    guest::check(memory, done, 4)?;
    let spans = Spans::new(memory, iovs, count)?;
    ctx.quota.check(spans.total().into())?;
    let written = spans.gather(memory, |buffers| descriptor.write(buffers, spans.total()))?;
    ctx.quota.spend(written as u64);
    guest::put_u32(memory, done, written as u32)
}

/// Writes at an offset (`pwritev`), or with `APPEND` at the end, as Linux does.
///
/// # Errors
/// As [`fd_write`]; `ESPIPE` for a stream; `EINVAL` for an offset beyond 2⁶³−1.
pub fn fd_pwrite(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    done: u32,
) -> Result<(), Errno> {
    let descriptor = ctx.table.get_mut(fd)?;
    let flags = descriptor.flags;
    let open = descriptor.as_file(Rights::FD_WRITE | Rights::FD_SEEK, Errno::Spipe, Errno::Badf)?;
    guest::check(memory, done, 4)?;
    let spans = Spans::new(memory, iovs, count)?;
    let offset = checked_offset(offset)?;
    ctx.quota.check(spans.total().into())?;
    let (written, _) = spans.gather(memory, |buffers| write_file(&*open.file, flags, buffers, offset))?;
    ctx.quota.spend(written as u64);
    guest::put_u32(memory, done, written as u32)
}

/// Moves the position (`lseek`); past the end is allowed.
///
/// # Errors
/// `EBADF`, also for a directory; `ESPIPE`; `EINVAL` for a position before the start or beyond 2⁶³−1; `ENOTCAPABLE`; `EFAULT`.
pub fn fd_seek(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    delta: i64,
    whence: u32,
    position: u32,
) -> Result<(), Errno> {
    let whence = Whence::new(whence)?;
    let stays = whence == Whence::Current && delta == 0;
    let descriptor = ctx.table.get_mut(fd)?;
    if stays && descriptor.rights.contains(Rights::FD_TELL) {
        return fd_tell(memory, ctx, fd, position);
    }
    let open = descriptor.as_file(Rights::FD_SEEK, Errno::Spipe, Errno::Badf)?;
    guest::check(memory, position, 8)?;
    open.offset = checked_offset(open.base(whence)?.checked_add_signed(delta).ok_or(Errno::Inval)?)?;
    guest::put_u64(memory, position, open.offset)
}

/// The position.
///
/// # Errors
/// As [`fd_seek`].
pub fn fd_tell(memory: &mut [u8], ctx: &mut WasiCtx, fd: u32, position: u32) -> Result<(), Errno> {
    let descriptor = ctx.table.get_mut(fd)?;
    let implied = descriptor.rights.contains(Rights::FD_SEEK);
    let needed = if implied { Rights::FD_SEEK } else { Rights::FD_TELL };
    let open = descriptor.as_file(needed, Errno::Spipe, Errno::Badf)?;
    open.base(Whence::Current)?;
    guest::put_u64(memory, position, open.offset)
}

/// Takes advice on how a file will be read, and makes nothing of it (`posix_fadvise`).
///
/// # Errors
/// `EBADF`, also for a directory; `ESPIPE`; `EINVAL`; `ENOTCAPABLE`.
pub fn fd_advise(_: &mut [u8], ctx: &mut WasiCtx, fd: u32, offset: u64, len: u64, advice: u32) -> Result<(), Errno> {
    ctx.table.get_mut(fd)?.as_file(Rights::FD_ADVISE, Errno::Spipe, Errno::Badf)?;
    if advice > 5 || offset.max(len) > OFFSET_MAX { Err(Errno::Inval) } else { Ok(()) }
}

/// Makes sure of room in a file, and extends it to there (`posix_fallocate`).
///
/// # Errors
/// `EBADF`, also for a directory; `ESPIPE`; `EINVAL` for a length of 0; `EFBIG`; `EDQUOT`; `ENOSPC`; `EROFS`; `ENOTCAPABLE`.
pub fn fd_allocate(_: &mut [u8], ctx: &mut WasiCtx, fd: u32, offset: u64, len: u64) -> Result<(), Errno> {
    let open = ctx.table.get_mut(fd)?.as_file(Rights::FD_ALLOCATE, Errno::Spipe, Errno::Badf)?;
    checked_offset(offset)?;
    if len == 0 {
        return Err(Errno::Inval);
    }
    offset.checked_add(len).filter(|&end| end <= OFFSET_MAX).ok_or(Errno::Fbig)?;
    ctx.quota.check(len)?;
    open.file.allocate(offset, len)?;
    ctx.quota.spend(len);
    Ok(())
}

/// Cuts or extends a file (`ftruncate`).
///
/// # Errors
/// `EBADF`, also for a directory; `EINVAL` for a stream or a size beyond 2⁶³−1; `EFBIG`; `ENOSPC`; `EROFS`; `ENOTCAPABLE`.
pub fn fd_filestat_set_size(_: &mut [u8], ctx: &mut WasiCtx, fd: u32, size: u64) -> Result<(), Errno> {
    let open = ctx.table.get_mut(fd)?.as_file(Rights::FD_FILESTAT_SET_SIZE, Errno::Inval, Errno::Badf)?;
    Ok(open.file.set_len(checked_offset(size)?)?)
}

/// Waits until contents would outlive a crash (`fdatasync`).
///
/// # Errors
/// `EBADF`; `EINVAL` for a stream; `ENOTCAPABLE`; `EIO`.
pub fn fd_datasync(_: &mut [u8], ctx: &mut WasiCtx, fd: u32) -> Result<(), Errno> {
    ctx.table.get(fd)?.sync(Rights::FD_DATASYNC, false)
}

/// Waits until contents and metadata would outlive a crash (`fsync`).
///
/// # Errors
/// As [`fd_datasync`].
pub fn fd_sync(_: &mut [u8], ctx: &mut WasiCtx, fd: u32) -> Result<(), Errno> {
    ctx.table.get(fd)?.sync(Rights::FD_SYNC, true)
}

fn checked_offset(offset: u64) -> Result<u64, Errno> {
    if offset > OFFSET_MAX { Err(Errno::Inval) } else { Ok(offset) }
}

fn read_file(file: &dyn File, memory: &mut [u8], spans: &Spans, offset: &mut u64) -> FsResult<usize> {
    spans.scatter(memory, |buffers| {
        // One buffer is the common case, and the simpler call costs less in the kernel.
        let read = match buffers {
            [buffer] => file.read_at(buffer, *offset)?,
            several => file.read_vectored_at(several, *offset)?,
        };
        *offset = offset.saturating_add(read as u64);
        Ok(read)
    })
}

fn read_stream(stream: &dyn Stream, flags: FdFlags, memory: &mut [u8], spans: &Spans) -> Result<usize, Errno> {
    if spans.total() == 0 {
        return Ok(0);
    }
    stream::would_wait(stream, flags, Interest::Read)?;
    spans.scatter(memory, |buffers| stream.read(buffers))
}

/// Writes, and says how much and where that ended.
fn write_file(file: &dyn File, flags: FdFlags, buffers: &[IoSlice<'_>], offset: u64) -> FsResult<(usize, u64)> {
    let (written, end) = if flags.contains(FdFlags::APPEND) {
        file.append(buffers)?
    } else {
        let written = match buffers {
            [buffer] => file.write_at(buffer, offset)?,
            several => file.write_vectored_at(several, offset)?,
        };
        (written, offset.saturating_add(written as u64))
    };
    if flags.intersects(FdFlags::DSYNC | FdFlags::SYNC | FdFlags::RSYNC) {
        file.sync(!flags.difference(FdFlags::DSYNC).is_empty())?;
    }
    Ok((written, end))
}

impl Descriptor {
    fn write(&mut self, buffers: &[IoSlice<'_>], total: u32) -> Result<usize, Errno> {
        let Descriptor { handle, flags, rights, .. } = self;
        match handle {
            Handle::Dir(_) => Err(Errno::Badf),
            Handle::File(open) => {
                rights.need(Rights::FD_WRITE)?;
                let (written, end) = write_file(&*open.file, *flags, buffers, open.offset)?;
                open.offset = end;
                Ok(written)
            }
            Handle::Stream(stream) => {
                rights.need(Rights::FD_WRITE)?;
                if total == 0 {
                    return Ok(0);
                }
                stream::would_wait(&**stream, *flags, Interest::Write)?;
                stream.write(buffers)
            }
        }
    }

    fn sync(&self, needed: Rights, metadata: bool) -> Result<(), Errno> {
        if let Handle::Stream(_) = &self.handle {
            return Err(Errno::Inval);
        }
        self.rights.need(needed)?;
        match &self.handle {
            Handle::File(open) => Ok(open.file.sync(metadata)?),
            Handle::Dir(open) => Ok(open.dir.sync()?),
            Handle::Stream(_) => Ok(()),
        }
    }
}

impl OpenFile {
    /// Where a seek counts from; `ESPIPE` for what has no positions.
    fn base(&mut self, whence: Whence) -> Result<u64, Errno> {
        match self.kind()? {
            FileType::Fifo | FileType::Socket => Err(Errno::Spipe),
            _ => match whence {
                Whence::Set => Ok(0),
                Whence::Current => Ok(self.offset),
                Whence::End => Ok(self.file.metadata()?.size),
            },
        }
    }
}
