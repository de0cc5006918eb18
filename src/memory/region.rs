//! Reserved address space, of which a beginning can be accessed.
//!
//! # Safety
//! A [`Region`] owns its mapping. What can be accessed is zero until it is written, and stays until the region is dropped.

#![allow(unsafe_code, reason = "maps memory; see the module's Safety section")]

use std::io;
use std::ptr::{self, NonNull};

use rustix::mm::{self, Advice, MapFlags, MprotectFlags, ProtFlags};

use super::image::Image;

/// Bytes that are zeroed one by one: that is sooner done than giving pages back to the system, for which it stops the other cores,
/// and taking new ones.
const ZEROED: usize = 128 << 10;

/// Reserved address space.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<u8>,
    reserved: usize,
    accessible: usize,
}

// SAFETY: owns its mapping.
unsafe impl Send for Region {}
// SAFETY: has no interior mutability of its own.
unsafe impl Sync for Region {}

impl Region {
    /// Reserves `bytes`, none of which can be accessed.
    ///
    /// # Errors
    /// The system's refusal.
    pub(crate) fn reserve(bytes: usize) -> io::Result<Region> {
        let reserved = bytes.max(1).checked_next_multiple_of(page_size()).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping, at an address that the system chooses.
        let base = unsafe { mm::mmap_anonymous(ptr::null_mut(), reserved, ProtFlags::empty(), flags) }?;
        let base = NonNull::new(base.cast()).expect("the system maps nothing at 0");
        Ok(Region { base, reserved, accessible: 0 })
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    pub(crate) fn reserved(&self) -> usize {
        self.reserved
    }

    pub(crate) fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.base.as_ptr() as usize) < self.reserved
    }

    /// Makes the first `bytes` accessible; what was stays.
    ///
    /// # Errors
    /// The system's refusal, or `OutOfMemory` beyond the reservation.
    pub(crate) fn extend(&mut self, bytes: usize) -> io::Result<()> {
        let end = bytes.checked_next_multiple_of(page_size()).filter(|&end| end <= self.reserved);
        let end = end.ok_or(io::ErrorKind::OutOfMemory)?;
        if end > self.accessible {
            // SAFETY: inside our reservation.
            unsafe {
                let start = self.base.as_ptr().add(self.accessible);
                mm::mprotect(start.cast(), end - self.accessible, MprotectFlags::READ | MprotectFlags::WRITE)?;
            }
            self.accessible = end;
        }
        Ok(())
    }

    /// Lets an image be what can be accessed where it belongs, until the region is dropped.
    ///
    /// # Errors
    /// The system's refusal.
    pub(crate) fn map(&mut self, image: &Image) -> io::Result<()> {
        assert!(image.start() + image.len() <= self.accessible, "an image of what cannot be accessed");
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
        // SAFETY: in place of what can be accessed in our reservation.
        unsafe {
            let place = self.base.as_ptr().add(image.start()).cast();
            mm::mmap(place, image.len(), access, flags, image.file(), 0)?;
        }
        Ok(())
    }

    /// Makes the first `bytes` accessible and no more, and everything what it was at first: zero, or its image's if it has one.
    ///
    /// # Errors
    /// The system's refusal.
    pub(crate) fn reset(&mut self, bytes: usize, imaged: bool) -> io::Result<()> {
        let end = bytes.next_multiple_of(page_size()).min(self.accessible);
        if self.accessible <= ZEROED && !imaged {
            // SAFETY: ours and accessible, and nothing refers to what it holds.
            unsafe { self.base.as_ptr().write_bytes(0, self.accessible) };
        } else {
            // SAFETY: ours, and nothing refers to what it holds.
            unsafe { mm::madvise(self.base.as_ptr().cast(), self.accessible, Advice::LinuxDontNeed)? };
        }
        if end < self.accessible {
            // SAFETY: inside our reservation.
            unsafe {
                let start = self.base.as_ptr().add(end);
                mm::mprotect(start.cast(), self.accessible - end, MprotectFlags::empty())?;
            }
            self.accessible = end;
        }
        Ok(())
    }

    /// Makes what can be accessed begin a page later, as a guard below a stack.
    ///
    /// # Errors
    /// The system's refusal.
    pub(crate) fn guard_below(&mut self) -> io::Result<()> {
        // SAFETY: the first page of our reservation.
        unsafe { mm::mprotect(self.base.as_ptr().cast(), page_size(), MprotectFlags::empty())? };
        Ok(())
    }

    /// Copies the first `bytes` of `from`, which both can access.
    pub(crate) fn copy_from(&mut self, from: &Region, bytes: usize) {
        assert!(bytes <= self.accessible && bytes <= from.accessible, "a copy of what cannot be accessed");
        // SAFETY: both accessible as asserted, and different mappings.
        unsafe { ptr::copy_nonoverlapping(from.base.as_ptr(), self.base.as_ptr(), bytes) };
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: ours, and unused from now on.
        let unmapped = unsafe { mm::munmap(self.base.as_ptr().cast(), self.reserved) };
        debug_assert!(unmapped.is_ok(), "a mapping of ours can be unmapped");
    }
}

fn page_size() -> usize {
    rustix::param::page_size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extends_in_place_with_zeros_and_not_past_the_reservation() {
        let mut region = Region::reserve(1 << 20).unwrap();
        region.extend(1).unwrap();
        // SAFETY: the first byte can be accessed.
        unsafe { *region.base() = 7 };
        region.extend(1 << 20).unwrap();
        // SAFETY: all of it can be accessed.
        let bytes = unsafe { std::slice::from_raw_parts(region.base(), 1 << 20) };
        assert!(bytes[0] == 7 && bytes[1..].iter().all(|&byte| byte == 0));
        assert!(region.extend((1 << 20) + 1).is_err());
        assert!(region.extend(usize::MAX).is_err());
    }

    #[test]
    fn what_is_reset_is_as_it_was_at_first() {
        let page = page_size();
        let image = Image::new(&[(page + 1, b"one"), (2 * page, b"two")]).unwrap();
        let mut region = Region::reserve(1 << 20).unwrap();
        region.extend(4 * page).unwrap();
        region.map(&image).unwrap();
        for _ in 0..2 {
            region.extend(8 * page).unwrap();
            // SAFETY: so many bytes can be accessed, and nothing else borrows them.
            let bytes = unsafe { std::slice::from_raw_parts_mut(region.base(), 8 * page) };
            assert_eq!((&bytes[page..page + 4], &bytes[2 * page..2 * page + 4]), (&b"\0one"[..], &b"two\0"[..]));
            assert!(bytes[..page].iter().chain(&bytes[3 * page..]).all(|&byte| byte == 0));
            bytes.fill(7);
            region.reset(4 * page, true).unwrap();
        }
        assert_eq!(region.accessible, 4 * page);
    }

    /// Small ones and large ones, which are reset in different ways.
    #[test]
    fn without_an_image_that_is_zeros() {
        for bytes in [0, page_size(), ZEROED, ZEROED + page_size(), 1 << 20] {
            let mut region = Region::reserve(1 << 20).unwrap();
            for _ in 0..2 {
                region.extend(bytes).unwrap();
                // SAFETY: so many bytes can be accessed, and nothing else borrows them.
                let all = unsafe { std::slice::from_raw_parts_mut(region.base(), bytes) };
                assert!(all.iter().all(|&byte| byte == 0), "{bytes}");
                all.fill(7);
                region.reset(bytes / 2, false).unwrap();
                assert_eq!(region.accessible, (bytes / 2).next_multiple_of(page_size()));
            }
        }
    }
}
