//! The buffer that code is emitted into: memory that becomes the module's code where it is.
//!
//! Code is written once, so that its first touch is most of what it costs. It is therefore not copied, and where there
//! is much of it, huge pages take a tenth of the time that small ones take. Each push makes sure of room for eight bytes and writes
//! eight, of which it counts those that it was given; an instruction that is put together in a word takes one push. Making sure
//! once for each operator instead would trust that no operator's code outgrows what was made ready for it: the height
//! of a guest's operand stack decides how long the code of a block's beginning is, so a mistake there would be a guest's way to write
//! past the buffer.
//!
//! # Safety
//! A [`Mapping`] unmaps what it was made for, and nobody else does. That of a [`Buffer`] is anonymous, readable and
//! writable, and zero until written; the buffer writes only between its base and its size, and its first `len` bytes are its text.

#![allow(unsafe_code, reason = "maps and fills memory for code; see the module's Safety section")]

use std::alloc::{Layout, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use dynasmrt::{AssemblyOffset, DynasmApi};
use rustix::io;
use rustix::mm::{self, Advice, MapFlags, ProtFlags};

/// What a push makes sure of.
const WORD: usize = 8;

/// What a buffer begins with where nobody says more.
const SMALL: usize = 1 << 14;

/// A huge page. A buffer of this size or more consists of such.
const HUGE: usize = 1 << 21;

/// Memory of its own.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: owned, and changed only through `&mut`.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    const EMPTY: Mapping = Mapping { base: NonNull::dangling(), size: 0 };

    /// At least `bytes`, not 0.
    fn new(bytes: usize) -> io::Result<Mapping> {
        if bytes < HUGE {
            return Mapping::of_pages(bytes.next_multiple_of(rustix::param::page_size()));
        }
        let size = bytes.next_multiple_of(HUGE);
        let mut mapping = Mapping::of_pages(size + HUGE)?;
        mapping.drop_front(mapping.base.as_ptr().align_offset(HUGE));
        mapping.truncate(size);
        // SAFETY: our own mapping. The advice is only about speed, so that it does not matter whether it is taken.
        _ = unsafe { mm::madvise(mapping.base.as_ptr().cast(), size, Advice::LinuxHugepage) };
        Ok(mapping)
    }

    fn of_pages(size: usize) -> io::Result<Mapping> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, at an address that the system chooses.
        let base = unsafe { mm::mmap_anonymous(ptr::null_mut(), size, access, MapFlags::PRIVATE)? };
        Ok(Mapping { base: NonNull::new(base.cast()).expect("the system maps nothing at 0"), size })
    }

    /// One that somebody else made, now to be unmapped by this.
    ///
    /// # Safety
    /// So many bytes are mapped there, and nobody else unmaps them.
    pub(crate) unsafe fn owning(base: NonNull<u8>, size: usize) -> Mapping {
        Mapping { base, size }
    }

    /// Gives up the first `bytes`, whole pages.
    fn drop_front(&mut self, bytes: usize) {
        // SAFETY: `bytes` are within the mapping.
        let rest = unsafe { self.base.add(bytes) };
        drop(Mapping { base: std::mem::replace(&mut self.base, rest), size: bytes });
        self.size -= bytes;
    }

    /// Gives up what is behind the first `size` bytes, whole pages.
    fn truncate(&mut self, size: usize) {
        // SAFETY: `size` bytes are within the mapping.
        let base = unsafe { self.base.add(size) };
        drop(Mapping { base, size: self.size - size });
        self.size = size;
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.size > 0 {
            // SAFETY: ours, and nobody refers to it any more.
            let unmapped = unsafe { mm::munmap(self.base.as_ptr().cast(), self.size) };
            debug_assert!(unmapped.is_ok(), "a mapping of ours can be unmapped");
        }
    }
}

/// A growing run of machine code.
#[derive(Debug)]
pub struct Buffer {
    mapping: Mapping,
    len: usize,
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer { mapping: Mapping::EMPTY, len: 0 }
    }
}

impl Buffer {
    /// A buffer that grows without moving up to about this size: untouched memory costs nothing.
    pub(crate) fn with_capacity(bytes: usize) -> Buffer {
        // Without memory for that many there may be enough for what it comes to.
        let mapping = if bytes == 0 { Mapping::EMPTY } else { Mapping::new(bytes).unwrap_or(Mapping::EMPTY) };
        Buffer { mapping, len: 0 }
    }

    #[inline]
    pub(crate) fn position(&self) -> u32 {
        self.len as u32
    }

    /// The memory that it is in, without most of what is behind it, and its length.
    pub(crate) fn into_mapping(mut self) -> (Mapping, usize) {
        self.reserve(1);
        let page = if self.mapping.size >= HUGE { HUGE } else { rustix::param::page_size() };
        let mut mapping = std::mem::replace(&mut self.mapping, Mapping::EMPTY);
        mapping.truncate(self.len.max(1).next_multiple_of(page));
        (mapping, self.len)
    }

    /// Takes back what was emitted from `at` on.
    pub(crate) fn truncate(&mut self, at: u32) {
        self.len = self.len.min(at as usize);
    }

    /// The 32-bit field at `at`.
    pub(crate) fn field(&self, at: u32) -> u32 {
        let at = at as usize;
        u32::from_le_bytes(self[at..at + 4].try_into().expect("four bytes"))
    }

    /// Overwrites the 32-bit field at `at`.
    pub(crate) fn set_field(&mut self, at: u32, value: u32) {
        let at = at as usize;
        self[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// The lower `count` bytes, up to eight, from the lowest.
    #[inline]
    pub(crate) fn put(&mut self, bytes: u64, count: usize) {
        debug_assert!(count <= WORD, "more bytes than there are");
        if self.mapping.size - self.len < WORD {
            self.grow(WORD);
        }
        // SAFETY: there is room for a word behind the text.
        unsafe { self.mapping.base.add(self.len).cast::<u64>().write_unaligned(bytes.to_le()) };
        self.len += count.min(WORD);
    }

    /// Two of [`Buffer::put`] at once.
    #[inline]
    pub(crate) fn put_both(&mut self, first: (u64, usize), second: (u64, usize)) {
        debug_assert!(first.1 <= WORD && second.1 <= WORD, "more bytes than there are");
        if self.mapping.size - self.len < 2 * WORD {
            self.grow(2 * WORD);
        }
        // SAFETY: there is room for two words behind the text, and the second begins at most one behind the first.
        unsafe {
            let at = self.mapping.base.add(self.len);
            at.cast::<u64>().write_unaligned(first.0.to_le());
            at.add(first.1.min(WORD)).cast::<u64>().write_unaligned(second.0.to_le());
        }
        self.len += first.1.min(WORD) + second.1.min(WORD);
    }

    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        // SAFETY: there is room for them behind the text, in memory that is ours alone.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.mapping.base.add(self.len).as_ptr(), bytes.len()) };
        self.len += bytes.len();
    }

    fn reserve(&mut self, bytes: usize) {
        if self.mapping.size - self.len < bytes {
            self.grow(bytes);
        }
    }

    /// Moves to memory with room for `bytes` more, and then some.
    #[cold]
    fn grow(&mut self, bytes: usize) {
        let wanted = (self.len + bytes).max(2 * self.mapping.size).max(SMALL);
        let Ok(mapping) = Mapping::new(wanted) else {
            handle_alloc_error(Layout::array::<u8>(wanted).unwrap_or(Layout::new::<u8>()));
        };
        // SAFETY: the new mapping is longer than the text, and another one.
        unsafe { ptr::copy_nonoverlapping(self.mapping.base.as_ptr(), mapping.base.as_ptr(), self.len) };
        self.mapping = mapping;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes are within the mapping, and zero or written.
        unsafe { std::slice::from_raw_parts(self.mapping.base.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and ours alone.
        unsafe { std::slice::from_raw_parts_mut(self.mapping.base.as_ptr(), self.len) }
    }
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::with_capacity(bytes.len());
        buffer.extend_from_slice(bytes);
        buffer
    }
}

impl Extend<u8> for Buffer {
    #[inline]
    fn extend<T: IntoIterator<Item = u8>>(&mut self, bytes: T) {
        for byte in bytes {
            self.push(byte);
        }
    }
}

impl<'a> Extend<&'a u8> for Buffer {
    #[inline]
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, bytes: T) {
        self.extend(bytes.into_iter().copied());
    }
}

impl DynasmApi for Buffer {
    #[inline]
    fn offset(&self) -> AssemblyOffset {
        AssemblyOffset(self.len)
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.put(byte.into(), 1);
    }

    fn align(&mut self, alignment: usize, with: u8) {
        while !self.len.is_multiple_of(alignment) {
            self.push(with);
        }
    }

    #[inline]
    fn push_i16(&mut self, value: i16) {
        self.push_u16(value as u16);
    }

    #[inline]
    fn push_i32(&mut self, value: i32) {
        self.push_u32(value as u32);
    }

    #[inline]
    fn push_i64(&mut self, value: i64) {
        self.push_u64(value as u64);
    }

    #[inline]
    fn push_u16(&mut self, value: u16) {
        self.put(value.into(), 2);
    }

    #[inline]
    fn push_u32(&mut self, value: u32) {
        self.put(value.into(), 4);
    }

    #[inline]
    fn push_u64(&mut self, value: u64) {
        self.put(value, 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_stays_while_the_buffer_grows() {
        for capacity in [0, 1, 4096, HUGE] {
            let mut buffer = Buffer::with_capacity(capacity);
            let count = (HUGE + HUGE / 2) / 3;
            for i in 0..count as u32 {
                buffer.put(u64::from(i) | 0xffff_ffff_ff00_0000, 3);
            }
            assert_eq!(buffer.position() as usize, 3 * count);
            for (i, bytes) in buffer.chunks_exact(3).enumerate() {
                assert_eq!(bytes, &(i as u32).to_le_bytes()[..3]);
            }
            let text = buffer.to_vec();
            let (mapping, len) = buffer.into_mapping();
            assert_eq!(len, text.len());
            assert!(mapping.size() >= len && mapping.size() < len + 2 * HUGE);
            // SAFETY: the mapping is as long as its text.
            assert_eq!(unsafe { std::slice::from_raw_parts(mapping.base().as_ptr(), len) }, text);
        }
    }

    #[test]
    fn fields_are_read_back_and_an_empty_buffer_has_memory() {
        let mut buffer = Buffer::from(&[0x90; 7][..]);
        buffer.set_field(2, 0x0102_0304);
        assert_eq!((buffer.field(2), &buffer[..]), (0x0102_0304, &[0x90, 0x90, 4, 3, 2, 1, 0x90][..]));
        let (mapping, len) = Buffer::default().into_mapping();
        assert!(len == 0 && mapping.size() > 0);
    }
}
