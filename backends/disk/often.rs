//! Positioned reads of a file that is read often.

use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::fstat;

use super::convert::metadata;
use crate::mapped::{self, Window};
use crate::{FileType, Metadata};

/// How many reads by system call cost as much as it does to map a small file and to unmap it (some 10 microseconds against a
/// quarter of one each). Before so many, mapping may not pay.
const READS_MIN: u32 = 32;

/// For how many bytes of a larger file unmapping costs as much as one more.
const BYTES_PER_READ: u64 = 256 << 10;

/// The sizes of files that are mapped for this.
const SIZES: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 30;

/// Counts reads by system call until they have cost as much as a mapping would have, and then has one: so at the worst the file costs
/// twice what the better choice would have.
pub(super) struct Often {
    reads: AtomicU32,
    window: OnceLock<Window>,
}

impl Often {
    pub(super) fn new() -> Often {
        Often { reads: AtomicU32::new(0), window: OnceLock::new() }
    }

    /// Fills `buffer` with what is at `offset` of the file, if there is a mapping that has it; the kernel has to be asked
    /// otherwise.
    pub(super) fn fill(&self, fd: &OwnedFd, buffer: &mut [u8], offset: u64) -> bool {
        if let Some(window) = self.window.get() {
            return window.fill(buffer, offset);
        }
        // Threads that read at the same time may count as one.
        let reads = self.reads.load(Ordering::Relaxed).wrapping_add(1);
        self.reads.store(reads, Ordering::Relaxed);
        if reads >= READS_MIN && reads.is_power_of_two() {
            self.consider(fd, reads);
        }
        false
    }

    #[cold]
    fn consider(&self, fd: &OwnedFd, reads: u32) {
        if !mapped::enabled() {
            return;
        }
        let Ok(Metadata { kind, size, .. }) = fstat(fd).map(|stat| metadata(&stat)) else { return };
        let pays = u64::from(reads) >= u64::from(READS_MIN) + size / BYTES_PER_READ;
        if kind == FileType::File
            && SIZES.contains(&size)
            && pays
            && let Some(window) = Window::onto(fd)
        {
            self.window.get_or_init(|| window);
        }
    }
}
