//! Our file systems for users of the crate `vfs`.

use std::fmt;
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::vfs::error::VfsErrorKind;
use ::vfs::{SeekAndRead, SeekAndWrite, VfsError, VfsFileType, VfsMetadata, VfsResult};

use crate::{
    Access, Create, Dir, Error, File, FileSystem, FileType, Follow, OpenOptions, Path, SetTime, SetTimes, Timestamp,
};

/// A file system of ours as one of the crate `vfs`.
///
/// Links are followed, within the file system as always; names that are no UTF-8, and links that lead nowhere, are not listed.
/// Creation times are not kept ([`VfsErrorKind::NotSupported`]), and neither can a read-only file system be changed.
pub struct ToVfs {
    root: Arc<dyn Dir>,
}

impl ToVfs {
    /// All of `files`.
    ///
    /// # Errors
    /// What opening the root answers.
    pub fn new(files: &dyn FileSystem) -> crate::Result<ToVfs> {
        files.root().map(|root| ToVfs { root })
    }

    fn open(&self, at: &str, options: OpenOptions) -> VfsResult<Arc<dyn File>> {
        self.root.open(path(at)?, options).and_then(crate::Node::file).map_err(failed)
    }

    fn set_times(&self, at: &str, times: SetTimes) -> VfsResult<()> {
        self.root.set_times(path(at)?, Follow::Yes, times).map_err(failed)
    }

    fn rename(&self, from: &str, to: &str) -> VfsResult<()> {
        self.root.rename(path(from)?, &*self.root, path(to)?).map_err(failed)
    }
}

impl fmt::Debug for ToVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToVfs")
    }
}

/// Theirs are absolute, with the root as the empty one.
fn path(path: &str) -> VfsResult<&Path> {
    match path.strip_prefix('/').unwrap_or(path) {
        "" => Ok(Path::DOT),
        path => Path::new(path.as_bytes()).map_err(|_| VfsErrorKind::InvalidPath.into()),
    }
}

fn failed(error: Error) -> VfsError {
    let kind = match error {
        Error::NotFound => VfsErrorKind::FileNotFound,
        Error::ReadOnly | Error::NotSupported => VfsErrorKind::NotSupported,
        other => VfsErrorKind::IoError(other.into()),
    };
    kind.into()
}

fn time(time: Timestamp) -> Option<SystemTime> {
    let nanoseconds = |count: i128| {
        let seconds = u64::try_from(count / 1_000_000_000).ok()?;
        Some(Duration::new(seconds, (count % 1_000_000_000) as u32))
    };
    match time {
        0.. => UNIX_EPOCH.checked_add(nanoseconds(time)?),
        _ => UNIX_EPOCH.checked_sub(nanoseconds(-time)?),
    }
}

fn at(time: SystemTime) -> SetTime {
    SetTime::At(crate::metadata::timestamp(time))
}

impl ::vfs::FileSystem for ToVfs {
    fn read_dir(&self, at: &str) -> VfsResult<Box<dyn Iterator<Item = String> + Send>> {
        let dir = self.root.open(path(at)?, OpenOptions::directory()).and_then(crate::Node::dir).map_err(failed)?;
        let listing = dir.list().map_err(failed)?;
        let leads_on = |name: &[u8]| Path::new(name).and_then(|name| dir.stat(name, Follow::Yes)).is_ok();
        let shown = listing.iter().filter(|entry| entry.kind != FileType::Symlink || leads_on(&entry.name));
        let names: Vec<String> = shown.filter_map(|entry| String::from_utf8(entry.name.to_vec()).ok()).collect();
        Ok(Box::new(names.into_iter()))
    }

    fn create_dir(&self, at: &str) -> VfsResult<()> {
        match self.root.create_dir(path(at)?) {
            Err(Error::Exists) => match self.metadata(at)?.file_type {
                VfsFileType::Directory => Err(VfsErrorKind::DirectoryExists.into()),
                VfsFileType::File => Err(VfsErrorKind::FileExists.into()),
            },
            other => other.map_err(failed),
        }
    }

    fn open_file(&self, at: &str) -> VfsResult<Box<dyn SeekAndRead + Send>> {
        let file = self.open(at, OpenOptions::read())?;
        Ok(Box::new(Stream { file, position: 0, append: false }))
    }

    fn create_file(&self, at: &str) -> VfsResult<Box<dyn SeekAndWrite + Send>> {
        let access = Access { read: false, write: true };
        let file = self.open(at, OpenOptions { access, truncate: true, ..OpenOptions::write() })?;
        Ok(Box::new(Stream { file, position: 0, append: false }))
    }

    fn append_file(&self, at: &str) -> VfsResult<Box<dyn SeekAndWrite + Send>> {
        let access = Access { read: false, write: true };
        let file = self.open(at, OpenOptions { access, create: Create::No, ..OpenOptions::write() })?;
        let position = file.metadata().map_err(failed)?.size;
        Ok(Box::new(Stream { file, position, append: true }))
    }

    fn metadata(&self, at: &str) -> VfsResult<VfsMetadata> {
        let it = self.root.stat(path(at)?, Follow::Yes).map_err(failed)?;
        let (file_type, len) = match it.kind {
            FileType::Directory => (VfsFileType::Directory, 0),
            _ => (VfsFileType::File, it.size),
        };
        Ok(VfsMetadata { file_type, len, created: None, modified: time(it.modified), accessed: time(it.accessed) })
    }

    fn set_modification_time(&self, path: &str, time: SystemTime) -> VfsResult<()> {
        self.set_times(path, SetTimes { modified: at(time), accessed: SetTime::Keep })
    }

    fn set_access_time(&self, path: &str, time: SystemTime) -> VfsResult<()> {
        self.set_times(path, SetTimes { modified: SetTime::Keep, accessed: at(time) })
    }

    fn exists(&self, at: &str) -> VfsResult<bool> {
        match self.root.stat(path(at)?, Follow::Yes) {
            Ok(_) => Ok(true),
            Err(Error::NotFound | Error::NotDirectory) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    fn remove_file(&self, at: &str) -> VfsResult<()> {
        self.root.unlink(path(at)?).map_err(failed)
    }

    fn remove_dir(&self, at: &str) -> VfsResult<()> {
        self.root.remove_dir(path(at)?).map_err(failed)
    }

    fn move_file(&self, from: &str, to: &str) -> VfsResult<()> {
        self.rename(from, to)
    }

    fn move_dir(&self, from: &str, to: &str) -> VfsResult<()> {
        self.rename(from, to)
    }
}

/// A file with a position.
struct Stream {
    file: Arc<dyn File>,
    position: u64,
    /// Every write goes to the end.
    append: bool,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.append {
            let (count, end) = self.file.append(&[IoSlice::new(bytes)])?;
            self.position = end;
            return Ok(count);
        }
        let count = self.file.write_at(bytes, self.position)?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::Current(by) => (self.position, by),
            SeekFrom::End(by) => (self.file.metadata()?.size, by),
        };
        self.position = from.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
