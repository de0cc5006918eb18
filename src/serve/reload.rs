//! Bundles that are swapped in while they are served.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::open;
use super::state::{Folders, Shared, lock};
use crate::bundle::MANIFEST;

/// Where the bundle is, and what it looked like when it was opened last.
pub(super) struct Reloading {
    path: PathBuf,
    folders: Folders,
    pub(super) watch: bool,
    seen: std::sync::Mutex<Vec<Look>>,
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    inode: u64,
    size: u64,
    modified: Option<SystemTime>,
}

impl Reloading {
    pub(super) fn new(path: &Path, folders: Folders, watch: bool) -> Reloading {
        let seen = std::sync::Mutex::new(looks(path));
        Reloading { path: path.to_owned(), folders, watch, seen }
    }

    /// Opens the bundle anew and swaps it in; one that is broken is refused, and the old one stays. Takes as long as
    /// compiling its handlers.
    pub(super) fn reload(&self, shared: &Arc<Shared>) {
        // Before it is opened: what changes meanwhile is found by the next look.
        *lock(&self.seen) = looks(&self.path);
        match open(&self.path, &self.folders) {
            Ok(site) => {
                shared.current.set(site);
                shared.metrics.reloads.add(1);
                shared.log.note(format_args!("reloaded {}", self.path.display()));
            }
            Err(problem) => {
                shared.metrics.failed_reloads.add(1);
                shared.log.note(format_args!("not reloaded, the old one stays: {}: {problem}", self.path.display()));
            }
        }
    }

    /// Whether the bundle looks otherwise than when it was opened, and the same as `before`: one that is still being written
    /// is left alone.
    pub(super) fn has_changed(&self, before: &mut Changing) -> bool {
        let now = looks(&self.path);
        let settled = before.0.as_ref() == Some(&now);
        let changed = *lock(&self.seen) != now;
        before.0 = Some(now);
        changed && settled
    }
}

/// What the last look saw.
#[derive(Default)]
pub(super) struct Changing(Option<Vec<Look>>);

/// What is looked at: the archive, or of a folder the manifest and the modules, since files are served as they are.
fn looks(path: &Path) -> Vec<Look> {
    use std::os::unix::fs::MetadataExt;
    let look = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Look { inode: metadata.ino(), size: metadata.size(), modified: metadata.modified().ok() })
    };
    let mut seen: Vec<_> = look(path).into_iter().collect();
    if path.is_dir() {
        seen = look(&path.join(MANIFEST)).into_iter().collect();
        seen.extend(modules(path).iter().filter_map(|module| look(module)));
    }
    seen
}

/// The modules of a folder's handlers, as its manifest names them now.
fn modules(folder: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(folder.join(MANIFEST)).unwrap_or_default();
    let serve = crate::bundle::Manifest::parse(&text).ok().and_then(|manifest| manifest.serve).unwrap_or_default();
    super::site::modules(&serve).map(|module| folder.join(module)).collect()
}
