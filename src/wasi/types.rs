//! Flags, enumerations and records of the witx text, as they lie in the guest's memory.

use bitflags::bitflags;
use kitbag_fs::{FileType, Metadata, Timestamp};

use super::Errno;

bitflags! {
    /// What a descriptor may be used for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Rights: u64 {
        /// `fd_datasync`, and opening with `dsync`.
        const FD_DATASYNC = 1 << 0;
        /// `fd_read`, `sock_recv`; with `FD_SEEK` also `fd_pread`.
        const FD_READ = 1 << 1;
        /// `fd_seek`; implies `FD_TELL`.
        const FD_SEEK = 1 << 2;
        /// `fd_fdstat_set_flags`.
        const FD_FDSTAT_SET_FLAGS = 1 << 3;
        /// `fd_sync`, and opening with `rsync` and `sync`.
        const FD_SYNC = 1 << 4;
        /// `fd_tell`, and `fd_seek` that does not move.
        const FD_TELL = 1 << 5;
        /// `fd_write`, `sock_send`; with `FD_SEEK` also `fd_pwrite`.
        const FD_WRITE = 1 << 6;
        /// `fd_advise`.
        const FD_ADVISE = 1 << 7;
        /// `fd_allocate`.
        const FD_ALLOCATE = 1 << 8;
        /// `path_create_directory`.
        const PATH_CREATE_DIRECTORY = 1 << 9;
        /// `path_open` with `creat`.
        const PATH_CREATE_FILE = 1 << 10;
        /// `path_link` from here.
        const PATH_LINK_SOURCE = 1 << 11;
        /// `path_link` to here.
        const PATH_LINK_TARGET = 1 << 12;
        /// `path_open`.
        const PATH_OPEN = 1 << 13;
        /// `fd_readdir`.
        const FD_READDIR = 1 << 14;
        /// `path_readlink`.
        const PATH_READLINK = 1 << 15;
        /// `path_rename` from here.
        const PATH_RENAME_SOURCE = 1 << 16;
        /// `path_rename` to here.
        const PATH_RENAME_TARGET = 1 << 17;
        /// `path_filestat_get`.
        const PATH_FILESTAT_GET = 1 << 18;
        /// `path_open` with `trunc`.
        const PATH_FILESTAT_SET_SIZE = 1 << 19;
        /// `path_filestat_set_times`.
        const PATH_FILESTAT_SET_TIMES = 1 << 20;
        /// `fd_filestat_get`.
        const FD_FILESTAT_GET = 1 << 21;
        /// `fd_filestat_set_size`.
        const FD_FILESTAT_SET_SIZE = 1 << 22;
        /// `fd_filestat_set_times`.
        const FD_FILESTAT_SET_TIMES = 1 << 23;
        /// `path_symlink`.
        const PATH_SYMLINK = 1 << 24;
        /// `path_remove_directory`.
        const PATH_REMOVE_DIRECTORY = 1 << 25;
        /// `path_unlink_file`.
        const PATH_UNLINK_FILE = 1 << 26;
        /// `poll_oneoff` on the descriptor.
        const POLL_FD_READWRITE = 1 << 27;
        /// `sock_shutdown`.
        const SOCK_SHUTDOWN = 1 << 28;
        /// `sock_accept`.
        const SOCK_ACCEPT = 1 << 29;
    }

    /// How `path_open` opens.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OFlags: u16 {
        /// Make the file where there is none.
        const CREAT = 1;
        /// It must be a directory.
        const DIRECTORY = 2;
        /// With `CREAT`: it must not be there.
        const EXCL = 4;
        /// Empty the file.
        const TRUNC = 8;
    }

    /// How a descriptor behaves.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FdFlags: u16 {
        /// Every write goes to the end.
        const APPEND = 1;
        /// A write returns once its data would outlive a crash.
        const DSYNC = 2;
        /// A stream answers `EAGAIN` rather than wait.
        const NONBLOCK = 4;
        /// Reads are as synchronous as writes; what that asks of a file is what `SYNC` asks.
        const RSYNC = 8;
        /// A write returns once its data and metadata would outlive a crash.
        const SYNC = 16;
    }

    /// Which times to set, and to what.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FstFlags: u16 {
        /// The access time, to the one given.
        const ATIM = 1;
        /// The access time, to now.
        const ATIM_NOW = 2;
        /// The modification time, to the one given.
        const MTIM = 4;
        /// The modification time, to now.
        const MTIM_NOW = 8;
    }

    /// How a path is resolved.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LookupFlags: u32 {
        /// A symbolic link in the last place is followed.
        const SYMLINK_FOLLOW = 1;
    }
}

impl Rights {
    /// What applies to a directory itself.
    pub const DIRECTORY: Rights = Rights::PATH_CREATE_DIRECTORY
        .union(Rights::PATH_CREATE_FILE)
        .union(Rights::PATH_LINK_SOURCE)
        .union(Rights::PATH_LINK_TARGET)
        .union(Rights::PATH_OPEN)
        .union(Rights::FD_READDIR)
        .union(Rights::PATH_READLINK)
        .union(Rights::PATH_RENAME_SOURCE)
        .union(Rights::PATH_RENAME_TARGET)
        .union(Rights::PATH_FILESTAT_GET)
        .union(Rights::PATH_FILESTAT_SET_SIZE)
        .union(Rights::PATH_FILESTAT_SET_TIMES)
        .union(Rights::FD_FILESTAT_GET)
        .union(Rights::FD_FILESTAT_SET_TIMES)
        .union(Rights::FD_FDSTAT_SET_FLAGS)
        .union(Rights::FD_DATASYNC)
        .union(Rights::FD_SYNC)
        .union(Rights::PATH_SYMLINK)
        .union(Rights::PATH_REMOVE_DIRECTORY)
        .union(Rights::PATH_UNLINK_FILE);

    /// What applies to an open file.
    pub const FILE: Rights = Rights::FD_DATASYNC
        .union(Rights::FD_READ)
        .union(Rights::FD_SEEK)
        .union(Rights::FD_FDSTAT_SET_FLAGS)
        .union(Rights::FD_SYNC)
        .union(Rights::FD_TELL)
        .union(Rights::FD_WRITE)
        .union(Rights::FD_ADVISE)
        .union(Rights::FD_ALLOCATE)
        .union(Rights::FD_FILESTAT_GET)
        .union(Rights::FD_FILESTAT_SET_SIZE)
        .union(Rights::FD_FILESTAT_SET_TIMES)
        .union(Rights::POLL_FD_READWRITE);

    /// What applies to a stream, whichever way it goes.
    pub const STREAM: Rights =
        Rights::FD_FDSTAT_SET_FLAGS.union(Rights::FD_FILESTAT_GET).union(Rights::POLL_FD_READWRITE);

    /// What applies to a connection, besides what does to any stream.
    pub const CONNECTION: Rights = Rights::FD_READ.union(Rights::FD_WRITE).union(Rights::SOCK_SHUTDOWN);

    /// What applies to a listening socket, besides what does to any stream.
    pub const LISTENER: Rights = Rights::FD_READ.union(Rights::SOCK_ACCEPT);

    /// What a directory's descendants may have: what applies to a directory or to a file.
    pub const INHERITING: Rights = Rights::DIRECTORY.union(Rights::FILE);

    /// The rights that a guest named; bits without a name are nothing that could be granted.
    pub(crate) fn named(bits: u64) -> Rights {
        Rights::from_bits_truncate(bits)
    }

    /// Whether all of `needed` are there.
    ///
    /// # Errors
    /// `ENOTCAPABLE`.
    pub(crate) fn need(self, needed: Rights) -> Result<(), Errno> {
        if self.contains(needed) { Ok(()) } else { Err(Errno::Notcapable) }
    }
}

/// `u16` flags that came as an `i32`: a bit without a name is `EINVAL`.
macro_rules! flags16 {
    ($($flags:ident)*) => {$(
        impl $flags {
            pub(crate) fn new(bits: u32) -> Result<$flags, Errno> {
                u16::try_from(bits).ok().and_then($flags::from_bits).ok_or(Errno::Inval)
            }
        }
    )*};
}

flags16! { OFlags FdFlags FstFlags }

impl LookupFlags {
    pub(crate) fn follow(bits: u32) -> Result<kitbag_fs::Follow, Errno> {
        match LookupFlags::from_bits(bits).ok_or(Errno::Inval)? {
            LookupFlags::SYMLINK_FOLLOW => Ok(kitbag_fs::Follow::Yes),
            _ => Ok(kitbag_fs::Follow::No),
        }
    }
}

/// From where a seek counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// The start.
    Set,
    /// The position.
    Current,
    /// The end.
    End,
}

impl Whence {
    pub(crate) fn new(number: u32) -> Result<Whence, Errno> {
        match number {
            0 => Ok(Whence::Set),
            1 => Ok(Whence::Current),
            2 => Ok(Whence::End),
            _ => Err(Errno::Inval),
        }
    }
}

/// The number of a file type. Pipes have none of their own, and what sort a socket is we say stream.
pub(crate) fn filetype(kind: FileType) -> u8 {
    match kind {
        FileType::BlockDevice => 1,
        FileType::CharacterDevice => 2,
        FileType::Directory => 3,
        FileType::File => 4,
        FileType::Socket => 6,
        FileType::Symlink => 7,
        _ => 0,
    }
}

/// A time as the guest sees it: what lies before 1970, or after 2554, is moved to that end.
pub(crate) fn timestamp(time: Timestamp) -> u64 {
    time.clamp(0, u64::MAX.into()) as u64
}

/// The record `filestat`.
pub(crate) fn filestat(record: &mut [u8; 64], metadata: &Metadata) {
    let words = [
        metadata.device,
        metadata.inode,
        filetype(metadata.kind).into(),
        metadata.links,
        metadata.size,
        timestamp(metadata.accessed),
        timestamp(metadata.modified),
        timestamp(metadata.changed),
    ];
    record.as_chunks_mut().0.iter_mut().zip(words).for_each(|(field, word)| *field = word.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bits() {
        assert_eq!(OFlags::new(15), Ok(OFlags::all()));
        assert_eq!((OFlags::new(16), FdFlags::new(32), FstFlags::new(0x1_0001)), {
            let inval = Errno::Inval;
            (Err(inval), Err(inval), Err(inval))
        });
        assert_eq!(Rights::named(u64::MAX), Rights::all());
        assert_eq!(Rights::all().bits(), (1 << 30) - 1);
    }

    #[test]
    fn times_are_clamped() {
        assert_eq!((timestamp(-1), timestamp(i128::MAX), timestamp(5)), (0, u64::MAX, 5));
    }
}
