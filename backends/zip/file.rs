//! Files of an archive.

use std::io::IoSliceMut;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::cache::{Cache, Contents, Packed, Whole};
use super::central::{Found, Kind};
use super::{Method, Problem, RawEntry, ZipError};
use crate::index::{Builder, Source, copy_at, copy_vectored_at};
use crate::{Bytes, Error, File, Metadata, Result, mapped};

/// The archive as its files see it.
pub(super) struct Archive {
    bytes: Bytes,
    cache: Arc<Cache>,
    trusted: bool,
}

/// A file of the archive. What its handles share is made when it is first opened.
pub(super) struct Member {
    data: Range<usize>,
    crc: u32,
    shared: Shared,
}

enum Shared {
    /// The handle itself: it has no state of its own.
    Stored(OnceLock<Arc<StoredFile>>),
    Packed(Method, OnceLock<Arc<Packed>>),
}

impl Archive {
    pub(super) fn new(bytes: Bytes, cache: Arc<Cache>, trusted: bool) -> Archive {
        Archive { bytes, cache, trusted }
    }

    /// The whole archive.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(super) fn cached(&self) -> u64 {
        self.cache.live()
    }

    /// Takes an entry into the index.
    ///
    /// # Errors
    /// What concerns its name, and links that are none.
    pub(super) fn take_in(&self, builder: &mut Builder<Member>, found: Found) -> Result<(), ZipError> {
        let Found { name, attributes, size, data, crc, .. } = &found;
        let taken = match found.kind {
            Kind::Directory => builder.directory(name, *attributes),
            Kind::File => {
                let shared = match found.method {
                    Method::Stored => Shared::Stored(OnceLock::new()),
                    method => Shared::Packed(method, OnceLock::new()),
                };
                builder.file(name, *attributes, *size, Member { data: data.clone(), crc: *crc, shared })
            }
            Kind::Link => {
                let target = self.target(&found).map_err(|problem| ZipError::entry(name, problem))?;
                builder.link(name, *attributes, &target)
            }
        };
        taken.map_err(|refusal| ZipError::entry(name, refusal.into()))
    }

    /// A file's data as it lies in the archive.
    pub(super) fn raw(&self, member: &Member, metadata: Metadata) -> RawEntry {
        let method = match &member.shared {
            Shared::Stored(_) => Method::Stored,
            Shared::Packed(method, _) => *method,
        };
        RawEntry { method, data: self.bytes.slice(member.data.clone()), crc: member.crc, metadata }
    }

    /// The target of a link.
    fn target(&self, found: &Found) -> Result<Vec<u8>, Problem> {
        let data = &self.bytes[found.data.clone()];
        let target = self.cache.decoders().unpack(found.method, data, found.size, found.crc);
        let target = target.map_err(|_| Problem::Damaged)?;
        if target.contains(&0) { Err(Problem::BadLink) } else { Ok(target) }
    }
}

impl Source for Archive {
    type Entry = Member;

    fn open(&self, member: &Member, metadata: Metadata) -> Result<Arc<dyn File>> {
        let data = || self.bytes.slice(member.data.clone());
        match &member.shared {
            Shared::Stored(file) => {
                let file = file.get_or_init(|| Arc::new(StoredFile::new(data(), member.crc, self.trusted, metadata)));
                Ok(Arc::clone(file) as Arc<dyn File>)
            }
            Shared::Packed(method, packed) => {
                let new = || Packed::new(data(), *method, metadata.size, member.crc, Arc::clone(&self.cache));
                let packed = Arc::clone(packed.get_or_init(|| Arc::new(new())));
                Ok(Arc::new(PackedFile { packed, contents: OnceLock::new(), metadata }))
            }
        }
    }
}

/// A stored entry.
struct StoredFile {
    bytes: Bytes,
    crc: u32,
    /// Whether the checksum holds, once it is known.
    sound: OnceLock<bool>,
    metadata: Metadata,
}

impl StoredFile {
    fn new(bytes: Bytes, crc: u32, trusted: bool, metadata: Metadata) -> StoredFile {
        let sound = if trusted { OnceLock::from(true) } else { OnceLock::new() };
        StoredFile { bytes, crc, sound, metadata }
    }

    fn contents(&self) -> Result<&Bytes> {
        let sound = *self.sound.get_or_init(|| crc32fast::hash(&self.bytes) == self.crc);
        if sound { Ok(&self.bytes) } else { Err(Error::Io) }
    }
}

impl File for StoredFile {
    fn metadata(&self) -> Result<Metadata> {
        Ok(self.metadata)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let count = copy_at(self.contents()?, buffer, offset);
        mapped::check(&self.bytes).map(|()| count)
    }

    fn read_vectored_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
        let count = copy_vectored_at(self.contents()?, buffers, offset);
        mapped::check(&self.bytes).map(|()| count)
    }

    fn read_all(&self) -> Result<Bytes> {
        self.contents().cloned()
    }
}

/// A handle on a compressed entry, which holds the contents from its first read on.
struct PackedFile {
    packed: Arc<Packed>,
    contents: OnceLock<Contents>,
    metadata: Metadata,
}

impl PackedFile {
    fn contents(&self) -> Result<&Contents> {
        if let Some(contents) = self.contents.get() {
            return Ok(contents);
        }
        let contents = self.packed.contents()?;
        Ok(self.contents.get_or_init(|| contents))
    }
}

impl File for PackedFile {
    fn metadata(&self) -> Result<Metadata> {
        Ok(self.metadata)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        match self.contents()? {
            Contents::Whole(whole) => Ok(copy_at(whole, buffer, offset)),
            Contents::Pieces(pieces) => pieces.read_at(buffer, offset),
        }
    }

    fn read_all(&self) -> Result<Bytes> {
        match self.contents()? {
            Contents::Whole(whole) => Ok(Bytes::from_owner(Held(Arc::clone(whole)))),
            Contents::Pieces(_) => Err(Error::TooLarge),
        }
    }
}

/// Contents that somebody has as [`Bytes`].
struct Held(Arc<Whole>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
