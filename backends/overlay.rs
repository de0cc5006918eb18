//! A writable layer over any number of read-only ones, with copy-up.
//!
//! [`Overlay`] shows an *upper* file system over *lowers*, each of any backend, and writes into the upper alone. It
//! answers as Linux' overlayfs does when mounted with `redirect_dir=on,index=on,xino=on`, except where that
//! falls short of POSIX and a tree in memory need not: a handle opened before a copy-up sees
//! what is written after it, and `set_times` through such a handle works.
//!
//! ```
//! # #[cfg(feature = "memory")] {
//! use std::sync::Arc;
//! use kitbag_fs::memory::Memory;
//! use kitbag_fs::overlay::Overlay;
//! use kitbag_fs::{FileSystem, OpenOptions, Path};
//!
//! let assets = Arc::new(Memory::new());
//! assets.insert(Path::new(b"etc/motd")?, "hello".into())?;
//! let overlay = Overlay::new(Arc::new(Memory::new()), [assets.clone() as Arc<dyn FileSystem>])?;
//!
//! let motd = Path::new(b"etc/motd")?;
//! overlay.root()?.open(motd, OpenOptions::write())?.file()?.write_at(b"J", 0)?;
//! assert_eq!(overlay.root()?.open(motd, OpenOptions::read())?.file()?.read_all()?, "Jello");
//! assert_eq!(assets.root()?.open(motd, OpenOptions::read())?.file()?.read_all()?, "hello");
//! # }
//! # Ok::<(), kitbag_fs::Error>(())
//! ```
//!
//! # What the upper holds
//!
//! The upper's root *is* the root of the upper tree, so that a folder of the host shows what the guest wrote under the
//! names the guest gave, and a folder that holds files already can be used as it is. In each of its directories
//! one name is the overlay's own, [`PRIVATE`]: a directory made when there is first something to say.
//!
//! | beneath `.kitbag-overlay/` | says |
//! |---|---|
//! | `hidden/NAME` | whiteout: nothing of the lowers shows at `NAME` in this directory |
//! | `lower` | redirect: the path in the lowers of what this directory merges with |
//! | `self` | what the *guest* calls `.kitbag-overlay` in this directory |
//! | `index/…` | (root only) the copy of a lower file that had several names |
//! | `work/…` | (root only) copies not finished yet; emptied when the overlay is opened |
//!
//! So every legal name is the guest's, that one too, and none reaches the overlay's state: not by escaping, which would
//! run into the limit on names (there is no injection of all names into all names but one), but
//! because the one reserved name leads elsewhere. There is no opaque mark: a directory made where a whiteout is,
//! stays over it and so merges with nothing. A whiteout may stay under any object of the upper, and
//! that lets each operation be marks first, then one step in the upper: a process that dies in between leaves the tree
//! as it was before. The marks move with the directory that they are in.
//!
//! The alternatives that lost: *whiteouts as special names* (`.wh.NAME`) cannot hold names of full length and are open
//! to forgery; *symlinks with a magic target* need an upper with symlinks, and directories have no
//! place for one; *state in a tree beside the contents* needs two renames for one, and so a journal; *state in memory* does not
//! survive a restart.
//!
//! # Names in memory
//!
//! A directory that was looked up is a node: handles on its upper and lowers, its whiteouts, its place. A
//! lookup is then a probe of the upper and, where it has nothing, of each lower. A node is unique while
//! anything holds it (the last [`NODES_KEPT`] loaded ones are held), which is what lets open handles follow renames. It can
//! always be made again from the upper.
//!
//! # Identity
//!
//! An inode number is the layer's own with the layer's index above bit 48; where that does not fit (and for objects of other
//! devices in a layer), a hash. What is copied up keeps its number for as long as the overlay is open. A
//! lower file with several names is copied once: the copy stays in the index, under the lower inode's number
//! and the count of names that are left, and every name not yet copied up leads to it, after a restart too.
//! The upper must therefore have stable inodes, and hard links for lower hard links to survive.
//!
//! # Limits
//!
//! - Lowers must not change underneath; as with the kernel's, what then shows is unspecified, but safe.
//! - Permission bits cannot be set through the traits; those of a copied file are remembered while the overlay is open.
//! - Devices, pipes and sockets of a lower can be used and removed, but not renamed ([`Error::NotSupported`]), since the traits
//!   make none.
//! - What the upper refuses to hold is refused: a lower link with an absolute target cannot be renamed into a
//!   folder of the host ([`Error::NotPermitted`]).
//! - The number of links of a directory is 1, which means (as with the kernel's) that it is not counted.
//!
//! # Locks
//!
//! Changes of the namespace take turns (`mutation`). What readers may not see half done, a
//! change commits under `topology`, which every lookup reads: contents are copied before that, so that no
//! reader waits for a copy. Reads and writes through handles take no lock of the overlay's.

mod copy_up;
mod dir;
mod file;
mod identity;
mod index;
mod lookup;
mod mutate;
mod node;
mod open;
mod rename;
mod upper;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{Dir, Error, FileSystem, Result};
use dir::OverlayDir;
use identity::Identities;
use node::{DirNode, LowerDir};
use upper::Upper;

/// The name in every directory of the upper that is the overlay's own. The guest may use it as any other.
pub const PRIVATE: &[u8] = b".kitbag-overlay";

/// How many directories are kept ready besides those in use. On a disk each holds a descriptor per layer; they are given
/// up when descriptors run out.
pub const NODES_KEPT: usize = 128;

/// A writable file system over read-only ones. Clones are the same file system.
#[derive(Clone)]
pub struct Overlay(Arc<Inner>);

impl Overlay {
    /// Puts `upper` over `lowers`, the topmost first. What an overlay has left in the upper before is taken up
    /// again, provided that the lowers are the same, in the same order. The upper must be used by nothing else.
    ///
    /// Nothing is written until the guest does, except that copies which a killed process left are removed.
    ///
    /// # Errors
    /// Those of opening the roots and of reading the overlay's state in the upper.
    pub fn new(upper: Arc<dyn FileSystem>, lowers: impl IntoIterator<Item = Arc<dyn FileSystem>>) -> Result<Overlay> {
        let lowers: Vec<_> = lowers.into_iter().map(|lower| lower.root()).collect::<Result<_>>()?;
        let upper = upper.root()?;
        let raw = upper.metadata()?;
        let mut roots = vec![raw.device];
        for lower in &lowers {
            roots.push(lower.metadata()?.device);
        }
        let ids = Arc::new(Identities::new(crate::fresh_device(), roots));
        let lowers = lowers.into_iter().zip(1..).map(|(dir, layer)| LowerDir { layer, dir }).collect();
        let root = DirNode::root(ids.of_upper(&raw), lowers, upper.clone())?;
        let overlay = Inner {
            upper: Upper::new(upper)?,
            ids,
            root: Arc::new(root),
            recent: Mutex::default(),
            topology: RwLock::default(),
            mutation: Mutex::default(),
        };
        overlay.load_index()?;
        Ok(Overlay(Arc::new(overlay)))
    }
}

impl FileSystem for Overlay {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        Ok(Arc::new(OverlayDir::new(self.0.clone(), self.0.root.clone())))
    }
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").field("lowers", &self.0.root.lowers().len()).finish_non_exhaustive()
    }
}

struct Inner {
    upper: Upper,
    ids: Arc<Identities>,
    root: Arc<DirNode>,
    /// The nodes loaded last, kept from being dropped.
    recent: Mutex<VecDeque<Arc<DirNode>>>,
    /// Read by every lookup; written while a change is committed.
    topology: RwLock<()>,
    /// Held by whoever changes the namespace, from its first lookup to the end.
    mutation: Mutex<()>,
}

impl Inner {
    /// Does `act`, once more without the directories that are kept ready if there are too many handles.
    fn sparing<T>(&self, act: impl Fn() -> Result<T>) -> Result<T> {
        match act() {
            Err(Error::TooManyFiles) => {
                drop(std::mem::take(&mut *lock(&self.recent)));
                act()
            }
            other => other,
        }
    }
}

/// No code panics while it holds a lock, and what the locks guard is whole between any two statements; so a poisoned
/// one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, feature = "memory"))]
mod tests;
