//! Counting what is taken up, so that a guest cannot take more than it was given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// How much a file system in memory may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of contents and of links' targets. Holes do not count, but of a file's 64 KiB pieces each that is not all a hole
    /// counts at least 128 bytes, unless it is the first.
    pub bytes: u64,
    /// Files, directories and links; further names of a file count too, since each takes memory.
    pub inodes: u64,
}

impl Default for Limits {
    /// 1 GiB in 262,144 inodes, each of which takes some hundred bytes besides.
    fn default() -> Limits {
        Limits { bytes: 1 << 30, inodes: 1 << 18 }
    }
}

/// How much a file system in memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Bytes, as [`Limits::bytes`] counts them.
    pub bytes: u64,
    /// Inodes, as [`Limits::inodes`] counts them.
    pub inodes: u64,
}

pub(super) struct Quota {
    limits: Limits,
    bytes: AtomicU64,
    inodes: AtomicU64,
}

impl Quota {
    pub(super) fn new(limits: Limits) -> Quota {
        Quota { limits, bytes: AtomicU64::new(0), inodes: AtomicU64::new(0) }
    }

    pub(super) fn used(&self) -> Used {
        Used { bytes: self.bytes.load(Ordering::Relaxed), inodes: self.inodes.load(Ordering::Relaxed) }
    }

    /// One more name of a file.
    pub(super) fn take_name(&self) -> Result<()> {
        take(&self.inodes, self.limits.inodes, 1)
    }

    /// One name less of a file that has another.
    pub(super) fn give_name(&self) {
        self.inodes.fetch_sub(1, Ordering::Relaxed);
    }
}

fn take(counter: &AtomicU64, limit: u64, amount: u64) -> Result<()> {
    let fits = |used: u64| used.checked_add(amount).filter(|&sum| sum <= limit);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_or(Err(Error::NoSpace), |_| Ok(()))
}

/// A share of the quota, given back when dropped.
pub(super) struct Charge {
    quota: Arc<Quota>,
    bytes: u64,
    inodes: u64,
}

impl Charge {
    pub(super) fn nothing(quota: &Arc<Quota>) -> Charge {
        Charge { quota: Arc::clone(quota), bytes: 0, inodes: 0 }
    }

    pub(super) fn inode(quota: &Arc<Quota>) -> Result<Charge> {
        quota.take_name()?;
        Ok(Charge { quota: Arc::clone(quota), bytes: 0, inodes: 1 })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What could be taken now, others permitting.
    pub(super) fn available(&self) -> u64 {
        self.quota.limits.bytes.saturating_sub(self.quota.used().bytes)
    }

    /// Takes or gives back until the share is `bytes`.
    pub(super) fn set_bytes(&mut self, bytes: u64) -> Result<()> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => take(&self.quota.bytes, self.quota.limits.bytes, more)?,
            None => _ = self.quota.bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed),
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.quota.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.quota.inodes.fetch_sub(self.inodes, Ordering::Relaxed);
    }
}
