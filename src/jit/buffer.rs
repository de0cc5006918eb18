//! The buffer that code is emitted into.
//!
//! Each push checks the capacity. Checking once for each operator instead took 4 % less of a compilation's instructions,
//! at the price of trusting that no operator's code outgrows what was made ready for it: the height of a guest's operand stack decides
//! how long the code of a block's beginning is, so a mistake there would have been a guest's way to write past the buffer.

use dynasmrt::{AssemblyOffset, DynasmApi};

/// A growing run of machine code.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    /// A buffer that grows without moving up to about this size: untouched memory costs nothing.
    pub(crate) fn with_capacity(bytes: usize) -> Buffer {
        Buffer { bytes: Vec::with_capacity(bytes) }
    }

    #[inline]
    pub(crate) fn position(&self) -> u32 {
        self.bytes.len() as u32
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Takes back what was emitted from `at` on.
    pub(crate) fn truncate(&mut self, at: u32) {
        self.bytes.truncate(at as usize);
    }

    /// The 32-bit field at `at`.
    pub(crate) fn field(&self, at: u32) -> u32 {
        let at = at as usize;
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    /// Overwrites the 32-bit field at `at`.
    pub(crate) fn set_field(&mut self, at: u32, value: u32) {
        let at = at as usize;
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes.extend_from_slice(&bytes);
    }
}

impl Extend<u8> for Buffer {
    #[inline]
    fn extend<T: IntoIterator<Item = u8>>(&mut self, bytes: T) {
        for byte in bytes {
            self.put([byte]);
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
        AssemblyOffset(self.bytes.len())
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.put([byte]);
    }

    fn align(&mut self, alignment: usize, with: u8) {
        while !self.bytes.len().is_multiple_of(alignment) {
            self.put([with]);
        }
    }

    #[inline]
    fn push_i16(&mut self, value: i16) {
        self.put(value.to_le_bytes());
    }

    #[inline]
    fn push_i32(&mut self, value: i32) {
        self.put(value.to_le_bytes());
    }

    #[inline]
    fn push_i64(&mut self, value: i64) {
        self.put(value.to_le_bytes());
    }

    #[inline]
    fn push_u16(&mut self, value: u16) {
        self.put(value.to_le_bytes());
    }

    #[inline]
    fn push_u32(&mut self, value: u32) {
        self.put(value.to_le_bytes());
    }

    #[inline]
    fn push_u64(&mut self, value: u64) {
        self.put(value.to_le_bytes());
    }
}
