//! A box whose contents others point to.
//!
//! # Safety
//! A `Box` claims that nothing else points to its contents, which compiled code does. [`Owned`] holds a
//! pointer from `Box::leak` and gives it back to a box on drop; it borrows the contents under the usual rules, while
//! copies of the pointer are used only when nothing borrows them.

#![allow(unsafe_code, reason = "see the module's Safety section")]

use std::ptr::NonNull;

/// Owns a `T` that does not move and that compiled code may point to.
pub(crate) struct Owned<T>(NonNull<T>);

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Owned<T> {
        Owned(NonNull::from(Box::leak(Box::new(value))))
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }

    pub(crate) fn as_non_null(&self) -> NonNull<T> {
        self.0
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: owned, and borrowed with self.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        // SAFETY: owned, and borrowed with self.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: from a box, and given back once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
