//! What goes into a bundle: a tree of the host, or files of a bundle that is packed again.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path as HostPath;
use std::sync::Arc;

use kitbag::bundle::NATIVE;
use kitbag_fs::disk::Disk;
use kitbag_fs::{Bytes, Dir, FileSystem, FileType, Follow, Node, OpenOptions, Path};

use super::rules::Glob;
use crate::cli::report::Failure;

/// An entry to be.
pub(super) enum Source {
    /// Opened when its turn comes: descriptors are few.
    File {
        root: Arc<dyn Dir>,
        path: Vec<u8>,
        mode: u32,
    },
    Bytes(Bytes),
    Link(Box<[u8]>),
    /// A folder without anything in it.
    Folder,
}

impl Source {
    /// The contents of a file.
    ///
    /// # Errors
    /// Those of opening and reading it.
    pub(super) fn read(root: &Arc<dyn Dir>, path: &[u8]) -> kitbag_fs::Result<Bytes> {
        root.open(Path::new(path)?, OpenOptions::read())?.file()?.read_all()
    }
}

/// Entries by their path in the bundle.
pub(super) type Sources = BTreeMap<Vec<u8>, Source>;

/// Adds everything in `files` below `at`, without what is excluded.
///
/// # Errors
/// What cannot be read, and paths that are there already.
pub(super) fn add_tree(
    sources: &mut Sources,
    at: &[u8],
    files: &dyn FileSystem,
    exclude: &[Glob],
    place: &str,
) -> Result<(), Failure> {
    let root = files.root().map_err(|error| Failure::new("cannot read", place, error))?;
    let mut walk = Walk { sources, root: root.clone(), exclude, place };
    walk.folder(&root, at, b"")
}

/// Adds a file of the host.
///
/// # Errors
/// As for [`add_tree`].
pub(super) fn add_file(sources: &mut Sources, at: &[u8], path: &HostPath) -> Result<(), Failure> {
    let refuse = |error: kitbag_fs::Error| Failure::new("cannot read", path.display(), error);
    let path = path.canonicalize().map_err(|error| refuse(error.into()))?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Failure::new("cannot pack", path.display(), "it is no file"));
    };
    let open = || {
        let root = Disk::read_only(folder)?.root()?;
        let metadata = root.stat(Path::new(name.as_bytes())?, Follow::Yes)?;
        Ok((root, metadata.mode))
    };
    let (root, mode) = open().map_err(refuse)?;
    insert(sources, at.to_vec(), Source::File { root, path: name.as_bytes().to_vec(), mode })
}

fn insert(sources: &mut Sources, path: Vec<u8>, source: Source) -> Result<(), Failure> {
    let shown = String::from_utf8_lossy(&path).into_owned();
    match sources.insert(path, source) {
        Some(_) => Err(Failure::new("cannot pack", shown, "it would be in the bundle twice")),
        None => Ok(()),
    }
}

struct Walk<'a> {
    sources: &'a mut Sources,
    root: Arc<dyn Dir>,
    exclude: &'a [Glob],
    place: &'a str,
}

impl Walk<'_> {
    /// Adds what is in a folder: `within` is its path from where the walk began, `at` that in the bundle.
    fn folder(&mut self, folder: &Arc<dyn Dir>, at: &[u8], within: &[u8]) -> Result<(), Failure> {
        let listing = folder.list().map_err(|error| self.refuse(within, error))?;
        let mut empty = true;
        for entry in listing.iter() {
            let within = join(within, &entry.name);
            let at = join(at, &entry.name);
            // Native code is made anew, and never taken over.
            if at != NATIVE.as_bytes() && !self.exclude.iter().any(|glob| glob.matches(&within)) {
                empty = false;
                self.entry(folder, &entry.name, at, &within).map_err(|error| match error {
                    Stop::Files(error) => self.refuse(&within, error),
                    Stop::Failure(failure) => failure,
                })?;
            }
        }
        if empty && !at.is_empty() {
            return insert(self.sources, [at, b"/"].concat(), Source::Folder);
        }
        Ok(())
    }

    fn entry(&mut self, folder: &Arc<dyn Dir>, name: &[u8], at: Vec<u8>, within: &[u8]) -> Result<(), Stop> {
        let path = Path::new(name)?;
        let metadata = folder.stat(path, Follow::No)?;
        let source = match metadata.kind {
            FileType::Symlink => Source::Link(folder.read_link(path)?),
            FileType::Directory => {
                let Node::Dir(inner) = folder.open(path, OpenOptions::directory())? else {
                    return Err(kitbag_fs::Error::NotDirectory.into());
                };
                return Ok(self.folder(&inner, &at, within)?);
            }
            FileType::File => Source::File { root: self.root.clone(), path: within.to_vec(), mode: metadata.mode },
            _ => return Err(Stop::Failure(self.refuse(within, "it is neither file, folder nor link"))),
        };
        Ok(insert(self.sources, at, source)?)
    }

    fn refuse(&self, within: &[u8], why: impl std::fmt::Display) -> Failure {
        let place = format!("{}/{}", self.place, String::from_utf8_lossy(within));
        Failure::new("cannot pack", place, why)
    }
}

/// Why an entry is not added.
enum Stop {
    Files(kitbag_fs::Error),
    Failure(Failure),
}

impl From<kitbag_fs::Error> for Stop {
    fn from(error: kitbag_fs::Error) -> Stop {
        Stop::Files(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}
