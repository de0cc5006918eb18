//! What is done to a descriptor as such: its state, its number, its preopened name.

use kitbag_fs::{FileType, Metadata, SetTime, SetTimes};

use super::clocks::ClockId;
use super::table::{Descriptor, Handle};
use super::types::{FdFlags, FstFlags, Rights, filestat, filetype};
use super::{Errno, WasiCtx, guest};

/// Closes a descriptor, a preopened one and a standard stream too (`close`).
///
/// # Errors
/// `EBADF`.
pub fn fd_close(_: &mut [u8], ctx: &mut WasiCtx, fd: u32) -> Result<(), Errno> {
    ctx.table.remove(fd).map(drop)
}

/// Moves a descriptor to another number, closing what is there (`dup2` and `close`). Onto itself nothing happens.
///
/// # Errors
/// `EBADF`, also for a target beyond the table's limit.
pub fn fd_renumber(_: &mut [u8], ctx: &mut WasiCtx, from: u32, to: u32) -> Result<(), Errno> {
    ctx.table.renumber(from, to)
}

/// Type, flags and rights of a descriptor.
///
/// # Errors
/// `EBADF`, `EFAULT`, `EIO`.
pub fn fd_fdstat_get(memory: &mut [u8], ctx: &mut WasiCtx, fd: u32, stat: u32) -> Result<(), Errno> {
    let descriptor = ctx.table.get_mut(fd)?;
    let mut record = [0; 24];
    record[0] = filetype(descriptor.kind()?);
    record[2..4].copy_from_slice(&descriptor.flags.bits().to_le_bytes());
    record[8..16].copy_from_slice(&descriptor.rights.bits().to_le_bytes());
    record[16..].copy_from_slice(&descriptor.inheriting.bits().to_le_bytes());
    guest::put(memory, stat, record)
}

/// Sets the flags of a descriptor (`fcntl` with `F_SETFL`).
///
/// # Errors
/// `EBADF`, `EINVAL`, `ENOTCAPABLE`.
pub fn fd_fdstat_set_flags(_: &mut [u8], ctx: &mut WasiCtx, fd: u32, flags: u32) -> Result<(), Errno> {
    let descriptor = ctx.table.get_mut(fd)?;
    descriptor.rights.need(Rights::FD_FDSTAT_SET_FLAGS)?;
    descriptor.flags = FdFlags::new(flags)?;
    Ok(())
}

/// Takes rights away from a descriptor.
///
/// # Errors
/// `EBADF`; `ENOTCAPABLE` for a right that it does not have.
pub fn fd_fdstat_set_rights(_: &mut [u8], ctx: &mut WasiCtx, fd: u32, base: u64, inheriting: u64) -> Result<(), Errno> {
    let descriptor = ctx.table.get_mut(fd)?;
    let (base, inheriting) = (Rights::from_bits_retain(base), Rights::from_bits_retain(inheriting));
    descriptor.rights.need(base)?;
    descriptor.inheriting.need(inheriting)?;
    (descriptor.rights, descriptor.inheriting) = (base, inheriting);
    Ok(())
}

/// Metadata of what is open (`fstat`). Of a stream only the type is told: what the host connected it to is its own affair.
///
/// # Errors
/// `EBADF`, `EFAULT`, `ENOTCAPABLE`, `EIO`.
pub fn fd_filestat_get(memory: &mut [u8], ctx: &mut WasiCtx, fd: u32, stat: u32) -> Result<(), Errno> {
    put_metadata(memory, ctx, fd, stat, filestat)
}

/// Puts the metadata of what is open where a record of theirs is to be.
#[inline]
pub(crate) fn put_metadata<const N: usize>(
    memory: &mut [u8],
    ctx: &WasiCtx,
    fd: u32,
    stat: u32,
    write: impl FnOnce(&mut [u8; N], &Metadata),
) -> Result<(), Errno> {
    match ctx.table.metadata(fd) {
        Ok(ref metadata) => guest::record_mut(memory, stat).map(|record| write(record, metadata)),
        Err(errno) => Err(errno),
    }
}

/// Sets times of what is open (`futimens`).
///
/// # Errors
/// `EBADF`, `EINVAL`, `ENOTCAPABLE`, `EROFS`, `EIO`.
pub fn fd_filestat_set_times(
    _: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result<(), Errno> {
    let times = ctx.times(accessed, modified, flags)?;
    let descriptor = ctx.table.get(fd)?;
    if matches!(descriptor.handle, Handle::Stream(_)) {
        return Err(Errno::Badf);
    }
    descriptor.rights.need(Rights::FD_FILESTAT_SET_TIMES)?;
    match &descriptor.handle {
        Handle::File(open) => open.file.set_times(times)?,
        Handle::Dir(open) => open.dir.set_own_times(times)?,
        Handle::Stream(_) => {}
    }
    Ok(())
}

/// Says whether a descriptor was open before the guest started, and how long its name is.
///
/// # Errors
/// `EBADF` also for what was not: wasi-libc counts up until it gets that.
pub fn fd_prestat_get(memory: &mut [u8], ctx: &mut WasiCtx, fd: u32, prestat: u32) -> Result<(), Errno> {
    let name = ctx.table.get(fd)?.preopen_name().ok_or(Errno::Badf)?;
    let mut record = [0; 8];
    record[4..].copy_from_slice(&(name.len() as u32).to_le_bytes());
    guest::put(memory, prestat, record)
}

/// The name of a preopened directory, without a NUL.
///
/// # Errors
/// `EBADF`; `ENOTDIR` for what is not preopened and `ENAMETOOLONG` for too small a buffer, both as wasmtime answers; `EFAULT`.
pub fn fd_prestat_dir_name(memory: &mut [u8], ctx: &mut WasiCtx, fd: u32, buffer: u32, len: u32) -> Result<(), Errno> {
    let name = ctx.table.get(fd)?.preopen_name().ok_or(Errno::Notdir)?;
    if name.len() > len as usize {
        return Err(Errno::Nametoolong);
    }
    guest::bytes_mut(memory, buffer, name.len() as u32)?.copy_from_slice(name);
    Ok(())
}

impl Descriptor {
    fn kind(&mut self) -> Result<FileType, Errno> {
        match &mut self.handle {
            Handle::File(open) => open.kind(),
            Handle::Dir(_) => Ok(FileType::Directory),
            Handle::Stream(stream) => Ok(stream.kind()),
        }
    }

    pub(super) fn metadata(&self) -> Result<Metadata, Errno> {
        self.rights.need(Rights::FD_FILESTAT_GET)?;
        match &self.handle {
            Handle::File(open) => Ok(open.file.metadata()?),
            Handle::Dir(open) => Ok(open.dir.metadata()?),
            Handle::Stream(stream) => Ok(of_stream(stream.kind())),
        }
    }

    fn preopen_name(&self) -> Option<&[u8]> {
        match &self.handle {
            Handle::Dir(open) => open.preopen.as_deref(),
            Handle::File(_) | Handle::Stream(_) => None,
        }
    }
}

fn of_stream(kind: FileType) -> Metadata {
    Metadata { kind, size: 0, inode: 0, device: 0, links: 0, mode: 0, accessed: 0, modified: 0, changed: 0 }
}

impl WasiCtx {
    /// What the three arguments that set times ask for.
    pub(crate) fn times(&mut self, accessed: u64, modified: u64, flags: u32) -> Result<SetTimes, Errno> {
        let flags = FstFlags::new(flags)?;
        let accessed = self.time(accessed, flags, FstFlags::ATIM, FstFlags::ATIM_NOW)?;
        let modified = self.time(modified, flags, FstFlags::MTIM, FstFlags::MTIM_NOW)?;
        Ok(SetTimes { accessed, modified })
    }

    fn time(&mut self, time: u64, flags: FstFlags, given: FstFlags, now: FstFlags) -> Result<SetTime, Errno> {
        match (flags.contains(given), flags.contains(now)) {
            (true, true) => Err(Errno::Inval),
            (true, false) => Ok(SetTime::At(time.into())),
            (false, true) => self.set_to_now(),
            (false, false) => Ok(SetTime::Keep),
        }
    }

    /// Now is what the guest's real-time clock says; where that is the system's, the file system is asked to use
    /// its own, which needs no more than write access.
    fn set_to_now(&mut self) -> Result<SetTime, Errno> {
        if self.clock.advance(0) {
            Ok(SetTime::At(self.clock.now(ClockId::Realtime)?.into()))
        } else {
            Ok(SetTime::Now)
        }
    }
}
