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

/// The largest size of a file: what a signed 64-bit offset reaches.
const SIZE_MAX: u64 = i64::MAX as u64;

pub(super) struct Content {
    size: u64,
    body: Body,
    /// The bytes held: the chunks' lengths, or the size of the run.
    charge: Charge,
}

enum Body {
    Chunks(Chunks),
    /// All of it, shared with whoever asked.
    Joined(Bytes),
}

/// Chunks by their number. What is missing, and what lies past a chunk's length, is zeros. The first is at hand: most files have no
/// other, and a map of one would cost more than they hold.
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

    /// The bytes held.
    fn held(&self) -> u64 {
        self.rest.values().map(Vec::len).chain([self.first.len()]).map(|length| length as u64).sum()
    }

    /// Drops what lies past `size`.
    fn cut(&mut self, size: u64) {
        let (last, keep) = (size / CHUNK as u64, (size % CHUNK as u64) as usize);
        self.rest.split_off(&(last + 1));
        if last == 0 || self.rest.contains_key(&last) {
            let chunk = self.get_mut(last);
            if chunk.len() > keep {
                chunk.truncate(keep);
                chunk.shrink_to_fit();
            }
        }
    }
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
        self.charge.set_bytes(bytes.len() as u64)?;
        self.size = bytes.len() as u64;
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
        let more = length.saturating_sub(chunks.get(number).len());
        self.charge.set_bytes(self.charge.bytes() + more as u64)?;
        let chunk = chunks.get_mut(number);
        if let Err(error) = reserve(chunk, length) {
            self.charge.set_bytes(self.charge.bytes() - more as u64)?;
            return Err(error);
        }
        chunk.resize(chunk.len().max(length), 0);
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
        self.charge.set_bytes(before.max(self.size)).map_err(|_| Error::TooLarge)?;
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
        self.charge.set_bytes(chunks.held())
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
