//! Directories and other objects as a lookup finds them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, Weak};

use super::identity::{Identity, Key};
use super::upper::Marks;
use super::{read, write};
use crate::{Dir, FileType, Metadata, Result};

/// How many entries of `children` are let grow before dead ones are swept out.
const CHILDREN_MIN: usize = 32;

/// A directory of a lower that a merged directory consists of.
#[derive(Clone)]
pub(super) struct LowerDir {
    pub(super) layer: u32,
    pub(super) dir: Arc<dyn Dir>,
}

/// A directory of the overlay.
pub(super) struct DirNode {
    pub(super) identity: Identity,
    /// The topmost first.
    lowers: Vec<LowerDir>,
    /// Whether it merges with them no more.
    opaque: AtomicBool,
    state: RwLock<State>,
}

/// What changes. The lock is held for a moment each time and never while a layer is called.
struct State {
    upper: Option<Arc<dyn Dir>>,
    marks: Marks,
    children: HashMap<Box<[u8]>, Weak<DirNode>>,
    /// How long `children` may get before it is swept.
    sweep_at: usize,
    /// The parent and the name in it; nothing for the root and for what was removed.
    place: Option<(Arc<DirNode>, Box<[u8]>)>,
    removed: bool,
}

/// What a directory knows of a name before its layers are asked.
pub(super) enum Peek {
    /// The directory is gone, and so are all names.
    Removed,
    Known(Arc<DirNode>),
    Look {
        upper: Option<Arc<dyn Dir>>,
        hidden: bool,
    },
}

impl DirNode {
    pub(super) fn new(
        identity: Identity,
        lowers: Vec<LowerDir>,
        upper: Option<(Arc<dyn Dir>, Marks)>,
        place: Option<(Arc<DirNode>, Box<[u8]>)>,
    ) -> DirNode {
        let (upper, marks) = upper.unzip();
        let marks = marks.unwrap_or_default();
        let children = HashMap::new();
        let state = State { upper, marks, children, sweep_at: CHILDREN_MIN, place, removed: false };
        DirNode { identity, lowers, opaque: AtomicBool::new(false), state: RwLock::new(state) }
    }

    pub(super) fn root(identity: Identity, lowers: Vec<LowerDir>, upper: Arc<dyn Dir>) -> Result<DirNode> {
        let marks = Marks::load(&*upper)?;
        Ok(DirNode::new(identity, lowers, Some((upper, marks)), None))
    }

    /// What it merges with.
    pub(super) fn lowers(&self) -> &[LowerDir] {
        if self.opaque.load(Ordering::Acquire) { &[] } else { &self.lowers }
    }

    /// The lower that something of it was found in.
    pub(super) fn lower(&self, at: usize) -> &LowerDir {
        &self.lowers[at]
    }

    /// Says that the directory, in which nothing shows, merges with nothing from now on.
    pub(super) fn set_opaque(&self) {
        self.opaque.store(true, Ordering::Release);
    }

    pub(super) fn peek(&self, name: &[u8]) -> Peek {
        let state = read(&self.state);
        if state.removed {
            return Peek::Removed;
        }
        match state.children.get(name).and_then(Weak::upgrade) {
            Some(node) => Peek::Known(node),
            None => Peek::Look { upper: state.upper.clone(), hidden: state.marks.hidden.contains(name) },
        }
    }

    pub(super) fn upper(&self) -> Option<Arc<dyn Dir>> {
        read(&self.state).upper.clone()
    }

    pub(super) fn set_upper(&self, upper: Arc<dyn Dir>) {
        write(&self.state).upper = Some(upper);
    }

    pub(super) fn hides(&self, name: &[u8]) -> bool {
        read(&self.state).marks.hidden.contains(name)
    }

    /// Calls `see` with the whiteouts.
    pub(super) fn with_hidden<R>(&self, see: impl FnOnce(&HashSet<Box<[u8]>>) -> R) -> R {
        see(&read(&self.state).marks.hidden)
    }

    pub(super) fn set_hidden(&self, name: &[u8]) {
        write(&self.state).marks.hidden.insert(name.into());
    }

    pub(super) fn is_redirected(&self) -> bool {
        read(&self.state).marks.redirect.is_some()
    }

    pub(super) fn set_redirect(&self, path: Box<[u8]>) {
        write(&self.state).marks.redirect = Some(path);
    }

    /// Where the lowers have what this directory merges with, if they do: the names joined by slashes. A
    /// directory without a redirect has the name there that it has here.
    pub(super) fn lower_path(self: &Arc<DirNode>) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = Some(self.clone());
        while let Some(node) = at {
            let state = read(&node.state);
            let redirect = state.marks.redirect.as_ref();
            names.extend(redirect.or(state.place.as_ref().map(|(_, name)| name)).cloned());
            at = if redirect.is_some() { None } else { state.place.as_ref().map(|(parent, _)| parent.clone()) };
        }
        names.reverse();
        names.join(&b'/')
    }

    pub(super) fn is_removed(&self) -> bool {
        read(&self.state).removed
    }

    /// The parent and the name in it.
    pub(super) fn place(&self) -> Option<(Arc<DirNode>, Box<[u8]>)> {
        read(&self.state).place.clone()
    }

    pub(super) fn parent(&self) -> Option<Arc<DirNode>> {
        read(&self.state).place.as_ref().map(|(parent, _)| parent.clone())
    }

    /// Whether `self` is `other` or lies above it.
    pub(super) fn holds(self: &Arc<DirNode>, other: &Arc<DirNode>) -> bool {
        let mut at = Some(other.clone());
        while let Some(node) = at {
            if Arc::ptr_eq(self, &node) {
                return true;
            }
            at = node.parent();
        }
        false
    }

    /// Makes `child` known under `name`, unless another lookup was faster: gives what is known then.
    pub(super) fn know(&self, name: &[u8], child: Arc<DirNode>) -> Arc<DirNode> {
        let state = &mut *write(&self.state);
        if let Some(known) = state.children.get(name).and_then(Weak::upgrade) {
            return known;
        }
        if state.children.len() >= state.sweep_at {
            state.children.retain(|_, child| child.strong_count() > 0);
            state.sweep_at = CHILDREN_MIN.max(2 * state.children.len());
        }
        state.children.insert(name.into(), Arc::downgrade(&child));
        child
    }

    /// Says that the directory has no name any more.
    pub(super) fn remove(&self) {
        let place = {
            let state = &mut *write(&self.state);
            state.removed = true;
            state.place.take()
        };
        if let Some((parent, name)) = place {
            write(&parent.state).children.remove(&name);
        }
    }

    /// Says that the directory is `name` in `parent` now.
    pub(super) fn move_to(self: &Arc<DirNode>, parent: &Arc<DirNode>, name: &[u8]) {
        let old = write(&self.state).place.replace((parent.clone(), name.into()));
        if let Some((parent, name)) = old {
            write(&parent.state).children.remove(&name);
        }
        write(&parent.state).children.insert(name.into(), Arc::downgrade(self));
    }
}

impl Drop for DirNode {
    /// Drops the nodes above one after the other: a guest decides how many there are, the stack does not.
    fn drop(&mut self) {
        let take = |node: &mut DirNode| node.state.get_mut().ok().and_then(|state| state.place.take());
        let mut above = take(self);
        while let Some((parent, _)) = above {
            above = Arc::into_inner(parent).and_then(|mut parent| take(&mut parent));
        }
    }
}

/// Where an object that is no directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whence {
    /// In the upper, under its name.
    Upper(Key),
    /// In the lower of its directory that has this position, and nowhere else.
    Lower { at: usize, key: Key },
    /// In the index: the lower inode has several names, and this one was not copied up.
    Indexed(Key),
}

/// An object that is no directory, at a name.
pub(super) struct Leaf {
    pub(super) dir: Arc<DirNode>,
    pub(super) name: Box<[u8]>,
    pub(super) whence: Whence,
    /// As the overlay shows it.
    pub(super) shown: Metadata,
}

impl Leaf {
    /// What it keeps when it is copied up.
    pub(super) fn identity(&self) -> Identity {
        Identity { number: self.shown.inode, mode: Some(self.shown.mode) }
    }
}

/// What a lookup finds.
#[derive(Clone)]
pub(super) enum Found {
    Dir(Arc<DirNode>),
    Leaf(Arc<Leaf>),
}

impl Found {
    pub(super) fn kind(&self) -> FileType {
        match self {
            Found::Dir(_) => FileType::Directory,
            Found::Leaf(leaf) => leaf.shown.kind,
        }
    }
}
