//! Immediates, read a second time.
//!
//! Validation has read every byte already, so that nothing can be wrong here and nothing is checked but the slice's
//! bounds. For the operators that programs are mostly made of, those of one byte, this takes a fraction
//! of what a general reader takes, and reading is a good part of what a pass costs; all others go through
//! wasmparser's visitor.

use wasmparser::{BlockType, MemArg, MemArgTarget, ValType};

/// An immediate of an operator.
pub(super) trait Immediate: Sized {
    /// Reads it at `at` and moves on.
    fn read(code: &[u8], at: &mut usize) -> Self;
}

/// An unsigned LEB128 number.
#[inline]
fn unsigned(code: &[u8], at: &mut usize) -> u64 {
    let byte = code[*at];
    *at += 1;
    if byte < 0x80 {
        return u64::from(byte);
    }
    let mut value = u64::from(byte & 0x7f);
    let mut shift = 7;
    loop {
        let byte = code[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

/// A signed LEB128 number.
#[inline]
fn signed(code: &[u8], at: &mut usize) -> i64 {
    let mut value = 0;
    let mut shift = 0;
    loop {
        let byte = code[*at];
        *at += 1;
        value |= i64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            let unused = 64_u32.saturating_sub(shift);
            return value << unused >> unused;
        }
    }
}

impl Immediate for u32 {
    #[inline]
    fn read(code: &[u8], at: &mut usize) -> u32 {
        unsigned(code, at) as u32
    }
}

impl Immediate for i32 {
    #[inline]
    fn read(code: &[u8], at: &mut usize) -> i32 {
        signed(code, at) as i32
    }
}

impl Immediate for i64 {
    #[inline]
    fn read(code: &[u8], at: &mut usize) -> i64 {
        signed(code, at)
    }
}

impl Immediate for MemArg {
    #[inline]
    fn read(code: &[u8], at: &mut usize) -> MemArg {
        const WITH_MEMORY: u64 = 0x40;
        let flags = unsigned(code, at);
        let memory = if flags & WITH_MEMORY != 0 { unsigned(code, at) as u32 } else { 0 };
        MemArg {
            align: (flags & !WITH_MEMORY) as u8,
            max_align: 0,
            offset: unsigned(code, at),
            target: MemArgTarget::Memory(memory),
            ordering: None,
        }
    }
}

/// A block type that takes one byte, if this is one.
pub(super) fn short_block_type(byte: u8) -> Option<BlockType> {
    Some(match byte {
        0x40 => BlockType::Empty,
        0x7f => BlockType::Type(ValType::I32),
        0x7e => BlockType::Type(ValType::I64),
        0x7d => BlockType::Type(ValType::F32),
        0x7c => BlockType::Type(ValType::F64),
        0x7b => BlockType::Type(ValType::V128),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Immediate>(code: &[u8]) -> T {
        let mut at = 0;
        let value = T::read(code, &mut at);
        assert_eq!(at, code.len());
        value
    }

    #[test]
    fn numbers() {
        assert_eq!(read::<u32>(&[0xff, 0xff, 0xff, 0xff, 0x0f]), u32::MAX);
        assert_eq!(read::<u32>(&[0x80, 0x00]), 0);
        assert_eq!(read::<i32>(&[0x7f]), -1);
        assert_eq!(read::<i32>(&[0x80, 0x80, 0x80, 0x80, 0x78]), i32::MIN);
        assert_eq!(read::<i32>(&[0xff, 0xff, 0xff, 0xff, 0x07]), i32::MAX);
        assert_eq!(read::<i64>(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]), i64::MIN);
        assert_eq!(read::<i64>(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00]), i64::MAX);
        assert_eq!(read::<i64>(&[0xc0, 0x00]), 64);
        assert_eq!(read::<MemArg>(&[0x42, 0x01, 0x80, 0x01]).offset, 128);
    }
}
