//! What every backend has to do, as a function that returns each violation.
//!
//! A backend's test calls [`check`] with what the backend says it can do, and expects nothing back:
//!
//! ```
//! # #[cfg(feature = "memory")] {
//! use kitbag_fs::conformance::{Capabilities, check};
//!
//! let files = kitbag_fs::memory::Memory::new();
//! assert_eq!(check(&files, Capabilities::ALL), []);
//! # }
//! ```
//!
//! A file system that can be written starts with an empty root; each group of checks works in a directory of
//! its own there. One that cannot be written holds the [standard tree](tree) at its root, which
//! [`tree::items`] lists and [`tree::write_to_host`] and [`tree::write_into`] make. The oracle is Linux: the expected errors are
//! those of its local file systems, and the disk backend passes the same checks.

mod contents;
mod handles;
mod names;
pub mod operations;
mod reading;
mod refusing;
mod renaming;
mod sharing;
#[cfg(all(test, feature = "memory"))]
mod tests;
pub mod tree;

use std::fmt::{self, Debug, Display};
use std::sync::Arc;

use crate::{Access, Create, Dir, Error, File, FileSystem, Follow, Metadata, OpenOptions, Path, Result};

/// What a backend says of itself. What it cannot do is not asked of it; what it can do is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It can be changed. Without it, every change has to be refused.
    pub writing: bool,
    /// A file can have several names.
    pub hard_links: bool,
    /// There are symbolic links.
    pub symlinks: bool,
    /// A directory can be empty.
    pub empty_dirs: bool,
    /// Inode numbers tell objects apart and stay.
    pub stable_inodes: bool,
    /// A handle survives the renaming and the removal of its name.
    pub handles_after_rename: bool,
    /// A name can be any bytes.
    pub non_utf8_names: bool,
    /// Times can be set.
    pub times: bool,
}

impl Capabilities {
    /// All that is asked of a backend that writes.
    pub const ALL: Capabilities = Capabilities {
        writing: true,
        hard_links: true,
        symlinks: true,
        empty_dirs: true,
        stable_inodes: true,
        handles_after_rename: true,
        non_utf8_names: true,
        times: true,
    };

    /// All that is asked of a backend that does not.
    pub const READ_ONLY: Capabilities = Capabilities { writing: false, ..Capabilities::ALL };
}

/// One thing that a backend does otherwise than it has to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The group of checks.
    pub area: &'static str,
    /// What was done, what was expected and what came.
    pub what: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.area, self.what)
    }
}

type Area = (&'static str, fn(&mut Scene<'_>) -> Result<()>);

const READING: &[Area] = &[
    ("tree", reading::contents),
    ("reading", reading::positions),
    ("listing", reading::listings),
    ("opening", reading::opening),
    ("resolution", reading::resolution),
    ("links", reading::links),
];

const REFUSING: &[Area] = &[("refusing", refusing::names), ("refusing", refusing::files)];

const WRITING: &[Area] = &[
    ("directories", names::directories),
    ("creating", names::creating_files),
    ("unlinking", names::unlinking),
    ("symlinks", names::symlinks),
    ("hard links", names::hard_links),
    ("renaming files", renaming::files),
    ("renaming directories", renaming::directories),
    ("renaming dots and slashes", renaming::dots_and_slashes),
    ("writing", contents::writing),
    ("sizes", contents::sizes),
    ("appending", contents::appending),
    ("access", contents::access),
    ("file handles", handles::files),
    ("directory handles", handles::directories),
    ("inodes", handles::inodes),
    ("times", handles::times),
    ("exclusive creation", sharing::exclusive),
    ("appending together", sharing::appenders),
    ("replacing while reading", sharing::replacing),
];

/// Checks `files` against all that `can` claims, and returns every violation found.
///
/// With [`Capabilities::writing`] the root has to be empty and is left full of remains; without it, it has to
/// hold the [standard tree](tree).
pub fn check(files: &dyn FileSystem, can: Capabilities) -> Vec<Violation> {
    let mut found = Vec::new();
    match files.root() {
        Err(error) => found.push(Violation { area: "root", what: format!("root(): {error}") }),
        Ok(root) => {
            same_root(files, &*root, can, &mut found);
            if can.writing { check_writing(&root, can, &mut found) } else { check_reading(root, can, &mut found) }
        }
    }
    found
}

fn same_root(files: &dyn FileSystem, root: &dyn Dir, can: Capabilities, found: &mut Vec<Violation>) {
    let inode = |metadata: Metadata| (metadata.inode, metadata.device);
    let again = files.root().and_then(|root| root.metadata()).map(inode);
    let first = root.metadata().map(inode);
    if can.stable_inodes && (first != again || first.is_err()) {
        found.push(Violation { area: "root", what: format!("two roots: {first:?} and {again:?}") });
    }
}

fn check_reading(root: Arc<dyn Dir>, can: Capabilities, found: &mut Vec<Violation>) {
    for area in REFUSING.iter().chain(READING) {
        run(area, Arc::clone(&root), can, found);
    }
}

fn check_writing(root: &Arc<dyn Dir>, can: Capabilities, found: &mut Vec<Violation>) {
    for (number, area) in WRITING.iter().enumerate() {
        match room(&**root, &format!("w{number}")) {
            Ok(dir) => run(area, dir, can, found),
            Err(error) => found.push(Violation { area: area.0, what: format!("making its directory: {error}") }),
        }
    }
    match room(&**root, "standard").and_then(|dir| tree::write_into(&*dir, can).map(|()| dir)) {
        Ok(dir) => READING.iter().for_each(|area| run(area, Arc::clone(&dir), can, found)),
        Err(error) => found.push(Violation { area: "tree", what: format!("writing the standard tree: {error}") }),
    }
}

fn room(root: &dyn Dir, name: &str) -> Result<Arc<dyn Dir>> {
    root.create_dir(Path::new(name.as_bytes())?)?;
    root.open(Path::new(name.as_bytes())?, OpenOptions::directory())?.dir()
}

fn run(&(area, checks): &Area, dir: Arc<dyn Dir>, can: Capabilities, found: &mut Vec<Violation>) {
    let mut scene = Scene { dir, can, area, found };
    if let Err(error) = checks(&mut scene) {
        scene.add(format!("a step that the next ones need failed after those reported here: {error}"));
    }
}

/// A directory to work in, and the report.
struct Scene<'f> {
    dir: Arc<dyn Dir>,
    can: Capabilities,
    area: &'static str,
    found: &'f mut Vec<Violation>,
}

impl Scene<'_> {
    fn add(&mut self, what: String) {
        self.found.push(Violation { area: self.area, what });
    }

    /// Reports if `got` is not `want`.
    #[track_caller]
    fn same<T: PartialEq + Debug>(&mut self, what: impl Display, got: T, want: T) {
        if got != want {
            let line = std::panic::Location::caller().line();
            self.add(format!("{what}: expected {want:?}, got {got:?} (line {line})"));
        }
    }

    /// Reports if `got` is none of `wanted`.
    #[track_caller]
    fn one_of<T: PartialEq + Debug>(&mut self, what: impl Display, got: T, wanted: &[T]) {
        if !wanted.contains(&got) {
            let line = std::panic::Location::caller().line();
            self.add(format!("{what}: expected one of {wanted:?}, got {got:?} (line {line})"));
        }
    }

    /// Reports if it does not hold.
    #[track_caller]
    fn holds(&mut self, what: impl Display, it: bool) {
        self.same(what, it, true);
    }

    fn open(&self, path: &str, options: OpenOptions) -> Result<Arc<dyn File>> {
        self.dir.open(at(path), options)?.file()
    }

    fn subdir(&self, path: &str) -> Result<Arc<dyn Dir>> {
        self.dir.open(at(path), OpenOptions::directory())?.dir()
    }

    /// Makes or overwrites a file.
    fn put(&self, path: &str, bytes: &[u8]) -> Result<Arc<dyn File>> {
        let file = self.open(path, OpenOptions { truncate: true, ..OpenOptions::write() })?;
        file.write_at(bytes, 0)?;
        Ok(file)
    }

    fn mkdir(&self, path: &str) -> Result<()> {
        self.dir.create_dir(at(path))
    }

    fn symlink(&self, target: &str, path: &str) -> Result<()> {
        self.dir.symlink(target.as_bytes(), at(path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.dir.rename(at(from), &*self.dir, at(to))
    }

    /// The contents at a path, as text.
    fn get(&self, path: &str) -> Result<String> {
        text(&*self.open(path, OpenOptions::read())?)
    }

    fn stat(&self, path: &str) -> Result<Metadata> {
        self.dir.stat(at(path), Follow::No)
    }

    /// The names at a path, sorted.
    fn names(&self, path: &str) -> Result<Vec<String>> {
        names_in(&*self.subdir(path)?)
    }
}

/// A path that is known to be valid.
fn at(path: &str) -> &Path {
    Path::new(path.as_bytes()).expect("the checks use valid paths")
}

fn names_in(dir: &dyn Dir) -> Result<Vec<String>> {
    let listing = dir.list()?;
    let mut names: Vec<_> = listing.iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect();
    names.sort();
    Ok(names)
}

/// All that `file` holds, by reading at offsets.
fn bytes(file: &dyn File) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        match file.read_at(&mut buffer, all.len() as u64)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

fn text(file: &dyn File) -> Result<String> {
    String::from_utf8(bytes(file)?).map_err(|_| Error::IllegalSequence)
}

const fn creating(create: Create) -> OpenOptions {
    OpenOptions { create, ..OpenOptions::read() }
}

const fn with(read: bool, write: bool) -> OpenOptions {
    OpenOptions { access: Access { read, write }, ..OpenOptions::read() }
}
