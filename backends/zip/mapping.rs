//! Mapping an archive's file.
//!
//! # Safety
//!
//! A mapping is memory that other processes can change by writing to the file. Nothing here relies on its contents
//! staying the same: the central directory is parsed once into memory of our own, every access to the archive after
//! that is bounds-checked against ranges that were checked when it was opened, and whatever the bytes say, inflating
//! and copying them is sound. A file that is *shortened* makes reads of the lost pages fault, which ends the process:
//! the caller's choice, as [`Zip::open`](super::Zip::open) says.

#![allow(unsafe_code, reason = "mapping a file is unsafe wherever others can write to it")]

use std::fs::File;
use std::io;

use memmap2::Mmap;

use crate::Bytes;

/// The contents of `file`, shared with it.
///
/// # Errors
/// Those of mapping; what is no regular file is not mapped either.
pub(super) fn map(file: &File) -> io::Result<Bytes> {
    let metadata = file.metadata()?;
    match metadata.len() {
        _ if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        0 => Ok(Bytes::new()),
        _ => {
            // SAFETY: see the module's documentation.
            let mapping = unsafe { Mmap::map(file)? };
            Ok(Bytes::from_owner(mapping))
        }
    }
}
