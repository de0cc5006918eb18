//! Immediates, read by hand.
//!
//! For the operators that programs are mostly made of, those of one byte, this takes a fraction of what a general reader takes, and
//! reading was a good half of what validating costs. All others go through wasmparser's reader and its visits.
//!
//! The first pass trusts nothing: it takes by hand what is certainly well-formed, whatever the features, and leaves the
//! rest to wasmparser, errors included. In the second, validation has read every byte already, so that nothing can be
//! wrong and nothing is checked but the slice's bounds.
//!
//! The place in the code is a value in whatever is called, so that it stays in a register from operator to operator.

use wasmparser::{BlockType, MemArg, MemArgTarget, ValType};

/// An immediate of an operator.
pub(super) trait Immediate: Sized {
    /// Reads it at `at` and moves on. It is valid.
    fn read(code: &[u8], at: &mut usize) -> Self;

    /// Reads it at `at` and moves on, if it is of few bytes, no more than needed, and no feature has a say in it.
    fn short(code: &[u8], at: &mut usize) -> Option<Self>;
}

/// An unsigned LEB128 number of up to four bytes, none of them superfluous.
#[inline(always)]
fn short_unsigned(code: &[u8], at: &mut usize) -> Option<u32> {
    let byte = *code.get(*at)?;
    let (value, end) =
        if byte < 0x80 { (byte.into(), *at + 1) } else { longer_unsigned(code, *at + 1, u32::from(byte & 0x7f))? };
    *at = end;
    Some(value)
}

/// The number with its further bytes, and what is behind it.
fn longer_unsigned(code: &[u8], mut at: usize, mut value: u32) -> Option<(u32, usize)> {
    for shift in [7, 14, 21] {
        let byte = *code.get(at)?;
        at += 1;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (byte > 0).then_some((value, at));
        }
    }
    None
}

/// A signed LEB128 number of up to four bytes.
#[inline(always)]
fn short_signed(code: &[u8], at: &mut usize) -> Option<i32> {
    let byte = *code.get(*at)?;
    let (value, end) = if byte < 0x80 {
        (i32::from(byte) << 25 >> 25, *at + 1)
    } else {
        longer_signed(code, *at + 1, i32::from(byte & 0x7f))?
    };
    *at = end;
    Some(value)
}

/// The number with its further bytes, and what is behind it.
fn longer_signed(code: &[u8], mut at: usize, mut value: i32) -> Option<(i32, usize)> {
    for shift in [7, 14, 21] {
        let byte = *code.get(at)?;
        at += 1;
        value |= i32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            let unused = 25 - shift;
            return Some((value << unused >> unused, at));
        }
    }
    None
}

/// An unsigned LEB128 number.
#[inline(always)]
fn unsigned(code: &[u8], at: &mut usize) -> u64 {
    let byte = code[*at];
    let (value, end) =
        if byte < 0x80 { (byte.into(), *at + 1) } else { rest_of_unsigned(code, *at + 1, u64::from(byte & 0x7f)) };
    *at = end;
    value
}

/// The number with its further bytes, and what is behind it.
fn rest_of_unsigned(code: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    let mut shift = 7;
    loop {
        let byte = code[at];
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (value, at);
        }
        shift += 7;
    }
}

/// A signed LEB128 number.
#[inline(always)]
fn signed(code: &[u8], at: &mut usize) -> i64 {
    let byte = code[*at];
    let (value, end) = if byte < 0x80 {
        (i64::from(byte) << 57 >> 57, *at + 1)
    } else {
        rest_of_signed(code, *at + 1, i64::from(byte & 0x7f))
    };
    *at = end;
    value
}

/// The number with its further bytes, and what is behind it.
fn rest_of_signed(code: &[u8], mut at: usize, mut value: i64) -> (i64, usize) {
    let mut shift = 7;
    loop {
        let byte = code[at];
        at += 1;
        value |= i64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            let unused = 64_u32.saturating_sub(shift);
            return (value << unused >> unused, at);
        }
    }
}

impl Immediate for u32 {
    #[inline(always)]
    fn read(code: &[u8], at: &mut usize) -> u32 {
        unsigned(code, at) as u32
    }

    #[inline(always)]
    fn short(code: &[u8], at: &mut usize) -> Option<u32> {
        short_unsigned(code, at)
    }
}

impl Immediate for i32 {
    #[inline(always)]
    fn read(code: &[u8], at: &mut usize) -> i32 {
        signed(code, at) as i32
    }

    #[inline(always)]
    fn short(code: &[u8], at: &mut usize) -> Option<i32> {
        short_signed(code, at)
    }
}

impl Immediate for i64 {
    #[inline(always)]
    fn read(code: &[u8], at: &mut usize) -> i64 {
        signed(code, at)
    }

    #[inline(always)]
    fn short(code: &[u8], at: &mut usize) -> Option<i64> {
        short_signed(code, at).map(i64::from)
    }
}

impl Immediate for MemArg {
    #[inline(always)]
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

    /// Behind an opcode of one byte.
    #[inline(always)]
    fn short(code: &[u8], at: &mut usize) -> Option<MemArg> {
        /// The alignment without any bit that a feature gives a meaning.
        const ALIGN_MAX: u8 = 15;
        let opcode = code[*at - 1];
        let align = *code.get(*at)?;
        if align > ALIGN_MAX {
            return None;
        }
        *at += 1;
        let offset = u64::from(short_unsigned(code, at)?);
        Some(MemArg {
            align,
            max_align: natural_alignment(opcode),
            offset,
            target: MemArgTarget::Memory(0),
            ordering: None,
        })
    }
}

/// The alignment, as a power of two, that a load or store may promise at the most: its size.
#[inline]
fn natural_alignment(opcode: u8) -> u8 {
    /// By opcode, from `i32.load` to `i64.store32`.
    const FIRST: u8 = 0x28;
    const ALIGNMENTS: [u8; 23] = [2, 3, 2, 3, 0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 2, 3, 2, 3, 0, 1, 0, 1, 2];
    ALIGNMENTS[usize::from(opcode - FIRST)]
}

/// A block type of one byte, and behind it.
#[inline(always)]
pub(super) fn short_block_type(code: &[u8], at: &mut usize) -> Option<BlockType> {
    let ty = match *code.get(*at)? {
        0x40 => BlockType::Empty,
        0x7f => BlockType::Type(ValType::I32),
        0x7e => BlockType::Type(ValType::I64),
        0x7d => BlockType::Type(ValType::F32),
        0x7c => BlockType::Type(ValType::F64),
        0x7b => BlockType::Type(ValType::V128),
        _ => return None,
    };
    *at += 1;
    Some(ty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::{BinaryReader, OperatorsReader};

    fn read<T: Immediate>(code: &[u8]) -> T {
        let mut at = 0;
        let value = T::read(code, &mut at);
        assert_eq!(at, code.len());
        value
    }

    fn short<T: Immediate>(code: &[u8]) -> Option<T> {
        let mut at = 0;
        let value = T::short(code, &mut at)?;
        assert_eq!(at, code.len());
        Some(value)
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
    #[test]
    fn short_ones_are_as_the_reader_has_them() {
        for code in [&[0x00][..], &[0x7f], &[0x80, 0x01], &[0xff, 0xff, 0x03], &[0xff, 0xff, 0xff, 0x7f]] {
            assert_eq!(short::<u32>(code), Some(BinaryReader::new(code, 0).read_var_u32().unwrap()));
            assert_eq!(short::<i32>(code), Some(BinaryReader::new(code, 0).read_var_i32().unwrap()));
            assert_eq!(short::<i64>(code), Some(BinaryReader::new(code, 0).read_var_i64().unwrap()));
        }
    }

    #[test]
    fn what_is_long_or_cut_off_is_left_to_the_reader() {
        for code in [&[0x80, 0x00][..], &[0xff, 0x80, 0x00], &[0x80, 0x80, 0x80, 0x80, 0x01], &[0x80], &[]] {
            assert_eq!(short::<u32>(code), None);
        }
        assert_eq!(short::<i32>(&[0x80, 0x80, 0x80, 0x80, 0x78]), None);
        assert_eq!(short::<i64>(&[0xff]), None);
    }

    #[test]
    fn alignments_are_as_the_reader_has_them() {
        for opcode in 0x28..=0x3e {
            let code = [opcode, 0x00, 0x05];
            let mut at = 1;
            let ours = MemArg::short(&code, &mut at).unwrap();
            assert_eq!(at, 3);
            let operator = OperatorsReader::new(BinaryReader::new(&code, 0)).read().unwrap();
            let theirs = format!("{operator:?}");
            assert!(theirs.contains(&format!("{ours:?}")), "{theirs}");
        }
        let mut at = 1;
        assert!(MemArg::short(&[0x28, 0x42, 0x01, 0x05], &mut at).is_none(), "the index of a memory");
    }
}
