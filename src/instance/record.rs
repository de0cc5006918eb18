//! The record that compiled code addresses from its pinned register.
//!
//! # Safety
//! A [`Record`] owns one zeroed allocation of its layout's size, which begins with the [`Context`] it was made with. Places in it
//! are pointers: compiled code shares them.

#![allow(unsafe_code, reason = "an allocation that compiled code shares; see the module's Safety section")]

use std::alloc::{self, Layout as MemoryLayout};
use std::ptr::NonNull;

use crate::jit::abi::{Context, Layout};
use crate::{Error, Result};

pub(super) struct Record {
    base: NonNull<Context>,
    layout: MemoryLayout,
}

impl Record {
    /// # Errors
    /// [`Limit`](Error::Limit), where there is no memory.
    pub(super) fn new(layout: &Layout, context: Context) -> Result<Record> {
        let refused = || Error::Limit(format!("an instance of {} bytes", layout.size));
        let size = layout.size as usize;
        assert!(size >= size_of::<Context>(), "a record begins with its context");
        let layout = MemoryLayout::from_size_align(size, align_of::<Context>()).map_err(|_| refused())?;
        // SAFETY: not empty.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        let base = NonNull::new(base).ok_or_else(refused)?.cast::<Context>();
        // SAFETY: large enough, and aligned.
        unsafe { base.write(context) };
        Ok(Record { base, layout })
    }

    pub(super) fn context(&self) -> *mut Context {
        self.base.as_ptr()
    }

    /// The place of the `index`th `T` of those at `offset`.
    ///
    /// # Panics
    /// If it is outside.
    #[inline]
    pub(super) fn place<T>(&self, offset: u32, index: u32) -> *mut T {
        let start = offset as usize + index as usize * size_of::<T>();
        assert!(start + size_of::<T>() <= self.layout.size(), "a place outside of the record");
        // SAFETY: inside the allocation.
        unsafe { self.base.as_ptr().cast::<u8>().add(start).cast() }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { alloc::dealloc(self.base.as_ptr().cast(), self.layout) };
    }
}
