//! The contents of one file: chunks with holes between them, or, when nobody has written since they were shared, one run of bytes.

use std::collections::BTreeMap;
use std::ops::Range;

use super::quota::Charge;
use crate::{Bytes, Error, Result};

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
    /// Chunks by their number. What is missing, and what lies past a chunk's length, is zeros.
    Chunks(BTreeMap<u64, Vec<u8>>),
    /// All of it, shared with whoever asked.
    Joined(Bytes),
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
        Content { size: 0, body: Body::Chunks(BTreeMap::new()), charge }
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

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let left = self.size.saturating_sub(offset);
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = &mut buffer[..length];
        match &self.body {
            _ if length == 0 => {}
            Body::Joined(bytes) => buffer.copy_from_slice(&bytes[offset as usize..][..length]),
            Body::Chunks(chunks) => {
                for piece in pieces(offset, length) {
                    let chunk = chunks.get(&piece.chunk).map_or(&[][..], Vec::as_slice);
                    read_piece(chunk, piece.within, &mut buffer[piece.buffer]);
                }
            }
        }
        length
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
        let held = chunks.get(&number).map_or(0, Vec::len);
        let more = length.saturating_sub(held);
        self.charge.set_bytes(self.charge.bytes() + more as u64)?;
        let chunk = chunks.entry(number).or_default();
        if chunk.try_reserve(more).is_err() {
            self.charge.set_bytes(self.charge.bytes() - more as u64)?;
            return Err(Error::NoMemory);
        }
        chunk.resize(held + more, 0);
        Ok(chunk)
    }

    /// From one run to chunks.
    fn split(&mut self) -> Result<()> {
        if let Body::Joined(bytes) = &self.body {
            let copy = |(number, part): (usize, &[u8])| copy(part).map(|part| (number as u64, part));
            self.body = Body::Chunks(bytes.chunks(CHUNK).enumerate().map(copy).collect::<Result<_>>()?);
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
        self.read(&mut all, 0);
        let bytes = Bytes::from(all);
        self.replace(bytes.clone())?;
        Ok(bytes)
    }

    pub(super) fn set_len(&mut self, size: u64) -> Result<()> {
        if size > SIZE_MAX {
            return Err(Error::TooLarge);
        }
        if size == 0 {
            self.body = Body::Chunks(BTreeMap::new());
        } else if size != self.size {
            self.split()?;
        }
        self.size = size;
        self.cut()
    }

    /// Drops what lies past the size.
    fn cut(&mut self) -> Result<()> {
        let Body::Chunks(chunks) = &mut self.body else { return Ok(()) };
        let (last, keep) = (self.size / CHUNK as u64, (self.size % CHUNK as u64) as usize);
        let mut dropped: usize = chunks.split_off(&(last + 1)).values().map(Vec::len).sum();
        if let Some(chunk) = chunks.get_mut(&last) {
            dropped += chunk.len().saturating_sub(keep);
            chunk.truncate(keep);
            chunk.shrink_to_fit();
        }
        self.charge.set_bytes(if chunks.is_empty() { 0 } else { self.charge.bytes() - dropped as u64 })
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

fn copy(part: &[u8]) -> Result<Vec<u8>> {
    let mut chunk = Vec::new();
    chunk.try_reserve_exact(part.len()).map_err(|_| Error::NoMemory)?;
    chunk.extend_from_slice(part);
    Ok(chunk)
}
