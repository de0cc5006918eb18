//! The contents of one file: chunks with holes between them, or, when nobody has written since they were shared, one run of bytes.

use std::collections::BTreeMap;
use std::ops::Range;

use super::quota::Charge;
#[cfg(any(feature = "disk", feature = "zip"))]
use crate::mapped::check;
use crate::{Bytes, Error, Result};

/// Where nothing is mapped, nothing that is shared can be lost.
#[cfg(not(any(feature = "disk", feature = "zip")))]
fn check(_: &[u8]) -> Result<()> {
    Ok(())
}

const CHUNK: usize = 64 << 10;

/// What a chunk counts at the least, the first of a file excepted: about what it takes besides its bytes. Otherwise single bytes
/// strewn over a file would take up far more than they count.
const COUNTED_MIN: usize = 128;

/// The largest size of a file: what a signed 64-bit offset reaches.
const SIZE_MAX: u64 = i64::MAX as u64;

pub(super) struct Content {
    size: u64,
    body: Body,
    /// The bytes held, as [`counted`] says of each chunk; those that a run would have too.
    charge: Charge,
}

enum Body {
    Chunks(Chunks),
    /// All of it, shared with whoever asked.
    Joined(Bytes),
}

/// Chunks by their number. What is missing, and what lies past a chunk's length, is zeros. The first is at hand: most files have no
/// other, and a map of one would cost more than they hold. No other is empty.
#[derive(Default)]
struct Chunks {
    first: Vec<u8>,
    rest: BTreeMap<u64, Vec<u8>>,
}

impl Chunks {
    fn get(&self, number: u64) -> &[u8] {
        match number {
            0 => &self.first,
            _ => self.rest.get(&number).map_or(&[], Vec::as_slice),
        }
    }

    fn get_mut(&mut self, number: u64) -> &mut Vec<u8> {
        match number {
            0 => &mut self.first,
            _ => self.rest.entry(number).or_default(),
        }
    }

    /// What they count.
    fn counted(&self) -> u64 {
        let rest = self.rest.iter().map(|(number, chunk)| counted(*number, chunk.len()));
        rest.sum::<u64>() + counted(0, self.first.len())
    }

    /// Drops what lies past `size`.
    fn cut(&mut self, size: u64) {
        let (last, keep) = (size / CHUNK as u64, (size % CHUNK as u64) as usize);
        self.rest.split_off(&size.div_ceil(CHUNK as u64));
        if last == 0 || self.rest.contains_key(&last) {
            let chunk = self.get_mut(last);
            if chunk.len() > keep {
                chunk.truncate(keep);
                chunk.shrink_to_fit();
            }
        }
    }
}

/// What a chunk of this number and length counts.
fn counted(number: u64, length: usize) -> u64 {
    match (number, length) {
        (0, _) | (_, 0) => length as u64,
        _ => length.max(COUNTED_MIN) as u64,
    }
}

/// What a run of `size` bytes counts: as much as it would in chunks, so that parting it takes nothing more.
fn counted_whole(size: u64) -> u64 {
    let (last, rest) = (size / CHUNK as u64, size % CHUNK as u64);
    size - rest + counted(last, rest as usize)
}

/// Makes room up to `length`: generously while the chunk is small, exactly once it is on the way to its largest size.
fn reserve(chunk: &mut Vec<u8>, length: usize) -> Result<()> {
    let more = length.saturating_sub(chunk.len());
    let reserved = match length > CHUNK / 2 {
        true => chunk.try_reserve_exact(CHUNK - chunk.len()),
        false => chunk.try_reserve(more),
    };
    reserved.map_err(|_| Error::NoMemory)
}

/// A part of a transfer that lies in one chunk.
struct Piece {
    chunk: u64,
    within: Range<usize>,
    buffer: Range<usize>,
}

/// The pieces of `length` bytes at `offset`.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = Piece> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let start = (at % CHUNK as u64) as usize;
        let count = (length - done).min(CHUNK - start);
        let piece = Piece { chunk: at / CHUNK as u64, within: start..start + count, buffer: done..done + count };
        done += count;
        (count > 0).then_some(piece)
    })
}

impl Content {
    pub(super) fn new(charge: Charge) -> Content {
        Content { size: 0, body: Body::Chunks(Chunks::default()), charge }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Takes `bytes` for the contents.
    pub(super) fn replace(&mut self, bytes: Bytes) -> Result<()> {
        let size = bytes.len() as u64;
        self.charge.set_bytes(counted_whole(size))?;
        self.size = size;
        self.body = Body::Joined(bytes);
        Ok(())
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let left = self.size.saturating_sub(offset);
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = &mut buffer[..length];
        match &self.body {
            _ if length == 0 => {}
            Body::Joined(bytes) => {
                buffer.copy_from_slice(&bytes[offset as usize..][..length]);
                check(bytes)?;
            }
            Body::Chunks(chunks) => {
                for piece in pieces(offset, length) {
                    read_piece(chunks.get(piece.chunk), piece.within, &mut buffer[piece.buffer]);
                }
            }
        }
        Ok(length)
    }

    /// Writes as much as the quota and the largest size allow; nothing at all is an error.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> Result<usize> {
        let room = usize::try_from(SIZE_MAX.saturating_sub(offset)).unwrap_or(usize::MAX);
        if bytes.is_empty() {
            return Ok(0);
        }
        if room == 0 {
            return Err(Error::TooLarge);
        }
        let bytes = &bytes[..bytes.len().min(room)];
        let mut done = 0;
        for piece in pieces(offset, bytes.len()) {
            let part = &bytes[piece.buffer.clone()];
            match self.chunk(piece.chunk, piece.within.end) {
                Ok(chunk) => chunk[piece.within].copy_from_slice(part),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            done += part.len();
        }
        self.size = self.size.max(offset + done as u64);
        Ok(done)
    }

    /// The chunk of that number, at least `length` long.
    fn chunk(&mut self, number: u64, length: usize) -> Result<&mut Vec<u8>> {
        self.split()?;
        let Body::Chunks(chunks) = &mut self.body else { return Err(Error::Io) };
        let before = chunks.get(number).len();
        let length = length.max(before);
        let more = counted(number, length) - counted(number, before);
        self.charge.set_bytes(self.charge.bytes() + more)?;
        if let Err(error) = reserve(chunks.get_mut(number), length) {
            self.charge.set_bytes(self.charge.bytes() - more)?;
            chunks.rest.retain(|_, chunk| !chunk.is_empty());
            return Err(error);
        }
        let chunk = chunks.get_mut(number);
        chunk.resize(length, 0);
        Ok(chunk)
    }

    /// From one run to chunks.
    fn split(&mut self) -> Result<()> {
        if let Body::Joined(bytes) = &self.body {
            let mut chunks = Chunks::default();
            for (number, part) in bytes.chunks(CHUNK).enumerate() {
                let chunk = chunks.get_mut(number as u64);
                reserve(chunk, part.len())?;
                chunk.extend_from_slice(part);
            }
            check(bytes)?;
            self.body = Body::Chunks(chunks);
        }
        Ok(())
    }

    /// The one run, if that is what it is.
    pub(super) fn joined(&self) -> Option<Bytes> {
        match &self.body {
            Body::Joined(bytes) => Some(bytes.clone()),
            Body::Chunks(_) => (self.size == 0).then(Bytes::new),
        }
    }

    /// From chunks to one run, holes and all, which the quota has to allow.
    pub(super) fn join(&mut self) -> Result<Bytes> {
        if let Some(bytes) = self.joined() {
            return Ok(bytes);
        }
        let before = self.charge.bytes();
        self.charge.set_bytes(before.max(counted_whole(self.size))).map_err(|_| Error::TooLarge)?;
        let mut all = Vec::new();
        let size = usize::try_from(self.size).map_err(|_| Error::TooLarge)?;
        if all.try_reserve_exact(size).is_err() {
            self.charge.set_bytes(before)?;
            return Err(Error::NoMemory);
        }
        all.resize(size, 0);
        self.read(&mut all, 0)?;
        let bytes = Bytes::from(all);
        self.replace(bytes.clone())?;
        Ok(bytes)
    }

    pub(super) fn set_len(&mut self, size: u64) -> Result<()> {
        if size > SIZE_MAX {
            return Err(Error::TooLarge);
        }
        match &self.body {
            Body::Joined(_) if size == self.size => return Ok(()),
            Body::Joined(_) if size == 0 => self.body = Body::Chunks(Chunks::default()),
            _ => self.split()?,
        }
        self.size = size;
        let Body::Chunks(chunks) = &mut self.body else { return Err(Error::Io) };
        chunks.cut(size);
        self.charge.set_bytes(chunks.counted())
    }

    /// Fills holes with zeros that are held.
    pub(super) fn allocate(&mut self, offset: u64, length: u64) -> Result<()> {
        let end = offset.checked_add(length).filter(|&end| end <= SIZE_MAX).ok_or(Error::TooLarge)?;
        if length.saturating_sub(self.charge.bytes()) > self.charge.available() {
            return Err(Error::NoSpace);
        }
        let length = usize::try_from(length).map_err(|_| Error::TooLarge)?;
        for piece in pieces(offset, length) {
            self.chunk(piece.chunk, piece.within.end)?;
        }
        self.size = self.size.max(end);
        Ok(())
    }
}

fn read_piece(chunk: &[u8], within: Range<usize>, buffer: &mut [u8]) {
    let there = chunk.get(within.start..within.end.min(chunk.len())).unwrap_or(&[]);
    let (head, tail) = buffer.split_at_mut(there.len());
    head.copy_from_slice(there);
    tail.fill(0);
}

#[cfg(test)]
mod tests {
    use super::super::quota::{Limits, Quota};
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn content(bytes: u64) -> (Arc<Quota>, Content) {
        let quota = Arc::new(Quota::new(Limits { bytes, inodes: 1 }));
        (Arc::clone(&quota), Content::new(Charge::nothing(&quota)))
    }

    #[test]
    fn nothing_is_held_that_is_not_counted() {
        let (quota, mut content) = content(1 << 30);
        for chunk in 1..1000 {
            content.write(b"x", chunk * CHUNK as u64).unwrap();
            assert_eq!(quota.used().bytes, COUNTED_MIN as u64);
            content.set_len(chunk * CHUNK as u64).unwrap();
            assert_eq!(quota.used().bytes, 0);
            assert!(matches!(&content.body, Body::Chunks(chunks) if chunks.rest.is_empty()));
        }
        for chunk in 1..1000 {
            content.write(b"x", chunk << 40).unwrap();
        }
        assert_eq!(quota.used().bytes, 999 * COUNTED_MIN as u64);
    }

    #[test]
    fn cutting_what_was_shared_takes_nothing() {
        let (quota, mut content) = content(2 * CHUNK as u64);
        content.replace(vec![1; 2 * CHUNK].into()).unwrap();
        for size in [2 * CHUNK as u64 - 1, CHUNK as u64 + 1, CHUNK as u64] {
            assert_eq!(content.set_len(size), Ok(()));
            content.join().unwrap();
        }
        assert_eq!(quota.used().bytes, CHUNK as u64);
    }

    #[derive(Clone, Debug)]
    enum Change {
        Write(u64, usize),
        SetLen(u64),
        Allocate(u64, u64),
        Join,
        Replace(usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        let near = |edge: u64| edge.saturating_sub(150)..edge + 150;
        let place = move || prop_oneof![0..300_u64, near(65_536), near(131_072), near(1 << 40), Just(SIZE_MAX - 3)];
        let length = || prop_oneof![0..300_usize, 65_400..65_700_usize, 0..200_000_usize];
        prop_oneof![
            4 => (place(), length()).prop_map(|(offset, length)| Change::Write(offset, length)),
            3 => place().prop_map(Change::SetLen),
            1 => (place(), length()).prop_map(|(offset, length)| Change::Allocate(offset, length as u64)),
            2 => Just(Change::Join),
            1 => length().prop_map(Change::Replace),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        /// What is counted is what is there, within the limit, whatever fails on the way; and what a file holds is what was written.
        #[test]
        fn accounts_are_kept(changes in prop::collection::vec(change(), 1..40), limit in 0..300_000_u64) {
            let (quota, mut content) = content(limit);
            for change in changes {
                let before = (content.size, quota.used().bytes);
                let failed = match &change {
                    Change::Write(offset, length) => content.write(&vec![7; *length], *offset).is_err(),
                    Change::SetLen(size) => content.set_len(*size).is_err(),
                    Change::Allocate(offset, length) => content.allocate(*offset, *length).is_err(),
                    Change::Join => content.join().is_err(),
                    Change::Replace(length) => content.replace(vec![9; *length].into()).is_err(),
                };
                let counted = match &content.body {
                    Body::Chunks(chunks) => {
                        prop_assert!(chunks.rest.values().all(|chunk| !chunk.is_empty()));
                        chunks.counted()
                    }
                    Body::Joined(bytes) => {
                        prop_assert_eq!(bytes.len() as u64, content.size);
                        counted_whole(content.size)
                    }
                };
                prop_assert_eq!((quota.used().bytes, content.charge.bytes()), (counted, counted), "{:?}", &change);
                prop_assert!(counted <= limit);
                prop_assert!(!failed || content.size == before.0, "{:?}", &change);
                if let Change::SetLen(size) = change {
                    prop_assert!(quota.used().bytes <= before.1 && (failed || content.size == size));
                }
            }
            drop(content);
            prop_assert_eq!(quota.used().bytes, 0);
        }
    }
}
