//! Zip archives, read in place.
//!
//! [`Zip`] mounts an archive read-only without unpacking it. Opening reads the central directory once and checks it
//! entry by entry ([`ZipError`] says what is refused and names the entry); after that no lookup, listing or
//! stat touches the archive again, and no read takes a lock once its handle has read before (save for a moment where
//! it goes piece by piece).
//!
//! - **Stored entries** are slices of the archive: reading copies once, into the caller's buffer, and
//!   [`File::read_all`](crate::File::read_all) not at all. Their checksum is verified on the first read, unless the
//!   archive is [trusted](Options::trusted).
//! - **Compressed entries** (deflate; with feature `zip-zstd` zstandard) are inflated once, checksum included, into a
//!   cache that all threads share and whose [budget](Options::cache) bounds what is kept inflated, handles included.
//!   Who asks for an entry while another inflates it waits for that. Entries are given up in the order of a clock
//!   (those read since the last round are passed over).
//! - **Entries for which the budget has no room** are not kept: the first read passes over the whole entry to verify it
//!   and keeps the decoder's state every 960 KiB, and every read after that starts from the nearest state, which costs
//!   less than 1 MiB beyond what is returned (and nothing where it goes on from an earlier read). States take 43 KiB
//!   each and count towards the budget; where they would outgrow what is left of it (entries of 5 GiB and more with the
//!   default budget, or when handles hold nearly all of it) they are further apart. This is for deflate; zstandard has
//!   no such states, and reading is [`TooLarge`](crate::Error::TooLarge) then.
//!
//! # What an archive means
//!
//! The central directory alone says what there is, and each local header has to agree with it. Of entries with one name
//! the last counts. Directories that are only implied are made up, with mode 755 and the time of the first entry in
//! them. Unix modes and symbolic links are kept (without set-id and sticky bits); a link leads where it says within the
//! mount, and as everywhere nowhere else. Names are bytes: as stored if they are UTF-8 or were written on Unix, else
//! converted from code page 437. Times are those of the extended timestamp or NTFS fields, else the DOS time taken as
//! UTC. Before the archive there may be anything (a program, say), and a comment after it.
//!
//! # Whose code does what
//!
//! The `zip` crate finds and decodes the central directory with its zip64 and extra fields. It hands out entries
//! through `&mut` readers that inflate from the start, so the reads are ours: `flate2` inflates whole entries
//! (zlib-rs), and `miniz_oxide` those too large to keep, because its decoder can be cloned in the middle of a block,
//! where zlib's only restarts between blocks, and a hostile block has no end. The crate checks local headers only for
//! archives without duplicates and names no entry, so that check is ours too.
//!
//! # Mapped archives
//!
//! [`Zip::open`] and [`Zip::from_file`] map the file if the process lets files be [mapped], and read it into memory if
//! not. When another process shortens a mapped archive, what was lost is [`Error::Io`] from then on: every read
//! from the archive's pages, inflating and verifying among them, asks for the mark when it is done; entries that were inflated
//! before stay readable. Nothing else relies on the pages staying what they were: the central directory is parsed once into memory
//! of its own, and every access after that is checked against ranges that were checked when it was opened.

use std::path::Path as HostPath;
use std::sync::Arc;

use crate::index::{Attributes, Builder, Index, IndexDir, ROOT};
use crate::{Bytes, Dir, Error, FileSystem, Metadata, Path, Result, mapped};

mod cache;
mod central;
mod error;
mod file;
mod local;
mod pieces;
#[cfg(test)]
mod tests;
mod times;
mod unpack;

pub use central::Method;
pub use error::{Problem, ZipError};

use cache::Cache;
use file::Archive;

/// How an archive is opened.
#[derive(Clone, Debug)]
pub struct Options {
    trusted: bool,
    cache: u64,
    expansion: u64,
    entries: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { trusted: false, cache: 256 << 20, expansion: 64 << 30, entries: 1 << 20 }
    }
}

impl Options {
    /// Nothing trusted, 256 MiB of cache, an expansion up to 64 GiB and 1,048,576 entries.
    #[must_use]
    pub fn new() -> Options {
        Options::default()
    }

    /// Whether checksums of stored entries are taken for granted: for archives that are part of the program.
    #[must_use]
    pub fn trusted(self, trusted: bool) -> Options {
        Options { trusted, ..self }
    }

    /// How many bytes of inflated entries are kept.
    #[must_use]
    pub fn cache(self, bytes: u64) -> Options {
        Options { cache: bytes, ..self }
    }

    /// How many bytes the compressed entries may come to when they are inflated, all together.
    #[must_use]
    pub fn expansion(self, bytes: u64) -> Options {
        Options { expansion: bytes, ..self }
    }

    /// How many files, directories and links there may be, implied directories among them. Each takes about 350 bytes
    /// of memory.
    #[must_use]
    pub fn entries(self, count: usize) -> Options {
        Options { entries: count, ..self }
    }
}

/// An archive as a read-only file system. Cheap to clone.
#[derive(Clone)]
pub struct Zip {
    index: Arc<Index<Archive>>,
}

impl Zip {
    /// Opens the archive in the file at `path`, which is mapped or read (see the [module](self)).
    ///
    /// # Errors
    /// [`ZipError`].
    pub fn open(path: impl AsRef<HostPath>, options: &Options) -> Result<Zip, ZipError> {
        Zip::from_file(&std::fs::File::open(path)?, options)
    }

    /// Opens the archive at the end of `file`, which is mapped or read (see the [module](self)).
    ///
    /// # Errors
    /// [`ZipError`].
    pub fn from_file(file: &std::fs::File, options: &Options) -> Result<Zip, ZipError> {
        Zip::from_bytes(mapped::contents(file)?, options)
    }

    /// Opens the archive at the end of `bytes`.
    ///
    /// # Errors
    /// [`ZipError`].
    pub fn from_bytes(bytes: Bytes, options: &Options) -> Result<Zip, ZipError> {
        let members = central::read(&bytes, options)?;
        let mut builder = Builder::new(Attributes { mode: 0o755, modified: 0 }, options.entries);
        let archive = Archive::new(bytes, Arc::new(Cache::new(options.cache)), options.trusted);
        for found in members {
            archive.take_in(&mut builder, found)?;
        }
        mapped::check(archive.bytes()).map_err(|_| ZipError::Io(std::io::ErrorKind::UnexpectedEof.into()))?;
        Ok(Zip { index: Arc::new(builder.build(archive)) })
    }

    /// Inflates every entry and verifies its checksum, as reading it would, for those who want to know beforehand.
    ///
    /// # Errors
    /// [`ZipError::Entry`] for the first whose contents are [damaged](Problem::Damaged), or for which there is no
    /// [room](Problem::NoRoom).
    pub fn verify(&self) -> Result<(), ZipError> {
        for (name, file) in self.index.files() {
            let read = file.and_then(|file| file.read_at(&mut [0], 0));
            read.map_err(|error| match error {
                Error::Io => ZipError::entry(name, Problem::Damaged),
                _ => ZipError::entry(name, Problem::NoRoom),
            })?;
        }
        Ok(())
    }

    /// The entry that `path` leads to from the root (links followed), as it lies in the archive: for those who can use it
    /// packed, as an HTTP server can that sends a deflate stream within the frame of gzip. Nothing is inflated or copied.
    ///
    /// # Errors
    /// Those of resolution; [`Error::IsDirectory`].
    pub fn raw(&self, path: &Path) -> Result<RawEntry> {
        self.index.file(path).map(|(member, metadata)| self.index.source().raw(member, metadata))
    }

    /// The archive itself, whatever comes before it included: its file's pages, where it was opened from a file.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.index.source().bytes().clone()
    }

    /// Files, directories and links, those that are only implied among them.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.index.len()
    }

    /// How many bytes of inflated entries are kept now, by the cache or by handles.
    #[must_use]
    pub fn cached(&self) -> u64 {
        self.index.source().cached()
    }
}

/// A file of an archive as it lies there, packed: see [`Zip::raw`].
#[derive(Clone, Debug)]
pub struct RawEntry {
    /// How [`data`](RawEntry::data) is packed.
    pub method: Method,
    /// The packed bytes: the archive's own pages. That they unpack to what size and checksum say has *not* been verified;
    /// reading the file, or [`Zip::verify`], does that. After using them, ask [`mapped::check`].
    pub data: Bytes,
    /// CRC-32 of the contents (not of `data`), as the central directory has it and gzip's trailer wants it.
    pub crc: u32,
    /// What [`Dir::stat`] says of the file, its size unpacked and its time among it.
    pub metadata: Metadata,
}

impl FileSystem for Zip {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        Ok(Arc::new(IndexDir::new(Arc::clone(&self.index), ROOT)))
    }
}

impl std::fmt::Debug for Zip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zip").field("entries", &self.entries()).finish_non_exhaustive()
    }
}
