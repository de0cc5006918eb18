//! Guest pointers: every access to the guest's memory from here goes through bounds that were compared.
//!
//! A range outside is [`Errno::Fault`]. A length of 0 accesses nothing, wherever it points. Pointers need not be
//! aligned: the values are moved byte by byte.

use super::Errno;

/// The bytes `pointer..pointer + len`.
#[inline]
pub(crate) fn bytes(memory: &[u8], pointer: u32, len: u32) -> Result<&[u8], Errno> {
    match len {
        0 => Ok(&[]),
        _ => memory.get(range(pointer, len)).ok_or(Errno::Fault),
    }
}

/// The same, to write to.
#[inline]
pub(crate) fn bytes_mut(memory: &mut [u8], pointer: u32, len: u32) -> Result<&mut [u8], Errno> {
    match len {
        0 => Ok(&mut []),
        _ => memory.get_mut(range(pointer, len)).ok_or(Errno::Fault),
    }
}

/// Whether `len` bytes at `pointer` are inside: asked of every result's place before anything is done.
#[inline]
pub(crate) fn check(memory: &[u8], pointer: u32, len: u32) -> Result<(), Errno> {
    bytes(memory, pointer, len).map(drop)
}

/// Whether an array of `count` elements of `size` bytes is inside.
#[inline]
pub(crate) fn check_array(memory: &[u8], pointer: u32, count: u32, size: u32) -> Result<u32, Errno> {
    let len = count.checked_mul(size).ok_or(Errno::Fault)?;
    check(memory, pointer, len).map(|()| len)
}

/// Writes `value` at `pointer`.
#[inline]
pub(crate) fn put<const N: usize>(memory: &mut [u8], pointer: u32, value: [u8; N]) -> Result<(), Errno> {
    *record_mut(memory, pointer)? = value;
    Ok(())
}

/// The place of a record at `pointer`.
#[inline]
pub(crate) fn record_mut<const N: usize>(memory: &mut [u8], pointer: u32) -> Result<&mut [u8; N], Errno> {
    memory.get_mut(pointer as usize..).and_then(<[u8]>::first_chunk_mut).ok_or(Errno::Fault)
}

/// Writes a `u32` (a size, a descriptor).
#[inline]
pub(crate) fn put_u32(memory: &mut [u8], pointer: u32, value: u32) -> Result<(), Errno> {
    put(memory, pointer, value.to_le_bytes())
}

/// Writes a `u64` (a time, an offset).
#[inline]
pub(crate) fn put_u64(memory: &mut [u8], pointer: u32, value: u64) -> Result<(), Errno> {
    put(memory, pointer, value.to_le_bytes())
}

/// A `u16` at `offset` of a record that was read whole.
#[inline]
pub(crate) fn u16_at(record: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(field(record, offset))
}

/// A `u32` of a record.
#[inline]
pub(crate) fn u32_at(record: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(field(record, offset))
}

/// A `u64` of a record.
#[inline]
pub(crate) fn u64_at(record: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(field(record, offset))
}

#[inline]
fn field<const N: usize>(record: &[u8], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&record[offset..offset + N]);
    field
}

#[inline]
fn range(pointer: u32, len: u32) -> std::ops::Range<usize> {
    let start = pointer as usize;
    start..start + len as usize
}

const _: () = assert!(usize::BITS >= 64, "the sum of two guest sizes must fit");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_memory() {
        let mut memory = [7; 16];
        assert_eq!(bytes(&memory, 8, 8).unwrap().len(), 8);
        assert_eq!(bytes(&memory, 8, 9), Err(Errno::Fault));
        assert_eq!(bytes(&memory, u32::MAX, u32::MAX), Err(Errno::Fault));
        assert_eq!(bytes(&memory, u32::MAX, 0), Ok(&[][..]));
        assert_eq!(put_u64(&mut memory, 9, 1), Err(Errno::Fault));
        assert_eq!(put_u64(&mut memory, 17, 1), Err(Errno::Fault));
        assert_eq!(put_u32(&mut memory, 12, 1), Ok(()));
        assert_eq!(memory[11..], [7, 1, 0, 0, 0]);
        assert_eq!(check_array(&memory, 0, 0x2000_0000, 8), Err(Errno::Fault));
        assert_eq!(check_array(&memory, 0, 2, 8), Ok(16));
    }
}
