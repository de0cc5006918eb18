//! A handler's root folder, made when it is first looked at: most handlers answer out of memory, and laying out their
//! files would be a good part of what they take.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use kitbag_fs::{Dir, Follow, Listing, Metadata, Node, OpenOptions, Path, Result, SetTimes};

use super::handler::View;

/// The root of one request's files.
pub(super) struct Root {
    view: Arc<View>,
    /// Bytes that each of its layers may hold.
    bytes: u64,
    made: OnceLock<Result<Arc<dyn Dir>>>,
}

impl Root {
    pub(super) fn new(view: &Arc<View>, bytes: u64) -> Root {
        Root { view: Arc::clone(view), bytes, made: OnceLock::new() }
    }

    fn get(&self) -> Result<&dyn Dir> {
        match self.made.get_or_init(|| self.view.root(self.bytes)) {
            Ok(root) => Ok(&**root),
            Err(error) => Err(*error),
        }
    }
}

impl Dir for Root {
    /// What its file system knows, so that names can be moved and linked to it.
    fn as_any(&self) -> &dyn Any {
        self.get().map_or(self as &dyn Any, Dir::as_any)
    }

    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        self.get()?.open(path, options)
    }

    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata> {
        self.get()?.stat(path, follow)
    }

    fn metadata(&self) -> Result<Metadata> {
        self.get()?.metadata()
    }

    fn list(&self) -> Result<Listing> {
        self.get()?.list()
    }

    fn read_link(&self, path: &Path) -> Result<Box<[u8]>> {
        self.get()?.read_link(path)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.get()?.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.get()?.remove_dir(path)
    }

    fn unlink(&self, path: &Path) -> Result<()> {
        self.get()?.unlink(path)
    }

    fn symlink(&self, target: &[u8], path: &Path) -> Result<()> {
        self.get()?.symlink(target, path)
    }

    fn link(&self, from: &Path, follow: Follow, target: &dyn Dir, to: &Path) -> Result<()> {
        self.get()?.link(from, follow, target, to)
    }

    fn rename(&self, from: &Path, target: &dyn Dir, to: &Path) -> Result<()> {
        self.get()?.rename(from, target, to)
    }

    fn set_times(&self, path: &Path, follow: Follow, times: SetTimes) -> Result<()> {
        self.get()?.set_times(path, follow, times)
    }

    fn set_own_times(&self, times: SetTimes) -> Result<()> {
        self.get()?.set_own_times(times)
    }

    fn sync(&self) -> Result<()> {
        self.get()?.sync()
    }
}

#[cfg(test)]
mod tests {
    use kitbag_fs::Error;
    use kitbag_fs::memory::Memory;

    use super::*;

    #[test]
    fn made_when_it_is_looked_at() {
        let below = Memory::new();
        below.insert(Path::new(b"a").unwrap(), "below".into()).unwrap();
        let view = Arc::new(View { files: Arc::new(below), mounts: Vec::new() });
        let (root, other) = (Root::new(&view, 1 << 20), Root::new(&view, 1 << 20));
        assert!(root.made.get().is_none());
        let path = |name: &'static str| Path::new(name.as_bytes()).unwrap();
        root.rename(path("a"), &root, path("b")).unwrap();
        assert_eq!((root.list().unwrap().len(), root.stat(path("a"), Follow::No)), (1, Err(Error::NotFound)));
        assert!(other.made.get().is_none() && other.stat(path("a"), Follow::No).is_ok());
        assert_eq!(root.rename(path("b"), &other, path("c")), Err(Error::CrossDevice));
    }
}
