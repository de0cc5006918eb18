//! Where functions are: a table of the compiler's, or the same in a file that is mapped.
//!
//! # Safety
//! [`Places::Mapped`] is made only of bytes whose address and length fit the elements, and any bits are an element: four
//! integers without padding.

#![allow(unsafe_code, reason = "reads a table in place; see the module's Safety section")]

use std::ops::Deref;

use kitbag_fs::Bytes;

use crate::jit::FunctionCode;

/// A table of places in code.
#[derive(Clone, Debug)]
pub(crate) enum Places {
    Owned(Vec<FunctionCode>),
    /// In the form that it has in memory.
    Mapped(Bytes),
}

impl Places {
    /// A table from its bytes, in place if they lie as it has to; `None` if that is no whole number of elements.
    pub(crate) fn from_bytes(bytes: Bytes) -> Option<Places> {
        if !bytes.len().is_multiple_of(size_of::<FunctionCode>()) {
            return None;
        }
        if cfg!(target_endian = "little") && bytes.as_ptr().addr().is_multiple_of(align_of::<FunctionCode>()) {
            return Some(Places::Mapped(bytes));
        }
        let (words, _) = bytes.as_chunks::<4>();
        let (codes, _) = words.as_chunks::<4>();
        let code = |&[start, end, frame, saved]: &[[u8; 4]; 4]| FunctionCode {
            start: u32::from_le_bytes(start),
            end: u32::from_le_bytes(end),
            frame: u32::from_le_bytes(frame),
            saved: u32::from_le_bytes(saved),
        };
        Some(Places::Owned(codes.iter().map(code).collect()))
    }

    /// The bytes that [`from_bytes`](Places::from_bytes) takes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|code| [code.start, code.end, code.frame, code.saved]).flat_map(u32::to_le_bytes).collect()
    }

    /// Whether they are in order of address, without overlap, and end by `end`.
    pub(crate) fn are_in_order(&self, end: u32) -> bool {
        let mut last = 0;
        self.iter().all(|code| {
            let fits = last <= code.start && code.start <= code.end && code.end <= end;
            last = code.end;
            fits
        })
    }
}

impl From<Vec<FunctionCode>> for Places {
    fn from(codes: Vec<FunctionCode>) -> Places {
        Places::Owned(codes)
    }
}

impl Deref for Places {
    type Target = [FunctionCode];

    fn deref(&self) -> &[FunctionCode] {
        match self {
            Places::Owned(codes) => codes,
            Places::Mapped(bytes) => {
                let count = bytes.len() / size_of::<FunctionCode>();
                // SAFETY: aligned as `from_bytes` checked, of this length, and borrowed with self.
                unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), count) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_tables_are_the_same_wherever_they_lie() {
        let code = |start, end| FunctionCode { start, end, frame: 8, saved: end };
        let table = Places::from(vec![code(0, 16), code(16, 20)]);
        let bytes = table.to_bytes();
        for shift in 0..4 {
            let shifted = Bytes::from([&vec![0; shift][..], &bytes].concat()).slice(shift..);
            let read = Places::from_bytes(shifted).unwrap();
            assert_eq!(
                read.iter().map(|code| (code.start, code.end, code.frame, code.saved)).collect::<Vec<_>>(),
                [(0, 16, 8, 16), (16, 20, 8, 20)]
            );
        }
        assert!(Places::from_bytes(Bytes::from(bytes).slice(1..)).is_none());
        assert!(table.are_in_order(20) && !table.are_in_order(19));
        assert!(!Places::from(vec![code(0, 16), code(15, 20)]).are_in_order(99));
    }
}
