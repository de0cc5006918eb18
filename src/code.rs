//! Memory that compiled code runs from: written once, then executable and never writable again.
//!
//! # Safety
//! [`CodeMemory`] owns a mapping of its own. It is filled before it is made executable, or is a private mapping of a file that who
//! calls vouches for; nothing changes it afterwards, and it is unmapped only when nothing can run in it: stores keep
//! their instances' modules, and modules their code. [`FileMapping`] is one that is only read.

#![allow(unsafe_code, reason = "maps and fills executable memory; see the module's Safety section")]

mod coherence;
mod registry;
mod table;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};

use rustix::mm::{self, MapFlags, MprotectFlags, ProtFlags};

pub(crate) use self::coherence::synchronize_thread;
pub(crate) use self::registry::{CodeInfo, Registration, find};
pub(crate) use self::table::Places;
use crate::jit::{Buffer, Mapping};
use crate::{Error, Result};

/// Executable memory.
#[derive(Debug)]
pub(crate) struct CodeMemory {
    mapping: Mapping,
    len: usize,
}

impl CodeMemory {
    /// Makes `text` executable, where it is.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit), where the system gives no memory that can be executed.
    pub(crate) fn new(text: Buffer) -> Result<CodeMemory> {
        let (mapping, len) = text.into_mapping();
        // SAFETY: the mapping is ours, and not yet shared.
        unsafe {
            mm::mprotect(mapping.base().as_ptr().cast(), mapping.size(), MprotectFlags::READ | MprotectFlags::EXEC)
                .map_err(|error| Error::Limit(format!("{len} bytes of memory for code: {error}")))?;
        }
        let memory = CodeMemory { mapping, len };
        coherence::publish(memory.bytes());
        Ok(memory)
    }

    /// The code at `range` of a file, which is mapped and not copied.
    ///
    /// # Errors
    /// The system's, as for a range that does not begin at a page or a file on a file system from which nothing is executed.
    ///
    /// # Safety
    /// The file is not changed in place as long as this lives.
    pub(crate) unsafe fn map(file: &File, range: Range<u64>) -> io::Result<CodeMemory> {
        let len = usize::try_from(range.end - range.start).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let base = map_file(file, range.start, len, ProtFlags::READ | ProtFlags::EXEC)?;
        coherence::announce();
        // SAFETY: a new mapping, which nobody else knows.
        let mapping = unsafe { Mapping::owning(base, len) };
        Ok(CodeMemory { mapping, len })
    }

    /// The code, to be read.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: readable, never written, and borrowed with self.
        unsafe { std::slice::from_raw_parts(self.mapping.base().as_ptr(), self.len) }
    }

    /// The address of the byte at `offset`.
    ///
    /// # Panics
    /// If it is outside.
    pub(crate) fn at(&self, offset: u32) -> *const u8 {
        assert!((offset as usize) < self.len, "an offset outside the code");
        // SAFETY: inside the mapping.
        unsafe { self.mapping.base().as_ptr().add(offset as usize) }
    }

    pub(crate) fn base(&self) -> usize {
        self.mapping.base().as_ptr() as usize
    }

    pub(crate) fn contains(&self, pc: usize) -> bool {
        pc.wrapping_sub(self.base()) < self.len
    }
}

/// A file, mapped to be read.
#[derive(Debug)]
pub(crate) struct FileMapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: only ever read.
unsafe impl Send for FileMapping {}
// SAFETY: as above.
unsafe impl Sync for FileMapping {}

impl FileMapping {
    /// The first `len` bytes of a file, of which there is at least one.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Safety
    /// The file is not changed in place as long as this lives.
    pub(crate) unsafe fn new(file: &File, len: usize) -> io::Result<FileMapping> {
        Ok(FileMapping { base: map_file(file, 0, len, ProtFlags::READ)?, len })
    }
}

impl AsRef<[u8]> for FileMapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: readable, not changed as who made it vouched, and borrowed with self.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl Drop for FileMapping {
    fn drop(&mut self) {
        // SAFETY: ours, and unused from now on.
        let unmapped = unsafe { mm::munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "a mapping of ours can be unmapped");
    }
}

fn map_file(file: &File, offset: u64, len: usize, access: ProtFlags) -> io::Result<NonNull<u8>> {
    // SAFETY: a new mapping, at an address that the system chooses.
    let base = unsafe { mm::mmap(ptr::null_mut(), len, access, MapFlags::PRIVATE, file, offset)? };
    Ok(NonNull::new(base).expect("the system maps nothing at 0").cast())
}
