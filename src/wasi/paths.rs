//! What is done by name: always beneath a directory descriptor.
//!
//! Paths are checked here, once ([`Path::new`]), and resolved by the file system, which keeps them beneath the
//! directory they start from. A path that leads out, an absolute one among them, is `EPERM`, as in wasmtime.

use kitbag_fs::{Access, Create, Dir, Follow, Metadata, OpenOptions, PATH_MAX, Path};

use super::table::{Descriptor, Granted, Slot};
use super::types::{FdFlags, LookupFlags, OFlags, Rights, filestat};
use super::{Errno, WasiCtx, guest};

/// Opens a file or directory (`openat`) and gives it the lowest free number.
///
/// The new descriptor has those of the rights asked for that its parent passes on and that apply to what was opened. Reading and
/// writing decide how the file is opened and are refused if they cannot be passed on; of the rest fewer are given, silently, as
/// the guest can see (and as wasi-libc expects).
///
/// # Errors
/// `EBADF`; `ENOTDIR`; `ENOTCAPABLE`; `EINVAL` for unknown flags and for `directory` together with `creat`, `excl` or `trunc`; `EMFILE`, before
/// anything is made; and whatever [`Dir::open`] answers.
#[allow(clippy::too_many_arguments, reason = "the signature is the text's")]
pub fn path_open(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    oflags: u32,
    rights: u64,
    inheriting: u64,
    fdflags: u32,
    opened: u32,
) -> Result<(), Errno> {
    guest::check(memory, opened, 4)?;
    let parent = ctx.table.get(fd)?;
    let dir = parent.as_dir(Rights::PATH_OPEN)?;
    let asked = Asked {
        follow: LookupFlags::follow(lookup)?,
        oflags: OFlags::new(oflags)?,
        fdflags: FdFlags::new(fdflags)?,
        rights: Rights::named(rights),
    };
    asked.permitted(parent)?;
    let options = asked.options()?;
    let (rights, inheriting) = (asked.rights & parent.inheriting, Rights::named(inheriting) & parent.inheriting);
    let path = ctx.path(memory, path, path_len)?;
    ctx.table.check_room()?;
    let slot = Slot::new(dir.open_lazily(path, options)?, Granted { rights, inheriting, flags: asked.fdflags });
    let fd = ctx.table.insert(slot)?;
    guest::put_u32(memory, opened, fd)
}

/// How a guest wants something opened.
struct Asked {
    follow: Follow,
    oflags: OFlags,
    fdflags: FdFlags,
    rights: Rights,
}

impl Asked {
    /// Whether the parent's rights allow it.
    fn permitted(&self, parent: &Descriptor) -> Result<(), Errno> {
        if self.oflags.contains(OFlags::CREAT) {
            parent.rights.need(Rights::PATH_CREATE_FILE)?;
        }
        if self.oflags.contains(OFlags::TRUNC) {
            parent.rights.need(Rights::PATH_FILESTAT_SET_SIZE)?;
        }
        if self.fdflags.contains(FdFlags::DSYNC) {
            parent.inheriting.need(Rights::FD_DATASYNC)?;
        }
        if self.fdflags.intersects(FdFlags::SYNC | FdFlags::RSYNC) {
            parent.inheriting.need(Rights::FD_SYNC)?;
        }
        parent.inheriting.need(self.rights & (Rights::FD_READ | Rights::FD_WRITE))
    }

    /// Truncating needs a file that can be written, whether or not the guest may then write to it.
    fn options(&self) -> Result<OpenOptions, Errno> {
        let directory = self.oflags.contains(OFlags::DIRECTORY);
        if directory && self.oflags.intersects(OFlags::CREAT | OFlags::EXCL | OFlags::TRUNC) {
            return Err(Errno::Inval);
        }
        let truncate = self.oflags.contains(OFlags::TRUNC);
        let access = Access {
            read: self.rights.contains(Rights::FD_READ),
            write: truncate || self.rights.contains(Rights::FD_WRITE),
        };
        let create = match (self.oflags.contains(OFlags::CREAT), self.oflags.contains(OFlags::EXCL)) {
            (false, _) => Create::No,
            (true, false) => Create::IfMissing,
            (true, true) => Create::New,
        };
        Ok(OpenOptions { access, create, truncate, directory, follow: self.follow })
    }
}

/// Metadata of what a path leads to (`fstatat`).
///
/// # Errors
/// `EBADF`, `ENOTDIR`, `ENOTCAPABLE`, `EINVAL`, `EFAULT`, and those of resolution.
pub fn path_filestat_get(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    stat: u32,
) -> Result<(), Errno> {
    put_metadata(memory, ctx, fd, lookup, [path, path_len, stat], filestat)
}

/// Puts the metadata of what a path leads to where a record of theirs is to be. They are written from where the file system put
/// them: they are large, and a copy that begins right after they were written waits for the stores.
#[inline]
pub(crate) fn put_metadata<const N: usize>(
    memory: &mut [u8],
    ctx: &WasiCtx,
    fd: u32,
    lookup: u32,
    [path, path_len, stat]: [u32; 3],
    write: impl FnOnce(&mut [u8; N], &Metadata),
) -> Result<(), Errno> {
    let dir = ctx.dir(fd, Rights::PATH_FILESTAT_GET)?;
    match dir.stat(ctx.path(memory, path, path_len)?, LookupFlags::follow(lookup)?) {
        Ok(ref metadata) => guest::record_mut(memory, stat).map(|record| write(record, metadata)),
        Err(error) => Err(error.into()),
    }
}

/// Sets times of what a path leads to (`utimensat`).
///
/// # Errors
/// `EBADF`, `ENOTDIR`, `ENOTCAPABLE`, `EINVAL`, `EFAULT`, `EROFS`, and those of resolution.
#[allow(clippy::too_many_arguments, reason = "the signature is the text's")]
pub fn path_filestat_set_times(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result<(), Errno> {
    let times = ctx.times(accessed, modified, flags)?;
    let dir = ctx.dir(fd, Rights::PATH_FILESTAT_SET_TIMES)?;
    Ok(dir.set_times(ctx.path(memory, path, path_len)?, LookupFlags::follow(lookup)?, times)?)
}

/// Makes a directory (`mkdirat`).
///
/// # Errors
/// `EBADF`, `ENOTDIR`, `ENOTCAPABLE`, `EFAULT`, `EEXIST`, `ENOSPC`, `EROFS`, and those of resolution.
pub fn path_create_directory(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let dir = ctx.dir(fd, Rights::PATH_CREATE_DIRECTORY)?;
    Ok(dir.create_dir(ctx.path(memory, path, path_len)?)?)
}

/// Removes an empty directory (`rmdir`).
///
/// # Errors
/// `EBADF`, `ENOTDIR`, `ENOTCAPABLE`, `EFAULT`, `ENOTEMPTY`, `EBUSY`, `EROFS`, and those of resolution.
pub fn path_remove_directory(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let dir = ctx.dir(fd, Rights::PATH_REMOVE_DIRECTORY)?;
    Ok(dir.remove_dir(ctx.path(memory, path, path_len)?)?)
}

/// Removes the name of anything but a directory (`unlinkat`).
///
/// # Errors
/// `EBADF`, `ENOTDIR`, `ENOTCAPABLE`, `EFAULT`, `EISDIR`, `EROFS`, and those of resolution.
pub fn path_unlink_file(memory: &mut [u8], ctx: &mut WasiCtx, fd: u32, path: u32, path_len: u32) -> Result<(), Errno> {
    let dir = ctx.dir(fd, Rights::PATH_UNLINK_FILE)?;
    Ok(dir.unlink(ctx.path(memory, path, path_len)?)?)
}

/// Moves a name (`renameat`).
///
/// # Errors
/// `EBADF`, `ENOTDIR`, `ENOTCAPABLE`, `EFAULT`, `EXDEV` between file systems, `EROFS`, and whatever [`Dir::rename`] answers.
#[allow(clippy::too_many_arguments, reason = "the signature is the text's")]
pub fn path_rename(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    path: u32,
    path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<(), Errno> {
    let from = ctx.dir(fd, Rights::PATH_RENAME_SOURCE)?;
    let to = ctx.dir(new_fd, Rights::PATH_RENAME_TARGET)?;
    let path = ctx.path(memory, path, path_len)?;
    Ok(from.rename(path, to, ctx.path(memory, new_path, new_path_len)?)?)
}

/// Gives a file a further name (`linkat`).
///
/// # Errors
/// `EBADF`, `ENOTDIR`, `ENOTCAPABLE`, `EINVAL`, `EFAULT`, `EXDEV` between file systems, `EROFS`, and whatever [`Dir::link`] answers.
#[allow(clippy::too_many_arguments, reason = "the signature is the text's")]
pub fn path_link(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<(), Errno> {
    let from = ctx.dir(fd, Rights::PATH_LINK_SOURCE)?;
    let to = ctx.dir(new_fd, Rights::PATH_LINK_TARGET)?;
    let follow = LookupFlags::follow(lookup)?;
    let path = ctx.path(memory, path, path_len)?;
    Ok(from.link(path, follow, to, ctx.path(memory, new_path, new_path_len)?)?)
}

/// Makes a symbolic link (`symlinkat`). An absolute target is refused, since it could only lead out: the guest's
/// directories have no root in common.
///
/// # Errors
/// `EBADF`, `ENOTDIR`, `ENOTCAPABLE`, `EFAULT`; `EPERM` for an absolute target, as wasmtime answers; `EEXIST`, `EROFS`, and those of resolution.
pub fn path_symlink(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    target: u32,
    target_len: u32,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let dir = ctx.dir(fd, Rights::PATH_SYMLINK)?;
    let target = link_target(guest::bytes(memory, target, target_len)?)?;
    Ok(dir.symlink(target, ctx.path(memory, path, path_len)?)?)
}

fn link_target(target: &[u8]) -> Result<&[u8], Errno> {
    match target {
        [] => Err(Errno::Noent),
        [b'/', ..] => Err(Errno::Perm),
        _ if target.len() > PATH_MAX => Err(Errno::Nametoolong),
        _ if target.contains(&0) => Err(Errno::Inval),
        _ => Ok(target),
    }
}

/// The target of a symbolic link, cut off at the end of the buffer (`readlinkat`).
///
/// # Errors
/// `EBADF`, `ENOTDIR`, `ENOTCAPABLE`, `EFAULT`, `EINVAL` for what is no link, and those of resolution.
#[allow(clippy::too_many_arguments, reason = "the signature is the text's")]
pub fn path_readlink(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    path: u32,
    path_len: u32,
    buffer: u32,
    len: u32,
    used: u32,
) -> Result<(), Errno> {
    guest::check(memory, used, 4)?;
    guest::check(memory, buffer, len)?;
    let dir = ctx.dir(fd, Rights::PATH_READLINK)?;
    let target = dir.read_link(ctx.path(memory, path, path_len)?)?;
    let len = target.len().min(len as usize);
    guest::bytes_mut(memory, buffer, len as u32)?.copy_from_slice(&target[..len]);
    guest::put_u32(memory, used, len as u32)
}

impl WasiCtx {
    fn dir(&self, fd: u32, needed: Rights) -> Result<&dyn Dir, Errno> {
        self.table.get(fd)?.as_dir(needed)
    }

    /// The path in the guest's memory, where it lies. Programs that name everything beneath `.` write `./` before it, which says
    /// nothing, and which a file system need not be asked about.
    fn path<'m>(&self, memory: &'m [u8], pointer: u32, len: u32) -> Result<&'m Path, Errno> {
        let bytes = guest::bytes(memory, pointer, len)?;
        if bytes.len() > self.path_max {
            return Err(Errno::Nametoolong);
        }
        let path = Path::new(bytes)?;
        match bytes {
            [b'.', b'/', rest @ ..] => Ok(Path::new(rest).unwrap_or(path)),
            _ => Ok(path),
        }
    }
}
