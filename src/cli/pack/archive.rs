//! Writing a zip archive whose bytes depend on its contents alone and whose entries lie where they can be mapped from.
//!
//! The `zip` crate's writer knows alignments of less than 64 KiB only, takes times from the system and has no zstandard without a
//! compiler for C; what is needed here is little: names, modes, three methods, and offsets from the beginning of the file even behind a
//! program, as [APPNOTE.TXT](https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT) counts them.

use std::io::{self, Write};

/// 1980-01-01, the first day that the format has.
const DATE: u16 = 1 << 5 | 1;

/// Written on Unix, by the version of the format that has zstandard.
const MADE_BY: u16 = 3 << 8 | 63;

/// The names are UTF-8.
const UTF8: u16 = 1 << 11;

/// The field that zipalign fills up with.
const PADDING: u16 = 0xd935;

/// How contents are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Stored,
    Deflate,
    Zstd,
}

impl Method {
    fn number(self) -> u16 {
        match self {
            Method::Stored => 0,
            Method::Deflate => 8,
            Method::Zstd => 93,
        }
    }

    /// The version of the format that is needed.
    fn version(self) -> u16 {
        match self {
            Method::Zstd => 63,
            _ => 20,
        }
    }
}

/// An entry that is ready to be written.
pub(super) struct Entry<'a> {
    /// Its path; with a slash at the end if it is a folder.
    pub(super) name: &'a [u8],
    /// Type and permissions, as in `st_mode`.
    pub(super) mode: u32,
    pub(super) method: Method,
    /// The packed bytes.
    pub(super) data: &'a [u8],
    /// Unpacked.
    pub(super) size: u64,
    /// Of the unpacked bytes.
    pub(super) crc: u32,
    /// What the place of its data is to be a multiple of.
    pub(super) align: u64,
}

/// An archive that is being written.
pub(super) struct Archive<W> {
    out: W,
    /// From the beginning of the file.
    place: u64,
    directory: Vec<u8>,
    count: usize,
}

impl<W: Write> Archive<W> {
    /// An archive that begins at `place` of its file.
    pub(super) fn new(out: W, place: u64) -> Archive<W> {
        Archive { out, place, directory: Vec::new(), count: 0 }
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// Those of writing, and what the format without its 64-bit extension cannot hold.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let name_len = u16::try_from(entry.name.len()).map_err(|_| too_much("a longer name"))?;
        let sizes = (u32::try_from(entry.data.len()), u32::try_from(entry.size));
        let (Ok(packed), Ok(size)) = sizes else { return Err(too_much("files of 4 GiB and more")) };
        let header = 30 + entry.name.len() as u64;
        let mut padding = self.padding(header, entry.align);
        if padding.is_none() {
            // A field that is long enough would be too long: a few bytes that belong to no entry help.
            self.write(&[0; 64])?;
            padding = self.padding(header, entry.align);
        }
        let padding = padding.unwrap_or_default();
        let offset = u32::try_from(self.place).map_err(|_| too_much("more than 4 GiB"))?;
        let common = Common { entry, packed, size, name_len };
        let mut local = b"PK\x03\x04".to_vec();
        common.put(&mut local, padding.len() as u16);
        local.extend_from_slice(entry.name);
        local.extend_from_slice(&padding);
        self.write(&local)?;
        self.write(entry.data)?;
        let directory = &mut self.directory;
        directory.extend_from_slice(b"PK\x01\x02");
        directory.extend_from_slice(&MADE_BY.to_le_bytes());
        common.put(directory, 0);
        // Comment, disk, internal attributes.
        directory.extend_from_slice(&[0; 6]);
        let dos_directory = u32::from(entry.name.ends_with(b"/")) << 4;
        directory.extend_from_slice(&(entry.mode << 16 | dos_directory).to_le_bytes());
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(entry.name);
        self.count += 1;
        Ok(())
    }

    /// The extra field that puts the data behind a header of this length where it has to be; `None` if there is none.
    fn padding(&self, header: u64, align: u64) -> Option<Vec<u8>> {
        let missing = (self.place + header).next_multiple_of(align) - self.place - header;
        let len = match missing {
            0 => return Some(Vec::new()),
            1..6 => missing + align,
            _ => missing,
        };
        let len = u16::try_from(len).ok()?;
        let mut field = PADDING.to_le_bytes().to_vec();
        field.extend_from_slice(&(len - 4).to_le_bytes());
        field.extend_from_slice(&(align.min(1 << 15) as u16).to_le_bytes());
        field.resize(len.into(), 0);
        Some(field)
    }

    /// Writes the central directory; gives the writer, and where the file ends.
    ///
    /// # Errors
    /// As for [`add`](Archive::add).
    pub(super) fn finish(mut self) -> io::Result<(W, u64)> {
        let directory = std::mem::take(&mut self.directory);
        let count = u16::try_from(self.count).map_err(|_| too_much("more than 65,535 entries"))?;
        let place = u32::try_from(self.place).map_err(|_| too_much("more than 4 GiB"))?;
        let len = u32::try_from(directory.len()).map_err(|_| too_much("more names"))?;
        self.write(&directory)?;
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend_from_slice(&count.to_le_bytes());
        end.extend_from_slice(&count.to_le_bytes());
        end.extend_from_slice(&len.to_le_bytes());
        end.extend_from_slice(&place.to_le_bytes());
        end.extend_from_slice(&[0; 2]);
        self.write(&end)?;
        Ok((self.out, self.place))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.place += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

fn too_much(what: &str) -> io::Error {
    io::Error::other(format!("a bundle cannot hold {what}"))
}

/// What local and central headers have in common.
struct Common<'a> {
    entry: &'a Entry<'a>,
    packed: u32,
    size: u32,
    name_len: u16,
}

impl Common<'_> {
    fn put(&self, out: &mut Vec<u8>, extra: u16) {
        let Entry { method, crc, name, .. } = self.entry;
        let flags = if name.is_ascii() || str::from_utf8(name).is_err() { 0 } else { UTF8 };
        for short in [method.version(), flags, method.number(), 0, DATE] {
            out.extend_from_slice(&short.to_le_bytes());
        }
        for long in [*crc, self.packed, self.size] {
            out.extend_from_slice(&long.to_le_bytes());
        }
        out.extend_from_slice(&self.name_len.to_le_bytes());
        out.extend_from_slice(&extra.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behind prefixes of any length, data lies where it has to, and another reader finds it.
    #[test]
    fn data_is_aligned_wherever_the_archive_begins() {
        for before in (0..64).chain(65_480..65_600) {
            let mut archive = Archive::new(vec![7; before], before as u64);
            for (name, align) in [("a", 1), ("page", 4096), ("b", 1), ("native", 65_536)] {
                let data = name.repeat(10);
                let crc = crc32fast::hash(data.as_bytes());
                let (name, data, size) = (name.as_bytes(), data.as_bytes(), data.len() as u64);
                let entry = Entry { name, mode: 0o100_644, method: Method::Stored, data, size, crc, align };
                archive.add(&entry).unwrap();
            }
            let (bytes, end) = archive.finish().unwrap();
            assert_eq!(bytes.len() as u64, end);
            let mut read = zip::ZipArchive::new(io::Cursor::new(&bytes)).unwrap();
            for (name, align) in [("page", 4096), ("native", 65_536)] {
                let entry = read.by_name(name).unwrap();
                assert_eq!(
                    (entry.data_start().unwrap() % align, entry.size()),
                    (0, 10 * name.len() as u64),
                    "{before}"
                );
            }
        }
    }
}
