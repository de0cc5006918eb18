//! Whole paths, so that a lookup is one however deep it goes.
//!
//! The names in directories are what counts; this is what they come to, spelled without dots, links and doubled slashes. Each name is
//! here from when it is made until it goes, except long ones, and except after a directory moved with all that is in it:
//! then everything is forgotten, and found out again once as many lookups have gone name by name as there are names.

use hashbrown::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::space::Child;

/// Bytes of the longest path here. What files cost that the quota does not count is to stay of the order of their longest names.
const LONGEST: usize = 128;

/// Where a directory was when it was last known.
pub(super) struct Whole {
    path: Box<[u8]>,
    generation: u64,
}

#[derive(Default)]
pub(super) struct Paths {
    known: HashMap<Box<[u8]>, Child>,
    /// How often everything was forgotten.
    generation: u64,
    forgetful: bool,
    /// Lookups that went name by name since then.
    walked: AtomicUsize,
}

/// The path of a name in a directory.
pub(super) type Joined = crate::path::Joined<LONGEST>;

impl Paths {
    /// What the path means from the root. `None` says nothing about whether it is there.
    #[inline]
    pub(super) fn get(&self, path: &[u8]) -> Option<&Child> {
        self.known.get(path)
    }

    /// The path of a directory that was [noted](Paths::note), if it still is where it was.
    pub(super) fn place<'w>(&self, whole: &'w Whole) -> Option<&'w [u8]> {
        (whole.generation == self.generation).then_some(&*whole.path)
    }

    /// Notes what a path means now. For a directory it gives what to keep with it.
    pub(super) fn note(&mut self, path: &Joined, child: Child) -> Option<Whole> {
        let whole = child.is_dir().then(|| Whole { path: path.as_bytes().into(), generation: self.generation });
        self.known.insert(path.as_bytes().into(), child);
        whole
    }

    pub(super) fn remove(&mut self, path: &Joined) {
        self.known.remove(path.as_bytes());
    }

    pub(super) fn forget_all(&mut self) {
        self.known = HashMap::new();
        self.generation += 1;
        self.forgetful = true;
        self.walked.store(0, Ordering::Relaxed);
    }

    /// Everything is noted again.
    pub(super) fn recall(&mut self) {
        self.forgetful = false;
        self.walked.store(0, Ordering::Relaxed);
    }

    /// A lookup went name by name.
    pub(super) fn walk(&self) {
        if self.forgetful {
            self.walked.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether so many lookups did so that it pays to find out about `names` again.
    pub(super) fn want(&self, names: usize) -> bool {
        self.walked.load(Ordering::Relaxed) > names
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (&[u8], &Child)> {
        self.known.iter().map(|(path, child)| (&**path, child))
    }
}
