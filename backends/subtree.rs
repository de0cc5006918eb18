//! A directory of a file system as a file system of its own.

use std::sync::Arc;

use crate::{Dir, FileSystem, OpenOptions, Path, Result};

/// What lies beneath one directory. The directory is opened once and held, wherever it is moved: since no path leads above a
/// handle, the handle is all that it takes.
///
/// ```
/// # #[cfg(feature = "memory")] {
/// use kitbag_fs::memory::Memory;
/// use kitbag_fs::subtree::Subtree;
/// use kitbag_fs::{Bytes, Error, FileSystem, Follow, Path};
///
/// let files = Memory::new();
/// files.insert(Path::new(b"srv/www/index.html")?, Bytes::from_static(b"hello"))?;
/// let pages = Subtree::new(&files, Path::new(b"srv/www")?)?.root()?;
/// assert_eq!(pages.stat(Path::new(b"index.html")?, Follow::Yes)?.size, 5);
/// assert_eq!(pages.stat(Path::new(b"../www")?, Follow::Yes), Err(Error::NotPermitted));
/// # }
/// # Ok::<(), kitbag_fs::Error>(())
/// ```
#[derive(Clone)]
pub struct Subtree(Arc<dyn Dir>);

impl Subtree {
    /// The directory at `path`.
    ///
    /// # Errors
    /// What opening it answers; [`Error::NotDirectory`](crate::Error::NotDirectory).
    pub fn new(files: &dyn FileSystem, path: &Path) -> Result<Subtree> {
        files.root()?.open(path, OpenOptions::directory())?.dir().map(Subtree)
    }
}

impl From<Arc<dyn Dir>> for Subtree {
    fn from(dir: Arc<dyn Dir>) -> Subtree {
        Subtree(dir)
    }
}

impl FileSystem for Subtree {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        Ok(Arc::clone(&self.0))
    }
}

#[cfg(all(test, feature = "conformance", feature = "memory"))]
mod tests {
    use super::*;
    use crate::conformance::{Capabilities, check};
    use crate::memory::Memory;

    #[test]
    fn conforms() {
        let files = Memory::new();
        files.create_dirs(Path::new(b"a/b").unwrap()).unwrap();
        let subtree = Subtree::new(&files, Path::new(b"a/b").unwrap()).unwrap();
        assert_eq!(check(&subtree, Capabilities::ALL), []);
    }
}
