//! The host's disk, confined beneath one directory by the kernel.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use kitbag_fs::disk::Disk;
//! use kitbag_fs::{FileSystem, OpenOptions, Path};
//!
//! # let folder = std::env::temp_dir().join(format!("kitbag-disk-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! std::fs::write(folder.join("motd"), "hello")?;
//! let root = Disk::read_only(&folder)?.root()?;
//! let motd = root.open(Path::new(b"motd")?, OpenOptions::read())?.file()?;
//! assert_eq!(motd.read_all()?, "hello");
//! assert!(root.open(Path::new(b"../etc")?, OpenOptions::read()).is_err());
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Confinement
//!
//! Every path is resolved by `openat2` from the handle's descriptor, in the kernel and with no gap between check and use, whatever
//! other processes rename meanwhile: with `RESOLVE_NO_SYMLINKS` if it has no `..`, since nothing leads up then, else and where
//! it meets a link with `RESOLVE_BENEATH`. Operations for which the kernel has
//! no confined call (stat of a longer path, mkdir, unlink, rename, link, times) open the parent that way
//! and then act on one name in it, which is not followed. A path of one name needs no parent: one system call.
//! Where `openat2` is missing (before Linux 5.6, or behind a filter), the walk is done name by name with `O_NOFOLLOW`
//! over descriptors that are held, which is as safe and slower. Setting times takes Linux 5.8.
//!
//! Opening costs one system call. Where neither the options nor a trailing slash tell files from directories (a plain open for
//! reading), [`Dir::open`] takes a read of nothing more, and [`Dir::open_lazily`] puts that off. A FIFO does not hang the host, since everything
//! is opened with `O_NONBLOCK`, which regular files ignore; streams answer [`Error::WouldBlock`](crate::Error::WouldBlock).
//!
//! Listings and inodes are the kernel's: where the host has mounted something beneath, the listing shows the inode of the
//! directory that is covered.
//!
//! # Read-only
//!
//! [`Disk::read_only`] refuses every change itself, whatever the permissions on the host, on the handles of directories and files:
//! nothing opened through it can be changed by truncation, hard link, rename or times.
//!
//! # Shared bytes
//!
//! [`File::read_all`](crate::File::read_all) copies (up to [`READ_ALL_MAX`]), unless the process lets files be [mapped](crate::mapped): then small ones
//! are read and large ones mapped, and whoever holds the bytes asks [`mapped::check`](crate::mapped::check) when done with them.
//!
//! # Positioned reads
//!
//! A read is one system call, into the caller's buffer. Where files are mapped, one that is read so often through a handle that mapping it
//! would have cost less is mapped (from 64 KiB to 1 GiB, 1,024 at a time in a process), and reads are copies without a system call from then on. What they
//! answer stays what the kernel would, whoever changes, shortens or extends the file; only the time of the last access, which the host
//! may or may not keep, stays what it was.

mod convert;
#[cfg(all(test, feature = "memory", feature = "conformance"))]
pub(crate) mod differential;
mod dir;
mod file;
mod often;
mod open;
mod steps;
#[cfg(all(test, feature = "conformance"))]
mod tests;

use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};

use crate::{Dir, FileSystem, Result};
use convert::failed;
use dir::DiskDir;
pub use file::READ_ALL_MAX;

/// How handles of one file system behave.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// Changes are allowed.
    write: bool,
    /// The kernel resolves paths; otherwise we do, step by step.
    openat2: bool,
}

/// A directory of the host as a file system.
pub struct Disk {
    root: Arc<DiskDir>,
}

impl Disk {
    /// The directory `path`, through which nothing changes.
    ///
    /// # Errors
    /// What opening it answers; [`Error::NotDirectory`](crate::Error::NotDirectory).
    pub fn read_only(path: impl AsRef<std::path::Path>) -> Result<Disk> {
        Disk::new(path.as_ref(), |manner| manner)
    }

    /// The directory `path`, for reading and writing.
    ///
    /// # Errors
    /// As [`Disk::read_only`].
    pub fn read_write(path: impl AsRef<std::path::Path>) -> Result<Disk> {
        Disk::new(path.as_ref(), |manner| Manner { write: true, ..manner })
    }

    fn new(path: &std::path::Path, choose: impl FnOnce(Manner) -> Manner) -> Result<Disk> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(failed)?;
        let manner = choose(Manner { write: false, openat2: open::has_openat2(&root) });
        Ok(Disk { root: Arc::new(DiskDir::new(root, manner)) })
    }
}

impl FileSystem for Disk {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        Ok(Arc::clone(&self.root) as Arc<dyn Dir>)
    }
}
