//! What a memory holds at first, in a file without a name: mapped copy-on-write, so that an instance pays for the pages that
//! it touches and not for all that it begins with.
//!
//! The file is sealed: nobody can change what later instances begin with. A small image loses against copying, since
//! mapping costs two system calls whatever the size ([`WORTHWHILE`]).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};

/// Bytes of data from which on an image is made.
pub(crate) const WORTHWHILE: usize = 16 << 10;

/// Pages of an image that are read come to be, also where no data is: so it is no more than this many times as long as its data.
pub(crate) const SPARSE: usize = 4;

/// The first contents of a range of a memory; outside of it are zeros. Takes a descriptor as long as its module lives.
#[derive(Debug)]
pub(crate) struct Image {
    file: OwnedFd,
    start: usize,
    len: usize,
}

impl Image {
    /// Of parts, each at its place in the memory; later ones cover earlier ones. There is at least one.
    ///
    /// # Errors
    /// The system's refusal.
    pub(crate) fn new(parts: &[(usize, &[u8])]) -> io::Result<Image> {
        let (start, end) = span(parts);
        let file = rustix::fs::memfd_create("kitbag-data", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&file, (end - start) as u64)?;
        for &(at, mut bytes) in parts {
            let mut at = (at - start) as u64;
            while !bytes.is_empty() {
                let written = rustix::io::pwrite(&file, bytes, at)?;
                (at, bytes) = (at + written as u64, &bytes[written..]);
            }
        }
        rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(Image { file, start, len: end - start })
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Where in the memory it begins, at the beginning of a page.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Bytes of it, whole pages.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// The pages that the parts lie in.
pub(crate) fn span(parts: &[(usize, &[u8])]) -> (usize, usize) {
    let page = rustix::param::page_size();
    let start = parts.iter().map(|part| part.0).min().unwrap_or(0);
    let end = parts.iter().map(|part| part.0 + part.1.len()).max().unwrap_or(0);
    (start / page * page, end.next_multiple_of(page))
}
