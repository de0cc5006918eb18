//! The three traits that make a backend.

use std::any::Any;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use crate::{Bytes, Error, FileType, Listing, Metadata, Path, Result, SetTimes};

/// A file system: something with a root directory.
pub trait FileSystem: Send + Sync {
    /// The directory at the top. Each call gives a handle to the same directory.
    ///
    /// # Errors
    /// Whatever keeps the root from being opened; [`Error::TooManyFiles`] where it takes a descriptor.
    fn root(&self) -> Result<Arc<dyn Dir>>;
}

impl<T: FileSystem + ?Sized> FileSystem for Arc<T> {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        (**self).root()
    }
}

/// Whether a symbolic link in the last place of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The object that it leads to.
    Yes,
    /// The link itself.
    No,
}

/// What an opened file may be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `read_at` and its kin.
    pub read: bool,
    /// `write_at`, `set_len` and their kin.
    pub write: bool,
}

/// Whether opening makes the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Create {
    /// Only what is there is opened.
    #[default]
    No,
    /// A regular file is made where nothing is (`O_CREAT`).
    IfMissing,
    /// It must not be there (`O_CREAT|O_EXCL`); a link in the last place counts as being there.
    New,
}

/// How to open. The default is a plain handle on what is there, links followed, with neither access:
/// enough for metadata and, for a directory, for lookups beneath it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// What the file is opened for. A directory opened with `write` is [`Error::IsDirectory`], and so is one
    /// opened with a `create` that is not `No`.
    pub access: Access,
    /// Whether it is made.
    pub create: Create,
    /// Whether a regular file is emptied (`O_TRUNC`); needs `access.write`, else [`Error::Invalid`].
    pub truncate: bool,
    /// Whether it must be a directory (`O_DIRECTORY`), else [`Error::NotDirectory`]. Together with
    /// a `create` that is not `No` it is [`Error::Invalid`].
    pub directory: bool,
    /// With [`Follow::No`], a link in the last place is [`Error::Loop`] (`O_NOFOLLOW`).
    pub follow: Follow,
}

impl OpenOptions {
    /// Open what is there, for reading.
    #[must_use]
    pub const fn read() -> OpenOptions {
        OpenOptions {
            access: Access { read: true, write: false },
            create: Create::No,
            truncate: false,
            directory: false,
            follow: Follow::Yes,
        }
    }

    /// Open what is there, or a new file, for reading and writing.
    #[must_use]
    pub const fn write() -> OpenOptions {
        OpenOptions { access: Access { read: true, write: true }, create: Create::IfMissing, ..OpenOptions::read() }
    }

    /// Open a directory.
    #[must_use]
    pub const fn directory() -> OpenOptions {
        OpenOptions { directory: true, ..OpenOptions::read() }
    }

    /// Whether opening so may change the file system or gives a handle that can: what a read-only
    /// file system refuses.
    #[must_use]
    pub const fn mutates(&self) -> bool {
        self.access.write || self.truncate || self.creates()
    }

    /// Whether opening makes what is missing.
    #[must_use]
    pub const fn creates(&self) -> bool {
        !matches!(self.create, Create::No)
    }

    /// Whether a link in the last place leads on: [`Create::New`] never goes through one.
    #[must_use]
    pub const fn follow_last(&self) -> Follow {
        if matches!(self.create, Create::New) { Follow::No } else { self.follow }
    }

    /// Checks that the options go together. Each backend asks this first.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub const fn validate(&self) -> Result<()> {
        if self.truncate && !self.access.write || self.directory && self.creates() {
            return Err(Error::Invalid);
        }
        Ok(())
    }

    /// Checks whether what is there already, of this kind (that of a link where it was not followed), may be opened
    /// so; answers as Linux does and in its order. Whether the file system can be written at all comes after this.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::IsDirectory`], [`Error::NotDirectory`], [`Error::Loop`].
    pub const fn admit(&self, kind: FileType) -> Result<()> {
        match kind {
            _ if matches!(self.create, Create::New) => Err(Error::Exists),
            FileType::Directory if self.creates() || self.access.write => Err(Error::IsDirectory),
            FileType::Directory => Ok(()),
            _ if self.directory => Err(Error::NotDirectory),
            FileType::Symlink => Err(Error::Loop),
            _ => Ok(()),
        }
    }
}

/// What was opened.
#[derive(Clone)]
pub enum Node {
    /// Anything that is not a directory.
    File(Arc<dyn File>),
    /// A directory.
    Dir(Arc<dyn Dir>),
}

impl Node {
    /// The file.
    ///
    /// # Errors
    /// [`Error::IsDirectory`].
    pub fn file(self) -> Result<Arc<dyn File>> {
        match self {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(Error::IsDirectory),
        }
    }

    /// The directory.
    ///
    /// # Errors
    /// [`Error::NotDirectory`].
    pub fn dir(self) -> Result<Arc<dyn Dir>> {
        match self {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(Error::NotDirectory),
        }
    }

    /// Metadata of whichever it is.
    ///
    /// # Errors
    /// As [`File::metadata`] and [`Dir::metadata`].
    pub fn metadata(&self) -> Result<Metadata> {
        match self {
            Node::File(file) => file.metadata(),
            Node::Dir(dir) => dir.metadata(),
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Node::File(_) => "Node::File",
            Node::Dir(_) => "Node::Dir",
        })
    }
}

/// What [`Dir::open_lazily`] opened.
pub enum Opened {
    /// A file or a directory.
    Node(Node),
    /// One of the two.
    Undecided(Box<dyn Undecided>),
}

/// Something open that may turn out to be a file or a directory. Dropping it closes it, and nobody will have asked.
pub trait Undecided: Send {
    /// Asks.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn decide(self: Box<Self>) -> Result<Node>;

    /// The same for a caller who wants the metadata, which tell too.
    ///
    /// # Errors
    /// As [`Undecided::decide`].
    fn decide_by_metadata(self: Box<Self>) -> Result<(Node, Metadata)> {
        let node = self.decide()?;
        node.metadata().map(|metadata| (node, metadata))
    }
}

impl Opened {
    /// Asks, where that is needed.
    ///
    /// # Errors
    /// As [`Undecided::decide`].
    pub fn decide(self) -> Result<Node> {
        match self {
            Opened::Node(node) => Ok(node),
            Opened::Undecided(open) => open.decide(),
        }
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Opened::Node(node) => node.fmt(f),
            Opened::Undecided(_) => f.write_str("Opened::Undecided"),
        }
    }
}

/// An open directory: a handle on the object, and the root of every lookup that starts from it.
///
/// # Resolution, common to all methods that take a path
///
/// POSIX.1-2017, 4.13, beneath this directory: `..` leads to the parent, except that no path leads
/// above this handle; a symbolic link is followed where it stands in the middle, and in the last
/// place as the method says; a trailing slash asks for a directory (and follows a link). Every way
/// out of the handle's tree is refused with [`Error::NotPermitted`]: a `..` at the top, and a link with an absolute
/// target. More than 40 links are [`Error::Loop`].
/// Each method also answers [`Error::NotFound`] and [`Error::NotDirectory`] for the way to its last name,
/// and [`Error::Io`].
///
/// Methods that make, remove or move a *name* never follow a link in the last place, and answer for a path whose last
/// component is `.` or `..` as Linux does: [`Error::Invalid`] for `.` and [`Error::NotEmpty`]
/// for `..` in `remove_dir`, [`Error::Busy`] in `rename`, [`Error::IsDirectory`] in `unlink`, [`Error::Exists`] elsewhere.
pub trait Dir: Send + Sync {
    /// This handle as [`Any`], by which a backend knows its own in [`Dir::link`] and [`Dir::rename`]:
    /// `fn as_any(&self) -> &dyn Any { self }`.
    fn as_any(&self) -> &dyn Any;

    /// Opens beneath this directory (`openat`).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Exists`], [`Error::IsDirectory`], [`Error::NotDirectory`], [`Error::Loop`],
    /// [`Error::Access`], [`Error::TooManyFiles`], [`Error::NoSpace`], [`Error::Quota`], and on a file system without writing
    /// [`Error::ReadOnly`] for opening a file that is there for writing, and for making one that is not.
    /// Creating with a slash after the name is [`Error::IsDirectory`].
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node>;

    /// The same for a caller who need not know yet what it is, where telling takes more than opening. The default opens.
    ///
    /// # Errors
    /// As [`Dir::open`].
    fn open_lazily(&self, path: &Path, options: OpenOptions) -> Result<Opened> {
        self.open(path, options).map(Opened::Node)
    }

    /// Metadata of what `path` leads to (`fstatat`).
    ///
    /// # Errors
    /// Those of resolution.
    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata>;

    /// Metadata of this directory itself (`fstat`), also after its name is gone.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn metadata(&self) -> Result<Metadata>;

    /// The names in this directory now. Empty for a directory that was removed.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::Io`].
    fn list(&self) -> Result<Listing>;

    /// The target of a symbolic link, byte for byte (`readlinkat`).
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no link: the default, for file systems without links.
    fn read_link(&self, path: &Path) -> Result<Box<[u8]>> {
        self.stat(path, Follow::No).and(Err(Error::Invalid))
    }

    /// Makes a directory (`mkdirat`).
    ///
    /// # Errors
    /// [`Error::Exists`] for any object of that name, a dangling link among them; [`Error::NoSpace`]; [`Error::ReadOnly`].
    fn create_dir(&self, path: &Path) -> Result<()> {
        _ = path;
        Err(Error::ReadOnly)
    }

    /// Removes an empty directory (`unlinkat` with `AT_REMOVEDIR`).
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::NotDirectory`], [`Error::Busy`] for a mount point; [`Error::ReadOnly`].
    fn remove_dir(&self, path: &Path) -> Result<()> {
        _ = path;
        Err(Error::ReadOnly)
    }

    /// Removes the name of anything that is not a directory (`unlinkat`).
    ///
    /// # Errors
    /// [`Error::IsDirectory`]; [`Error::NotDirectory`] with a trailing slash; [`Error::ReadOnly`].
    fn unlink(&self, path: &Path) -> Result<()> {
        _ = path;
        Err(Error::ReadOnly)
    }

    /// Makes a symbolic link at `path` that holds `target`, byte for byte (`symlinkat`).
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::NotFound`] for an empty target; [`Error::NameTooLong`]; [`Error::ReadOnly`];
    /// [`Error::NotPermitted`] for an absolute target where the backend would have to store a way out of its root.
    fn symlink(&self, target: &[u8], path: &Path) -> Result<()> {
        _ = (target, path);
        Err(Error::ReadOnly)
    }

    /// Gives the file at `from` a further name: `to` beneath `target`, which may be another handle
    /// (`linkat`). `follow` says whether a link at `from` is followed.
    ///
    /// # Errors
    /// [`Error::CrossDevice`] where `target` is of another file system; [`Error::NotPermitted`] for a directory;
    /// [`Error::Exists`]; [`Error::ReadOnly`]; [`Error::NotSupported`] where there are no hard links.
    fn link(&self, from: &Path, follow: Follow, target: &dyn Dir, to: &Path) -> Result<()> {
        _ = (from, follow, target, to);
        Err(Error::ReadOnly)
    }

    /// Moves `from` to `to` beneath `target`, atomically replacing a file there, or an empty directory by a
    /// directory (`renameat`). Two names of one file: nothing happens.
    ///
    /// # Errors
    /// [`Error::CrossDevice`], [`Error::NotEmpty`], [`Error::IsDirectory`], [`Error::NotDirectory`], [`Error::Busy`],
    /// [`Error::Invalid`] for a directory into itself; [`Error::ReadOnly`].
    fn rename(&self, from: &Path, target: &dyn Dir, to: &Path) -> Result<()> {
        _ = (from, target, to);
        Err(Error::ReadOnly)
    }

    /// Sets times of what `path` leads to (`utimensat`).
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::Invalid`] or clamping for times beyond what is stored.
    fn set_times(&self, path: &Path, follow: Follow, times: SetTimes) -> Result<()> {
        _ = (path, follow, times);
        Err(Error::ReadOnly)
    }

    /// Sets times of this directory itself (`futimens`).
    ///
    /// # Errors
    /// As [`Dir::set_times`].
    fn set_own_times(&self, times: SetTimes) -> Result<()> {
        _ = times;
        Err(Error::ReadOnly)
    }

    /// Returns once what was done to this directory would outlive a crash (`fsync`).
    ///
    /// # Errors
    /// [`Error::Io`].
    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

/// An open file: regular, or a stream, device or pipe.
///
/// Reading and writing take an offset and leave no position behind. A method that the handle was not
/// opened for answers [`Error::BadHandle`], a mutator of a read-only file system [`Error::ReadOnly`].
pub trait File: Send + Sync {
    /// Metadata of the object (`fstat`), also after its name is gone.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn metadata(&self) -> Result<Metadata>;

    /// Reads into `buffer` from `offset` on and says how many bytes: fewer than asked only at the end
    /// of a regular file, 0 at or past it (`pread`). Streams ignore the offset and may give fewer.
    ///
    /// # Errors
    /// [`Error::BadHandle`], [`Error::Io`], [`Error::IsDirectory`].
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// Reads into several buffers in turn (`preadv`). The default stops at the first short read.
    ///
    /// # Errors
    /// As [`File::read_at`]; an error after the first byte is kept for the next call.
    fn read_vectored_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
        let mut done = 0;
        for buffer in buffers {
            match self.read_at(buffer, offset.saturating_add(done as u64)) {
                Ok(count) => {
                    done += count;
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// The whole contents as shared bytes: without a copy where the backend can (a mapping, the
    /// binary's own pages, an archive's), and what they were when it was called, or later, where it cannot.
    ///
    /// # Errors
    /// As [`File::read_at`]; [`Error::TooLarge`] where it does not fit in memory or the backend's budget;
    /// [`Error::IllegalSeek`] for streams.
    fn read_all(&self) -> Result<Bytes> {
        let size = usize::try_from(self.metadata()?.size).map_err(|_| Error::TooLarge)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| Error::NoMemory)?;
        bytes.resize(size, 0);
        let read = self.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes.into())
    }

    /// Writes `bytes` at `offset`, filling a gap before it with zeros, and says how many (`pwrite`).
    ///
    /// # Errors
    /// [`Error::BadHandle`], [`Error::NoSpace`], [`Error::Quota`], [`Error::TooLarge`], [`Error::ReadOnly`].
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        _ = (bytes, offset);
        Err(Error::ReadOnly)
    }

    /// Writes several buffers in turn (`pwritev`). The default stops at the first short write.
    ///
    /// # Errors
    /// As [`File::write_at`].
    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize> {
        let mut done = 0;
        for buffer in buffers {
            match self.write_at(buffer, offset.saturating_add(done as u64)) {
                Ok(count) => {
                    done += count;
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Writes several buffers at the end, wherever that is by then, in one step against other
    /// writers, and says how many bytes and where the end is afterwards (`O_APPEND`).
    ///
    /// # Errors
    /// As [`File::write_at`].
    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<(usize, u64)> {
        _ = buffers;
        Err(Error::ReadOnly)
    }

    /// Cuts or extends with zeros to `size` bytes (`ftruncate`).
    ///
    /// # Errors
    /// As [`File::write_at`].
    fn set_len(&self, size: u64) -> Result<()> {
        _ = size;
        Err(Error::ReadOnly)
    }

    /// Makes sure that `offset..offset + len` can be written, and extends the file to its end
    /// (`posix_fallocate`).
    ///
    /// # Errors
    /// As [`File::write_at`]; [`Error::Invalid`] for a `len` of 0.
    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        _ = (offset, len);
        Err(Error::ReadOnly)
    }

    /// Sets times (`futimens`).
    ///
    /// # Errors
    /// As [`Dir::set_times`].
    fn set_times(&self, times: SetTimes) -> Result<()> {
        _ = times;
        Err(Error::ReadOnly)
    }

    /// Returns once the contents would outlive a crash; with `metadata`, what was said of them too
    /// (`fdatasync`, `fsync`).
    ///
    /// # Errors
    /// [`Error::Io`].
    fn sync(&self, metadata: bool) -> Result<()> {
        _ = metadata;
        Ok(())
    }
}
