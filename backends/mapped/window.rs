//! Copying out of a mapping what reading by a system call would give.
//!
//! Nobody but this package sees the mapping, and what comes out of it has to be what the kernel would have answered. So damage is no
//! error here: from then on the kernel is asked. And not all that a shortened file loses raises a signal: in the page that its end falls
//! into, zeros show behind the end. Therefore each copy is followed by a look at the page *behind* what was copied: if that is there, the
//! file reached that far, and no end was in what was copied. The last page has none behind it and is left to the kernel.
//!
//! While the file is cut short and written again, a copy may show zeros that were there in between. So may a read by the kernel, which
//! looks at the size before it copies.
//!
//! What other processes and this one write shows, since the mapping is shared with them; what the file gains behind the mapping is
//! the kernel's to read.

use std::os::fd::AsFd;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Mapping, PAGE};

/// How many there are at the most. A process of Linux can have some 65,000 mappings in all.
const COUNT_MAX: usize = 1024;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The contents of a file, for copying out of them.
pub(crate) struct Window {
    mapping: Mapping,
    _counted: Counted,
}

impl Window {
    /// One onto all that a regular file has now; none if there are too many already or the system refuses. Only where files are
    /// [mapped](super::enabled).
    pub(crate) fn onto(file: &impl AsFd) -> Option<Window> {
        let counted = Counted::new()?;
        Some(Window { mapping: Mapping::of(file, false).ok()?, _counted: counted })
    }

    /// Fills `buffer` with what is at `offset`. If it does not, the kernel has to be asked, and what is in the buffer does not count.
    pub(crate) fn fill(&self, buffer: &mut [u8], offset: u64) -> bool {
        let Some((bytes, behind)) = self.part(buffer.len(), offset) else { return false };
        buffer.copy_from_slice(bytes);
        // SAFETY: it is in the mapping. Volatile, since it is read for the signal that it may raise.
        unsafe { ptr::read_volatile(behind) };
        !self.mapping.entry.is_damaged()
    }

    /// The bytes there, and the first one of the page behind them.
    fn part(&self, length: usize, offset: u64) -> Option<(&[u8], &u8)> {
        let map = self.mapping.as_ref();
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(length)?;
        let behind = map.get(end.checked_next_multiple_of(PAGE.load(Ordering::Relaxed))?)?;
        if self.mapping.entry.is_damaged() { None } else { Some((&map[start..end], behind)) }
    }
}

/// One of those that may be.
struct Counted;

impl Counted {
    fn new() -> Option<Counted> {
        let another = |count| if count < COUNT_MAX { Some(count + 1) } else { None };
        COUNT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, another).ok().map(|_| Counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}
