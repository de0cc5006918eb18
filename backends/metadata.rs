//! What a file system says about its objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What kind of object an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device, a terminal among them.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A socket.
    Socket,
    /// A pipe.
    Fifo,
    /// Something else.
    Unknown,
}

/// A moment: nanoseconds since 1970-01-01T00:00:00Z, before it where negative.
///
/// An `i128` holds every moment that a kernel's `timespec` can (64-bit seconds and nanoseconds).
pub type Timestamp = i128;

/// The answer of `stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileType,
    /// Bytes of contents (of a link, of its target).
    pub size: u64,
    /// The inode: unique within its device, stable as long as the file system is mounted, and the
    /// same number that the listing of its directory shows.
    pub inode: u64,
    /// The device: tells file systems apart (two mounts of one file system share it).
    pub device: u64,
    /// The number of names; 0 for what has been removed and is still open. Of directories otherwise each file system's own.
    pub links: u64,
    /// Unix permission bits (`0o7777`), for those who write them on; nothing here is decided by them.
    pub mode: u32,
    /// Last read.
    pub accessed: Timestamp,
    /// Last change of the contents.
    pub modified: Timestamp,
    /// Last change of contents or metadata.
    pub changed: Timestamp,
}

/// What to set one of the two times to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it.
    #[default]
    Keep,
    /// The file system's own clock.
    Now,
    /// This moment.
    At(Timestamp),
}

/// What `utimensat` sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetTimes {
    /// The time of the last read.
    pub accessed: SetTime,
    /// The time of the last change of the contents.
    pub modified: SetTime,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name: no slash, no NUL, not `.` and not `..`.
    pub name: Box<[u8]>,
    /// The inode, equal to [`Metadata::inode`] of an unfollowed stat of the name.
    pub inode: u64,
    /// What it is, links not followed.
    pub kind: FileType,
}

/// A directory's names at one moment, without `.` and `..`, in an order that is the backend's own but fixed for the snapshot. Cheap to clone;
/// a read-only backend hands out the same one each time.
pub type Listing = Arc<[DirEntry]>;

/// A device number for a file system that is not the kernel's: no other of this process has it, and the
/// kernel's numbers end below.
#[must_use]
pub fn fresh_device() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 48);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The host's clock.
pub(crate) fn now() -> Timestamp {
    timestamp(SystemTime::now())
}

pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    let nanoseconds = |duration: Duration| duration.as_nanos().cast_signed();
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => nanoseconds(after),
        Err(before) => -nanoseconds(before.duration()),
    }
}
