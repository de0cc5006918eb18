//! What all workers of a server share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kitbag_fs::memory::{self, Memory};

use super::cgi::Pool;
use super::log::Log;
use super::metrics::Metrics;
use super::site::Site;

/// Files in a shared folder, at the most.
const INODES: u64 = 1 << 16;

/// What all workers share.
pub(super) struct Shared {
    pub(super) current: Current,
    pub(super) metrics: Metrics,
    pub(super) log: Arc<Log>,
    pub(super) pool: Arc<Pool>,
}

/// The bundle that is served now.
pub(super) struct Current {
    site: Mutex<Arc<Site>>,
    /// Grows with each that is swapped in, so that workers look without locking.
    number: AtomicU64,
}

impl Current {
    pub(super) fn new(site: Site) -> Current {
        Current { site: Mutex::new(Arc::new(site)), number: AtomicU64::new(0) }
    }

    pub(super) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    pub(super) fn get(&self) -> Arc<Site> {
        Arc::clone(&lock(&self.site))
    }

    /// Swaps it in. Requests in flight keep the one they have.
    pub(super) fn set(&self, site: Site) {
        *lock(&self.site) = Arc::new(site);
        self.number.fetch_add(1, Ordering::Release);
    }
}

/// The folders that requests share, by their places: they outlive the bundle that asked for them first.
#[derive(Default)]
pub(super) struct Folders(Mutex<HashMap<Vec<u8>, Arc<Memory>>>);

impl Folders {
    /// The folder at `place`, which may hold `bytes` if it is new.
    pub(super) fn get(&self, place: &[u8], bytes: u64) -> Arc<Memory> {
        let new = || Arc::new(Memory::with_limits(memory::Limits { bytes, inodes: INODES }));
        Arc::clone(lock(&self.0).entry(place.to_vec()).or_insert_with(new))
    }
}

/// What is locked here is whole after every step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
