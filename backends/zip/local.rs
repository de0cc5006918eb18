//! Local headers, which have to say what the central directory says (APPNOTE.TXT, 4.3.7).

use std::ops::Range;

use super::Problem;

const HEADER: usize = 30;
const CENTRAL_HEADER: usize = 46;

/// Sizes and checksum follow the data instead of standing in the header.
const DESCRIPTOR: u16 = 1 << 3;

/// The flags that change how the data is read.
const DECISIVE: u16 = 1 | DESCRIPTOR | 1 << 5 | 1 << 6 | 1 << 13;

/// A size that stands in the zip64 field.
const IN_ZIP64: u32 = u32::MAX;

/// What the central directory says of an entry.
pub(super) struct Declared<'a> {
    pub(super) name: &'a [u8],
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) compressed: u64,
    pub(super) size: u64,
}

/// The name and the method in the central header at `place`, as they stand there.
pub(super) fn central_name_and_method(archive: &[u8], place: u64) -> Option<(&[u8], u16)> {
    let header = archive.get(usize::try_from(place).ok()?..)?;
    let name = header.get(CENTRAL_HEADER..)?.get(..usize::from(u16_at(header, 28)?))?;
    Some((name, u16_at(header, 10)?))
}

/// Checks the local header at `start` against what is declared, and says where the data lies.
///
/// # Errors
/// [`Problem::Disagreement`], also where the header or the data ends past the archive.
pub(super) fn check(archive: &[u8], start: u64, declared: &Declared<'_>) -> Result<Range<usize>, Problem> {
    let start = usize::try_from(start).ok();
    let header = start.and_then(|start| archive.get(start..)).and_then(Header::parse);
    let header = header.ok_or(Problem::Disagreement("there is none where it should be"))?;
    header.agree(declared).map_err(Problem::Disagreement)?;
    let begin = start.unwrap_or(0) + HEADER + header.name.len() + header.extra.len();
    let end = usize::try_from(declared.compressed).ok().and_then(|len| begin.checked_add(len));
    match end {
        Some(end) if end <= archive.len() => Ok(begin..end),
        _ => Err(Problem::Sizes("its data ends past the archive")),
    }
}

struct Header<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u32,
    size: u32,
    name: &'a [u8],
    extra: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Header<'a>> {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        if !header.starts_with(b"PK\x03\x04") {
            return None;
        }
        let (name, rest) = rest.split_at_checked(usize::from(u16_at(header, 26)?))?;
        let extra = rest.get(..usize::from(u16_at(header, 28)?))?;
        Some(Header {
            flags: u16_at(header, 6)?,
            method: u16_at(header, 8)?,
            crc: u32_at(header, 14)?,
            compressed: u32_at(header, 18)?,
            size: u32_at(header, 22)?,
            name,
            extra,
        })
    }

    /// Says in what the two differ.
    fn agree(&self, declared: &Declared<'_>) -> Result<(), &'static str> {
        let (compressed, size) = self.sizes().ok_or("zip64 field")?;
        let pending = declared.flags & DESCRIPTOR != 0;
        let differs = |here: u64, there: u64| here != there && !(pending && here == 0);
        match () {
            () if self.name != declared.name => Err("name"),
            () if (self.flags ^ declared.flags) & DECISIVE != 0 => Err("flags"),
            () if self.method != declared.method => Err("compression method"),
            () if differs(self.crc.into(), declared.crc.into()) => Err("checksum"),
            () if differs(compressed, declared.compressed) => Err("compressed size"),
            () if differs(size, declared.size) => Err("size"),
            () => Ok(()),
        }
    }

    /// Compressed and inflated size, from the zip64 field where they are there (4.5.3: inflated first).
    fn sizes(&self) -> Option<(u64, u64)> {
        if self.compressed != IN_ZIP64 && self.size != IN_ZIP64 {
            return Some((self.compressed.into(), self.size.into()));
        }
        let mut rest = extra_field(self.extra, 1)?;
        let mut next = |short: u32| {
            if short != IN_ZIP64 {
                return Some(short.into());
            }
            let (long, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u64::from_le_bytes(*long))
        };
        let size = next(self.size)?;
        Some((next(self.compressed)?, size))
    }
}

/// The contents of the first extra field with this number.
fn extra_field(mut extra: &[u8], id: u16) -> Option<&[u8]> {
    loop {
        let len = usize::from(u16_at(extra, 2)?);
        let field = extra.get(4..)?.get(..len)?;
        if u16_at(extra, 0)? == id {
            return Some(field);
        }
        extra = &extra[4 + len..];
    }
}

fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    bytes.get(place..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    bytes.get(place..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
