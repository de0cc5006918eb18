//! Archives made byte by byte, so that each can lie in exactly one place.

use std::io::Write as _;

use crate::Bytes;

/// A header's fields, as the local and the central header of an entry have them.
#[derive(Clone)]
pub(super) struct Fields {
    pub(super) name: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) time: u32,
    pub(super) crc: u32,
    pub(super) compressed: u32,
    pub(super) size: u32,
    pub(super) extra: Vec<u8>,
}

/// An entry: what its two headers say, and its data.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) central: Fields,
    pub(super) local: Fields,
    pub(super) made_by: u16,
    pub(super) attributes: u32,
    pub(super) data: Vec<u8>,
    /// The offset that the central header gives, if not the true one.
    pub(super) offset: Option<u32>,
}

pub(super) const UNIX: u16 = 3 << 8 | 30;

/// 2020-06-15 12:30:10.
pub(super) const DOS_TIME: u32 = ((2020 - 1980) << 9 | 6 << 5 | 15) << 16 | 12 << 11 | 30 << 5 | 5;

pub(super) fn deflate(contents: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}

/// A stored file.
pub(super) fn stored(name: &str, contents: &[u8]) -> Item {
    item(name.as_bytes(), 0, contents, contents.to_vec())
}

/// A deflated file.
pub(super) fn deflated(name: &str, contents: &[u8]) -> Item {
    item(name.as_bytes(), 8, contents, deflate(contents))
}

/// A symbolic link.
pub(super) fn link(name: &str, target: &str) -> Item {
    Item { attributes: 0o120_777 << 16, ..stored(name, target.as_bytes()) }
}

pub(super) fn item(name: &[u8], method: u16, contents: &[u8], data: Vec<u8>) -> Item {
    let fields = Fields {
        name: name.to_vec(),
        flags: 0,
        method,
        time: DOS_TIME,
        crc: crc32fast::hash(contents),
        compressed: data.len() as u32,
        size: contents.len() as u32,
        extra: Vec::new(),
    };
    Item { central: fields.clone(), local: fields, made_by: UNIX, attributes: 0o100_640 << 16, data, offset: None }
}

impl Item {
    /// Changes both headers alike.
    pub(super) fn both(mut self, change: impl Fn(&mut Fields)) -> Item {
        change(&mut self.central);
        change(&mut self.local);
        self
    }

    pub(super) fn local(mut self, change: impl Fn(&mut Fields)) -> Item {
        change(&mut self.local);
        self
    }
}

/// The fields that the two headers share, from the version needed to the lengths.
fn shared(fields: &Fields, out: &mut Vec<u8>) {
    out.extend(20u16.to_le_bytes());
    out.extend(fields.flags.to_le_bytes());
    out.extend(fields.method.to_le_bytes());
    out.extend(fields.time.to_le_bytes());
    out.extend(fields.crc.to_le_bytes());
    out.extend(fields.compressed.to_le_bytes());
    out.extend(fields.size.to_le_bytes());
    out.extend((fields.name.len() as u16).to_le_bytes());
    out.extend((fields.extra.len() as u16).to_le_bytes());
}

/// The archive of `items`, with nothing before it and no comment.
pub(super) fn archive(items: &[Item]) -> Vec<u8> {
    let mut out = Vec::new();
    let offsets: Vec<u32> = items.iter().map(|item| local_header_and_data(item, &mut out)).collect();
    let start = out.len() as u32;
    for (item, offset) in items.iter().zip(offsets) {
        central_header(item, item.offset.unwrap_or(offset), &mut out);
    }
    let size = out.len() as u32 - start;
    let count = items.len() as u16;
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}

fn local_header_and_data(item: &Item, out: &mut Vec<u8>) -> u32 {
    let offset = out.len() as u32;
    out.extend(b"PK\x03\x04");
    shared(&item.local, out);
    out.extend(&item.local.name);
    out.extend(&item.local.extra);
    out.extend(&item.data);
    offset
}

fn central_header(item: &Item, offset: u32, out: &mut Vec<u8>) {
    out.extend(b"PK\x01\x02");
    out.extend(item.made_by.to_le_bytes());
    shared(&item.central, out);
    out.extend([0; 6]);
    out.extend(item.attributes.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend(&item.central.name);
    out.extend(&item.central.extra);
}

/// The archive of `items`, as bytes to be mounted.
pub(super) fn bytes(items: &[Item]) -> Bytes {
    archive(items).into()
}

/// Bytes that deflate can do something with, but not too much; the same for the same seed.
pub(super) fn prose(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words: Vec<[u8; 8]> = (0..500).map(|_| next().to_le_bytes()).collect();
    let text = std::iter::from_fn(|| Some(words[(next() % 500) as usize])).flatten();
    text.take(len).collect()
}
