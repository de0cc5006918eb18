//! A file system through which nothing changes.
//!
//! Directories and files are wrapped one by one, so that the handles refuse too, not only the names: neither truncation nor a hard
//! link, neither rename nor times get through, also not towards a writable view of the same file system.
//!
//! ```
//! # #[cfg(feature = "memory")] {
//! use kitbag_fs::memory::Memory;
//! use kitbag_fs::readonly::ReadOnly;
//! use kitbag_fs::{Bytes, Error, FileSystem, OpenOptions, Path};
//!
//! let files = Memory::new();
//! files.insert(Path::new(b"motd")?, Bytes::from_static(b"hello"))?;
//! let root = ReadOnly::new(files).root()?;
//! assert_eq!(root.open(Path::new(b"motd")?, OpenOptions::read())?.file()?.read_all()?, "hello");
//! assert_eq!(root.unlink(Path::new(b"motd")?), Err(Error::ReadOnly));
//! # }
//! # Ok::<(), kitbag_fs::Error>(())
//! ```

use std::any::Any;
use std::borrow::Cow;
use std::io::IoSliceMut;
use std::sync::Arc;

use crate::resolve::LINKS_MAX;
use crate::{Bytes, Create, Dir, Error, File, FileSystem, Follow, Listing, Metadata, Node, OpenOptions, Path, Result};

/// What `F` holds, for reading.
pub struct ReadOnly<F>(F);

impl<F: FileSystem> ReadOnly<F> {
    /// A view of `files`.
    pub const fn new(files: F) -> ReadOnly<F> {
        ReadOnly(files)
    }
}

impl<F: FileSystem> FileSystem for ReadOnly<F> {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        self.0.root().map(dir)
    }
}

/// A view of one directory and what is beneath it.
#[must_use]
pub fn dir(inner: Arc<dyn Dir>) -> Arc<dyn Dir> {
    Arc::new(ReadOnlyDir(inner))
}

/// A view of one file.
#[must_use]
pub fn file(inner: Arc<dyn File>) -> Arc<dyn File> {
    Arc::new(ReadOnlyFile(inner))
}

/// Opens beneath `dir`, which can be changed or not, as a file system without writing does: what is there is opened
/// if the options neither write nor truncate, nothing is made, and everything is refused with the error that Linux has for it.
pub(crate) fn open_without_change(dir: &dyn Dir, path: &Path, options: OpenOptions) -> Result<Node> {
    options.validate()?;
    let place =
        if options.creates() { place(dir, path, options.follow_last())? } else { Cow::Borrowed(path.as_bytes()) };
    let path = Path::new(&place)?;
    let kind = match dir.stat(path, options.follow_last()) {
        Err(Error::NotFound) if options.creates() && path.split_last().is_some() => return Err(Error::ReadOnly),
        other => other?.kind,
    };
    options.admit(kind)?;
    if options.access.write {
        return Err(Error::ReadOnly);
    }
    dir.open(path, OpenOptions { create: Create::No, ..options })
}

/// Where a file would be made for `path`: links in the last place are followed, to nothing too. What is to hold it is there.
fn place<'p>(dir: &dyn Dir, path: &'p Path, follow: Follow) -> Result<Cow<'p, [u8]>> {
    let mut bytes = Cow::Borrowed(path.as_bytes());
    for _ in 0..=LINKS_MAX {
        let path = Path::new(&bytes)?;
        let Some((parent, _)) = path.split_last() else { return Ok(bytes) };
        dir.open(parent, OpenOptions::directory())?;
        if path.as_bytes().ends_with(b"/") {
            return Err(Error::IsDirectory);
        }
        let target = match dir.read_link(path) {
            Ok(target) if target.starts_with(b"/") && follow == Follow::Yes => return Err(Error::NotPermitted),
            Ok(target) if follow == Follow::Yes => target,
            _ => return Ok(bytes),
        };
        bytes = Cow::Owned([parent.as_bytes(), b"/", &*target].concat());
    }
    Err(Error::Loop)
}

struct ReadOnlyDir(Arc<dyn Dir>);

impl Dir for ReadOnlyDir {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        let opened = match options.mutates() {
            true => open_without_change(&*self.0, path, options)?,
            false => self.0.open(path, options)?,
        };
        Ok(match opened {
            Node::File(inner) => Node::File(file(inner)),
            Node::Dir(inner) => Node::Dir(dir(inner)),
        })
    }

    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata> {
        self.0.stat(path, follow)
    }

    fn metadata(&self) -> Result<Metadata> {
        self.0.metadata()
    }

    fn list(&self) -> Result<Listing> {
        self.0.list()
    }

    fn read_link(&self, path: &Path) -> Result<Box<[u8]>> {
        self.0.read_link(path)
    }
}

struct ReadOnlyFile(Arc<dyn File>);

impl File for ReadOnlyFile {
    fn metadata(&self) -> Result<Metadata> {
        self.0.metadata()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn read_vectored_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
        self.0.read_vectored_at(buffers, offset)
    }

    fn read_all(&self) -> Result<Bytes> {
        self.0.read_all()
    }
}

#[cfg(all(test, feature = "conformance", feature = "memory"))]
mod tests {
    use super::*;
    use crate::conformance::{Capabilities, check, tree};
    use crate::memory::Memory;

    fn path(text: &str) -> &Path {
        Path::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn conforms() {
        let files = Memory::new();
        tree::write_into(&*files.root().unwrap(), Capabilities::ALL).unwrap();
        assert_eq!(check(&ReadOnly::new(files), Capabilities::READ_ONLY), []);
    }

    #[test]
    fn a_writable_view_of_the_same_files_is_no_way_in() {
        let files = Memory::new();
        tree::write_into(&*files.root().unwrap(), Capabilities::ALL).unwrap();
        let (view, real) = (dir(files.root().unwrap()), files.root().unwrap());
        assert_eq!(view.link(path("hello.txt"), Follow::No, &*real, path("l")), Err(Error::ReadOnly));
        assert_eq!(view.rename(path("hello.txt"), &*real, path("l")), Err(Error::ReadOnly));
        assert_eq!(real.link(path("hello.txt"), Follow::No, &*view, path("l")), Err(Error::CrossDevice));
        assert_eq!(real.rename(path("hello.txt"), &*view, path("l")), Err(Error::CrossDevice));
    }
}
