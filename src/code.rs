//! Memory that compiled code runs from: written once, then executable and never writable again.
//!
//! # Safety
//! [`CodeMemory`] owns a mapping of its own. It is filled before it is made executable, nothing changes it
//! afterwards, and it is unmapped only when nothing can run in it: stores keep their instances' modules, and
//! modules their code.

#![allow(unsafe_code, reason = "maps and fills executable memory; see the module's Safety section")]

mod registry;

use std::ptr::{self, NonNull};

use rustix::mm::{self, MapFlags, MprotectFlags, ProtFlags};

pub(crate) use self::registry::{CodeInfo, Registration, find};
use crate::{Error, Result};

/// Executable memory.
#[derive(Debug)]
pub(crate) struct CodeMemory {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: never written after it was made.
unsafe impl Send for CodeMemory {}
// SAFETY: as above.
unsafe impl Sync for CodeMemory {}

impl CodeMemory {
    /// A copy of `text` that can be executed.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit), where the system gives no memory, or none that can be executed.
    pub(crate) fn new(text: &[u8]) -> Result<CodeMemory> {
        let len = text.len().max(1);
        let limit = |error| Error::Limit(format!("{len} bytes of memory for code: {error}"));
        // SAFETY: a new mapping, at an address that the system chooses.
        let base =
            unsafe { mm::mmap_anonymous(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
        let base = NonNull::new(base.map_err(limit)?).expect("the system maps nothing at 0").cast::<u8>();
        let memory = CodeMemory { base, len };
        // SAFETY: the mapping is ours, as long as the text, and not yet shared.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr(), base.as_ptr(), text.len());
            mm::mprotect(base.as_ptr().cast(), len, MprotectFlags::READ | MprotectFlags::EXEC).map_err(limit)?;
        }
        Ok(memory)
    }

    /// The address of the byte at `offset`.
    ///
    /// # Panics
    /// If it is outside.
    pub(crate) fn at(&self, offset: u32) -> *const u8 {
        assert!((offset as usize) < self.len, "an offset outside the code");
        // SAFETY: inside the mapping.
        unsafe { self.base.as_ptr().add(offset as usize) }
    }

    pub(crate) fn base(&self) -> usize {
        self.base.as_ptr() as usize
    }

    pub(crate) fn contains(&self, pc: usize) -> bool {
        pc.wrapping_sub(self.base()) < self.len
    }
}

impl Drop for CodeMemory {
    fn drop(&mut self) {
        // SAFETY: ours, and nothing runs in it (see the module's Safety section).
        let unmapped = unsafe { mm::munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "a mapping of ours can be unmapped");
    }
}
