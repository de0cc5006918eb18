//! Handles on directories.

use std::any::Any;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, RawDirEntry, SeekFrom, Stat, fstat, statat};
use rustix::io::Errno;

use super::Manner;
use super::convert::{failed, file_type, flags, kind, metadata, timestamps};
use super::file::DiskFile;
use super::open::{HANDLE, Place, beneath, is_name, place};
use super::steps::{link_followed, read_link};
use crate::{
    Access, Dir, DirEntry, Error, FileType, Follow, Listing, Metadata, Node, OpenOptions, Opened, Path, Result,
    SetTimes, Undecided,
};

/// How much of a listing one system call brings.
const LISTING_BUFFER: usize = 32 << 10;

pub(super) struct DiskDir {
    fd: OwnedFd,
    manner: Manner,
    /// Held while listing, since the descriptor has one position; tells whether it has left the start.
    listed: Mutex<bool>,
}

impl DiskDir {
    pub(super) fn new(fd: OwnedFd, manner: Manner) -> DiskDir {
        DiskDir { fd, manner, listed: Mutex::new(false) }
    }

    fn beneath(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        beneath(self.fd.as_fd(), path, flags, self.manner.openat2)
    }

    /// The object at `path`, for metadata only.
    fn object(&self, path: &Path, follow: Follow) -> Result<OwnedFd> {
        self.beneath(path, if follow == Follow::No { HANDLE | OFlags::NOFOLLOW } else { HANDLE })
    }

    fn place<'p>(&self, path: &'p Path) -> Result<Place<'_, 'p>> {
        place(self.fd.as_fd(), path, self.manner.openat2)
    }

    fn descriptor(&self, path: &Path, options: OpenOptions) -> Result<Descriptor> {
        options.validate()?;
        let fd = self.beneath(path, flags(options))?;
        Ok(Descriptor { fd, access: options.access, manner: self.manner })
    }

    fn writable(&self) -> Result<()> {
        if self.manner.write { Ok(()) } else { Err(Error::ReadOnly) }
    }

    /// The other handle as one of ours that may be changed.
    fn own<'d>(&self, other: &'d dyn Dir) -> Result<&'d DiskDir> {
        let own = other.as_any().downcast_ref::<DiskDir>().ok_or(Error::CrossDevice)?;
        self.writable().and(own.writable()).map(|()| own)
    }

    fn stat_raw(&self, path: &Path, follow: Follow) -> Result<Stat> {
        if is_name(path) {
            let stat = statat(&self.fd, path.as_bytes(), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
            if follow == Follow::No || kind(stat.st_mode) != FileType::Symlink {
                return Ok(stat);
            }
        }
        fstat(self.object(path, follow)?).map_err(failed)
    }
}

/// A descriptor, and what it was opened for.
struct Descriptor {
    fd: OwnedFd,
    access: Access,
    manner: Manner,
}

impl Descriptor {
    fn node(self, is_dir: bool) -> Node {
        match is_dir {
            true => Node::Dir(Arc::new(DiskDir::new(self.fd, self.manner))),
            false => Node::File(Arc::new(DiskFile::new(self.fd, self.access, self.manner))),
        }
    }

    /// Whether it is a directory's. Reading nothing costs half of what asking for metadata does, and of what is open for
    /// reading Linux refuses it to directories alone ([`Errno::ISDIR`]).
    fn is_dir(&self) -> Result<bool> {
        if self.access.read {
            match rustix::io::pread(&self.fd, &mut [0; 0], 0) {
                Ok(_) | Err(Errno::SPIPE) => return Ok(false),
                Err(Errno::ISDIR) => return Ok(true),
                Err(_) => {}
            }
        }
        fstat(&self.fd).map(|stat| kind(stat.st_mode) == FileType::Directory).map_err(failed)
    }
}

/// Whether it is a directory that was opened, where the options or the path tell.
fn told(path: &Path, options: OpenOptions) -> Option<bool> {
    match () {
        () if options.access.write || options.creates() => Some(false),
        () if options.directory || path.wants_directory() => Some(true),
        () => None,
    }
}

impl Undecided for Descriptor {
    fn decide(self: Box<Self>) -> Result<Node> {
        let is_dir = self.is_dir()?;
        Ok(self.node(is_dir))
    }

    fn decide_by_metadata(self: Box<Self>) -> Result<(Node, Metadata)> {
        let metadata = metadata(&fstat(&self.fd).map_err(failed)?);
        Ok((self.node(metadata.kind == FileType::Directory), metadata))
    }
}

impl Dir for DiskDir {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        if options.mutates() && !self.manner.write {
            return crate::readonly::open_without_change(self, path, options);
        }
        let open = self.descriptor(path, options)?;
        let is_dir = told(path, options).map_or_else(|| open.is_dir(), Ok)?;
        Ok(open.node(is_dir))
    }

    fn open_lazily(&self, path: &Path, options: OpenOptions) -> Result<Opened> {
        match told(path, options) {
            Some(_) => self.open(path, options).map(Opened::Node),
            None => Ok(Opened::Undecided(Box::new(self.descriptor(path, options)?))),
        }
    }

    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata> {
        self.stat_raw(path, follow).map(|stat| metadata(&stat))
    }

    fn metadata(&self) -> Result<Metadata> {
        fstat(&self.fd).map(|stat| metadata(&stat)).map_err(failed)
    }

    fn list(&self) -> Result<Listing> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *listed, true) {
            rustix::fs::seek(&self.fd, SeekFrom::Start(0)).map_err(failed)?;
        }
        list(self.fd.as_fd())
    }

    fn read_link(&self, path: &Path) -> Result<Box<[u8]>> {
        if is_name(path) {
            return read_link(&self.fd, path.as_bytes());
        }
        read_link(self.object(path, Follow::No)?, b"")
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.writable()?;
        let (parent, name) = self.place(path)?.name(Error::Exists, Error::Exists)?;
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o777)).map_err(failed)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.writable()?;
        let (parent, name) = self.place(path)?.name(Error::Invalid, Error::NotEmpty)?;
        rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(failed)
    }

    fn unlink(&self, path: &Path) -> Result<()> {
        self.writable()?;
        let (parent, name) = self.place(path)?.name(Error::IsDirectory, Error::IsDirectory)?;
        rustix::fs::unlinkat(parent, name, AtFlags::empty()).map_err(failed)
    }

    /// An absolute target is refused: on disk it would lead whoever follows it outside of this file system.
    fn symlink(&self, target: &[u8], path: &Path) -> Result<()> {
        self.writable()?;
        if target.starts_with(b"/") {
            return Err(Error::NotPermitted);
        }
        let (parent, name) = self.place(path)?.name(Error::Exists, Error::Exists)?;
        rustix::fs::symlinkat(target, parent, name).map_err(failed)
    }

    fn link(&self, from: &Path, follow: Follow, target: &dyn Dir, to: &Path) -> Result<()> {
        let target = self.own(target)?;
        let goal = || target.place(to)?.name(Error::Exists, Error::Exists);
        if follow == Follow::Yes || from.wants_directory() {
            return link_followed(self.fd.as_fd(), from, goal);
        }
        let (parent, name) = self.place(from)?.name(Error::NotPermitted, Error::NotPermitted)?;
        let (goal, to) = match goal() {
            // That the file is not there comes first.
            Err(error) => return statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed).and(Err(error)),
            goal => goal?,
        };
        rustix::fs::linkat(parent, name, goal, to, AtFlags::empty()).map_err(failed)
    }

    fn rename(&self, from: &Path, target: &dyn Dir, to: &Path) -> Result<()> {
        let target = self.own(target)?;
        let (source, goal) = (self.place(from)?, target.place(to)?);
        let (source, from) = source.name(Error::Busy, Error::Busy)?;
        let (goal, to) = goal.name(Error::Busy, Error::Busy)?;
        rustix::fs::renameat(source, from, goal, to).map_err(failed)
    }

    fn set_times(&self, path: &Path, follow: Follow, times: SetTimes) -> Result<()> {
        self.writable()?;
        let times = timestamps(times)?;
        let object = self.object(path, follow)?;
        rustix::fs::utimensat(object, c"", &times, AtFlags::EMPTY_PATH).map_err(failed)
    }

    fn set_own_times(&self, times: SetTimes) -> Result<()> {
        self.writable()?;
        rustix::fs::futimens(&self.fd, &timestamps(times)?).map_err(failed)
    }

    fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd).map_err(failed)
    }
}

/// Reads the names from the descriptor's position on.
fn list(fd: BorrowedFd<'_>) -> Result<Listing> {
    let mut buffer = vec![MaybeUninit::uninit(); LISTING_BUFFER];
    let mut names = RawDir::new(fd, &mut buffer);
    let mut entries = Vec::new();
    while let Some(name) = names.next() {
        match name {
            Ok(name) => entries.extend(entry(fd, &name)),
            // The directory was removed.
            Err(Errno::NOENT) => break,
            Err(errno) => return Err(failed(errno)),
        }
    }
    Ok(entries.into())
}

/// The entry, unless it is `.` or `..`. A file system that does not tell kinds is asked for them one by one.
fn entry(fd: BorrowedFd<'_>, raw: &RawDirEntry<'_>) -> Option<DirEntry> {
    let name = raw.file_name();
    let kind = match file_type(raw.file_type()) {
        _ if matches!(name.to_bytes(), b"." | b"..") => return None,
        FileType::Unknown => {
            statat(fd, name, AtFlags::SYMLINK_NOFOLLOW).map_or(FileType::Unknown, |it| kind(it.st_mode))
        }
        known => known,
    };
    Some(DirEntry { name: name.to_bytes().into(), inode: raw.ino(), kind })
}
