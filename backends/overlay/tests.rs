use std::sync::Arc;

use super::{Overlay, PRIVATE};
use crate::memory::{Limits, Memory, Used};
use crate::{
    Access, Create, Dir, Error, File, FileSystem, FileType, Follow, Metadata, OpenOptions, Path, Result, SetTime,
    SetTimes,
};

#[cfg(feature = "conformance")]
mod conforming;
mod faulty;
mod handles;
mod merging;
mod names;
mod oracle;
mod renaming;
mod rules;
mod whiteouts;

const LONG_AGO: i128 = 1_000_000_000_000_000_000;

fn path(text: &str) -> &Path {
    Path::new(text.as_bytes()).unwrap()
}

/// A file system in memory with these files (`text`), directories (`name/`) and links (`-> target`), all of them old.
fn memory(tree: &[(&str, &str)]) -> Arc<Memory> {
    let memory = Arc::new(Memory::new());
    let root = memory.root().unwrap();
    for &(name, text) in tree {
        let name = name.strip_suffix('/').map_or(name, |dir| {
            memory.create_dirs(path(dir)).unwrap();
            dir
        });
        match text.strip_prefix("-> ") {
            Some(target) => root.symlink(target.as_bytes(), path(name)).unwrap(),
            None if root.stat(path(name), Follow::No).is_ok() => {}
            None => memory.insert(path(name), text.as_bytes().to_vec().into()).unwrap(),
        }
    }
    age(&*root);
    memory
}

fn old() -> SetTimes {
    SetTimes { accessed: SetTime::At(LONG_AGO), modified: SetTime::At(LONG_AGO) }
}

/// Makes everything old.
fn age(dir: &dyn Dir) {
    for entry in dir.list().unwrap().iter() {
        let name = Path::new(&entry.name).unwrap();
        if entry.kind == FileType::Directory {
            age(&*dir.open(name, OpenOptions::directory()).unwrap().dir().unwrap());
        }
        dir.set_times(name, Follow::No, old()).unwrap();
    }
    dir.set_own_times(old()).unwrap();
}

/// What a test works on: an overlay, and its layers to look behind it.
struct Scene {
    upper: Arc<Memory>,
    lowers: Vec<Arc<Memory>>,
    overlay: Overlay,
    root: Arc<dyn Dir>,
}

/// An overlay of an empty upper over `lowers`.
fn over(lowers: &[Arc<Memory>]) -> Scene {
    with_upper(Arc::new(Memory::new()), lowers)
}

fn with_upper(upper: Arc<Memory>, lowers: &[Arc<Memory>]) -> Scene {
    let layers = lowers.iter().map(|lower| lower.clone() as Arc<dyn FileSystem>);
    let overlay = Overlay::new(upper.clone(), layers).unwrap();
    let root = overlay.root().unwrap();
    Scene { upper, lowers: lowers.to_vec(), overlay, root }
}

impl Scene {
    /// The same layers, as if the process had ended.
    fn restart(self) -> Scene {
        with_upper(self.upper, &self.lowers)
    }

    fn open(&self, name: &str, options: OpenOptions) -> Result<Arc<dyn File>> {
        self.root.open(path(name), options)?.file()
    }

    fn get(&self, name: &str) -> Result<String> {
        self.open(name, OpenOptions::read()).and_then(|file| text(&*file))
    }

    fn put(&self, name: &str, text: &str) -> Result<()> {
        let file = self.open(name, OpenOptions { truncate: true, ..OpenOptions::write() })?;
        file.write_at(text.as_bytes(), 0).map(|_| ())
    }

    fn mkdir(&self, name: &str) -> Result<()> {
        self.root.create_dir(path(name))
    }

    fn rmdir(&self, name: &str) -> Result<()> {
        self.root.remove_dir(path(name))
    }

    fn unlink(&self, name: &str) -> Result<()> {
        self.root.unlink(path(name))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.root.rename(path(from), &*self.root, path(to))
    }

    fn link(&self, from: &str, to: &str) -> Result<()> {
        self.root.link(path(from), Follow::No, &*self.root, path(to))
    }

    fn stat(&self, name: &str) -> Result<Metadata> {
        self.root.stat(path(name), Follow::No)
    }

    fn dir(&self, name: &str) -> Arc<dyn Dir> {
        self.root.open(path(name), OpenOptions::directory()).unwrap().dir().unwrap()
    }

    fn names(&self, name: &str) -> Vec<String> {
        names(&*self.dir(name))
    }

    /// Whether the upper holds nothing that the guest could see.
    fn upper_is_empty(&self) -> bool {
        names(&*self.upper.root().unwrap()).is_empty()
    }
}

fn names(dir: &dyn Dir) -> Vec<String> {
    let listing = dir.list().unwrap();
    let mut names: Vec<_> = listing.iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect();
    names.sort();
    names
}

fn text(file: &dyn File) -> Result<String> {
    let mut bytes = vec![0; 1 << 16];
    let count = file.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
}
