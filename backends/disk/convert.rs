//! Between the kernel's words and ours.

use rustix::fs::{Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;

use crate::{Create, Error, FileType, Follow, Metadata, OpenOptions, Result, SetTime, SetTimes, Timestamp};

const SECOND: Timestamp = 1_000_000_000;

/// An error of an operation on an object or on one name.
pub(super) fn failed(errno: Errno) -> Error {
    match errno {
        Errno::OPNOTSUPP => Error::NotSupported,
        other => Error::from_errno(other.raw_os_error()),
    }
}

/// An error of a confined lookup, where `EXDEV` says that the path leads out.
pub(super) fn failed_lookup(errno: Errno) -> Error {
    if errno == Errno::XDEV { Error::NotPermitted } else { failed(errno) }
}

pub(super) fn kind(mode: u32) -> FileType {
    file_type(rustix::fs::FileType::from_raw_mode(mode))
}

pub(super) fn file_type(kind: rustix::fs::FileType) -> FileType {
    use rustix::fs::FileType as Raw;
    match kind {
        Raw::RegularFile => FileType::File,
        Raw::Directory => FileType::Directory,
        Raw::Symlink => FileType::Symlink,
        Raw::Fifo => FileType::Fifo,
        Raw::Socket => FileType::Socket,
        Raw::CharacterDevice => FileType::CharacterDevice,
        Raw::BlockDevice => FileType::BlockDevice,
        Raw::Unknown => FileType::Unknown,
    }
}

#[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "the kernel's types differ between machines")]
pub(super) fn metadata(stat: &Stat) -> Metadata {
    let time = |seconds: i64, nanoseconds: u64| Timestamp::from(seconds) * SECOND + Timestamp::from(nanoseconds);
    Metadata {
        kind: kind(stat.st_mode),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        inode: stat.st_ino as u64,
        device: stat.st_dev as u64,
        links: stat.st_nlink as u64,
        mode: stat.st_mode & 0o7777,
        accessed: time(stat.st_atime as i64, stat.st_atime_nsec as u64),
        modified: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
        changed: time(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
    }
}

/// # Errors
/// [`Error::Invalid`] for a moment beyond 64-bit seconds.
pub(super) fn timestamps(times: SetTimes) -> Result<Timestamps> {
    Ok(Timestamps { last_access: timespec(times.accessed)?, last_modification: timespec(times.modified)? })
}

fn timespec(time: SetTime) -> Result<Timespec> {
    let (seconds, nanoseconds) = match time {
        SetTime::Keep => (0, UTIME_OMIT),
        SetTime::Now => (0, UTIME_NOW),
        SetTime::At(moment) => (moment.div_euclid(SECOND), moment.rem_euclid(SECOND) as _),
    };
    Ok(Timespec { tv_sec: seconds.try_into().map_err(|_| Error::Invalid)?, tv_nsec: nanoseconds })
}

/// The kernel's flags for `options`.
pub(super) fn flags(options: OpenOptions) -> OFlags {
    let access = match (options.access.read, options.access.write) {
        (_, false) => OFlags::RDONLY,
        (false, true) => OFlags::WRONLY,
        (true, true) => OFlags::RDWR,
    };
    let create = match options.create {
        Create::No => OFlags::empty(),
        Create::IfMissing => OFlags::CREATE,
        Create::New => OFlags::CREATE | OFlags::EXCL,
    };
    let mut flags = access | create | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    flags.set(OFlags::TRUNC, options.truncate);
    flags.set(OFlags::DIRECTORY, options.directory);
    flags.set(OFlags::NOFOLLOW, options.follow == Follow::No);
    flags
}

/// The permissions of what is made, before the umask; none where nothing is.
pub(super) fn mode(flags: OFlags) -> Mode {
    if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o666) } else { Mode::empty() }
}
