//! The central directory, entry by entry, under the policy of the [module](super).

use std::io::Cursor;
use std::ops::Range;

use ::zip::read::ZipFile;
use ::zip::{System, ZipArchive};

use super::local::{self, Declared};
use super::{Options, Problem, ZipError, times};
use crate::PATH_MAX;
use crate::index::Attributes;

/// The most bytes that one byte of a deflate stream can become: a match of 258 bytes takes two bits at the least.
const DEFLATE_RATIO: u64 = 258 * 4;

const TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// Flags of an entry: encrypted, patched data, strongly encrypted, header masked.
const ENCRYPTED: u16 = 1 | 1 << 5 | 1 << 6 | 1 << 13;

/// How an entry's data is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Not at all.
    Stored,
    /// A raw deflate stream (RFC 1951), without a header or trailer.
    Deflated,
    /// Zstandard frames (RFC 8878).
    #[cfg(feature = "zip-zstd")]
    Zstd,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
}

/// An entry as the central directory has it, checked against its local header.
pub(super) struct Found {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) attributes: Attributes,
    pub(super) method: Method,
    pub(super) crc: u32,
    /// Inflated.
    pub(super) size: u64,
    /// Where in the archive its data lies.
    pub(super) data: Range<usize>,
    /// Where its local header begins.
    header: usize,
    /// Where it stands in the central directory.
    place: u64,
}

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Reads the central directory, in its order and with the last of each name.
///
/// # Errors
/// Everything that the policy refuses, except for what concerns the tree (names, conflicts).
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Vec<Found>, ZipError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| ZipError::Archive(error.to_string()))?;
    let count = archive.len();
    if count > options.entries {
        return Err(ZipError::TooManyEntries { count, limit: options.entries });
    }
    let mut found = (0..count).map(|number| entry(bytes, &mut archive, number)).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable_by_key(|entry| entry.place);
    no_overlap(&found, archive.central_directory_start())?;
    no_bomb(&found, options.expansion)?;
    Ok(found)
}

fn entry(bytes: &[u8], archive: &mut Archive<'_>, number: usize) -> Result<Found, ZipError> {
    let place = archive.by_index_data(number).map_or(0, |entry| entry.central_header_start());
    let name = archive.by_index_data(number).map(|entry| entry.name_raw().to_vec()).unwrap_or_default();
    match archive.by_index_raw(number) {
        Ok(file) => examine(bytes, &file, place).map_err(|problem| ZipError::entry(&name, problem)),
        Err(_) => Err(ZipError::entry(&name, Problem::Disagreement("there is none where it should be"))),
    }
}

fn examine(bytes: &[u8], file: &ZipFile<'_, Cursor<&[u8]>>, place: u64) -> Result<Found, Problem> {
    let name = name(file)?;
    let flags = file.flags().as_u16();
    if flags & ENCRYPTED != 0 {
        return Err(Problem::Encrypted);
    }
    let (stored_name, number) = local::central_name_and_method(bytes, place).ok_or(Problem::BadName)?;
    // Some writers claim deflate for nothing without making a stream of it.
    let nothing = file.size() == 0 && file.compressed_size() == 0;
    let method = if nothing { Method::Stored } else { method(number)? };
    let declared = Declared {
        name: stored_name,
        flags,
        method: number,
        crc: file.crc32(),
        compressed: file.compressed_size(),
        size: file.size(),
    };
    let data = local::check(bytes, file.header_start(), &declared)?;
    let mode = unix_mode(file);
    let kind = kind(&name, mode);
    plausible(kind, method, declared.compressed, declared.size)?;
    let mode = mode.map_or(if kind == Kind::Directory { 0o755 } else { 0o644 }, |mode| mode & 0o777);
    let attributes = Attributes { mode, modified: times::modified(file) };
    let header = file.header_start() as usize;
    Ok(Found { name, kind, attributes, method, crc: declared.crc, size: declared.size, data, header, place })
}

/// The name as the mount has it.
fn name(file: &ZipFile<'_, Cursor<&[u8]>>) -> Result<Vec<u8>, Problem> {
    match file.system() {
        System::Unix => Ok(file.name_raw().to_vec()),
        _ => file.name().map(|name| name.into_owned().into_bytes()).map_err(|_| Problem::BadName),
    }
}

fn method(number: u16) -> Result<Method, Problem> {
    match number {
        0 => Ok(Method::Stored),
        8 => Ok(Method::Deflated),
        #[cfg(feature = "zip-zstd")]
        93 => Ok(Method::Zstd),
        other => Err(Problem::Method(other)),
    }
}

/// The mode with its type, if there is one: writers for other systems put it where Unix has it, too, and a type there
/// tells (as Info-ZIP judges); else what the crate makes of DOS attributes.
fn unix_mode(file: &ZipFile<'_, Cursor<&[u8]>>) -> Option<u32> {
    let mode = file.external_attributes() >> 16;
    if mode & TYPE != 0 { Some(mode) } else { file.unix_mode() }
}

fn kind(name: &[u8], mode: Option<u32>) -> Kind {
    match mode.unwrap_or(0) & TYPE {
        _ if name.ends_with(b"/") => Kind::Directory,
        DIRECTORY => Kind::Directory,
        LINK => Kind::Link,
        _ => Kind::File,
    }
}

/// What can be said of sizes before anything is inflated.
fn plausible(kind: Kind, method: Method, compressed: u64, size: u64) -> Result<(), Problem> {
    match (kind, method) {
        (Kind::Directory, _) if size != 0 => Err(Problem::Sizes("a directory has no contents")),
        (Kind::Link, _) if size == 0 || size > PATH_MAX as u64 => Err(Problem::BadLink),
        (_, Method::Stored) if compressed != size => Err(Problem::Sizes("it is stored, and they differ")),
        (_, Method::Deflated) if size / DEFLATE_RATIO > compressed => {
            Err(Problem::Sizes("deflate cannot pack so much into so little"))
        }
        _ => Ok(()),
    }
}

/// Checks that no byte belongs to two entries, or to an entry and the central directory.
fn no_overlap(found: &[Found], directory: u64) -> Result<(), ZipError> {
    let mut by_header: Vec<&Found> = found.iter().collect();
    by_header.sort_unstable_by_key(|entry| entry.header);
    let next_headers = by_header.iter().skip(1).map(|entry| entry.header as u64).chain([directory]);
    for (entry, limit) in by_header.iter().zip(next_headers) {
        if entry.data.end as u64 > limit {
            return Err(ZipError::entry(&entry.name, Problem::Overlap));
        }
    }
    Ok(())
}

/// Checks that the compressed entries do not expand beyond `limit`.
fn no_bomb(found: &[Found], limit: u64) -> Result<(), ZipError> {
    let mut total = 0u64;
    for entry in found.iter().filter(|entry| entry.method != Method::Stored) {
        total = total.saturating_add(entry.size);
        if total > limit {
            return Err(ZipError::entry(&entry.name, Problem::Expansion { limit }));
        }
    }
    Ok(())
}
