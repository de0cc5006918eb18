//! Entries that are too large to be kept: inflated piece by piece, from states kept on the way.
//!
//! The decoder's output goes round a window of 32 KiB, which is all that deflate can refer back to; decoder and window
//! together are the whole state, and cloning the two makes a point to restart from, at any multiple of the window.

use std::sync::{Mutex, PoisonError};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::{Bytes, Error, Result};

/// How far back deflate can refer.
const WINDOW: usize = 32 << 10;

/// What lies between two points, if the budget allows for so many: with a window at the end of a read, less
/// than 1 MiB is inflated in vain.
pub(super) const SPACING: u64 = (1 << 20) - 2 * WINDOW as u64;

/// What a point takes.
pub(super) const POINT: u64 = (size_of::<DecompressorOxide>() + WINDOW + size_of::<Inflater>()) as u64;

/// How many reads that may go on are remembered.
const CURSORS: usize = 4;

/// A deflate stream that has been verified, and states to restart from.
pub(super) struct Pieces {
    data: Bytes,
    size: u64,
    /// From the second on: the first is the beginning.
    points: Vec<Inflater>,
    /// Where the last reads ended, the latest last.
    cursors: Mutex<Vec<Inflater>>,
    spacing: u64,
}

impl Pieces {
    /// Passes over `data`, which has to hold `size` bytes with the checksum `crc`, and keeps points that take no more
    /// than `budget`.
    ///
    /// # Errors
    /// [`Error::Io`] for anything else.
    pub(super) fn new(data: Bytes, size: u64, crc: u32, budget: u64) -> Result<Pieces> {
        let spacing = spacing(size, budget);
        let mut points = Vec::new();
        let (mut inflater, mut checksum) = (Inflater::new(), crc32fast::Hasher::new());
        while !inflater.ended {
            if inflater.end > 0 && inflater.end.is_multiple_of(spacing) {
                points.push(inflater.clone());
            }
            inflater.step(&data)?;
            checksum.update(inflater.chunk());
            if inflater.end > size {
                return Err(Error::Io);
            }
        }
        let sound = inflater.end == size && inflater.consumed == data.len() && checksum.finalize() == crc;
        let cursors = Mutex::new(Vec::new());
        sound.then_some(Pieces { data, size, points, cursors, spacing }).ok_or(Error::Io)
    }

    /// What keeping it takes.
    pub(super) fn weight(&self) -> u64 {
        (self.points.len() + CURSORS) as u64 * POINT
    }

    /// Reads from `offset` on, as [`File::read_at`](crate::File::read_at).
    ///
    /// # Errors
    /// [`Error::Io`] where the archive has changed underneath.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let rest = self.size.saturating_sub(offset);
        let count = usize::try_from(rest).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        if count == 0 {
            return Ok(0);
        }
        let mut inflater = self.start(offset);
        let mut done = 0;
        loop {
            done += inflater.copy(&mut buffer[done..count], offset + done as u64);
            if done == count {
                break;
            }
            inflater.step(&self.data)?;
        }
        self.keep(inflater);
        Ok(count)
    }

    /// The state nearest before `offset`.
    fn start(&self, offset: u64) -> Inflater {
        let points = (offset / self.spacing) as usize;
        let point = points.min(self.points.len()).checked_sub(1).map(|point| &self.points[point]);
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let nearer = |cursor: &Inflater| cursor.start <= offset && point.is_none_or(|point| cursor.end > point.end);
        let best = (0..cursors.len()).filter(|&place| nearer(&cursors[place])).max_by_key(|&place| cursors[place].end);
        match best {
            Some(place) => cursors.remove(place),
            None => point.cloned().unwrap_or_else(Inflater::new),
        }
    }

    fn keep(&self, cursor: Inflater) {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if cursors.len() == CURSORS {
            cursors.remove(0);
        }
        cursors.push(cursor);
    }
}

/// How far apart points are so that they stay within `budget`: a multiple of the window.
fn spacing(size: u64, budget: u64) -> u64 {
    let points = (budget / POINT).max(1);
    size.div_ceil(points).next_multiple_of(WINDOW as u64).max(SPACING)
}

/// A decoder at the end of a chunk of the output. Chunks fill the window and so begin at multiples of it.
#[derive(Clone)]
struct Inflater {
    decoder: Box<DecompressorOxide>,
    window: Box<[u8]>,
    /// How much of the input is behind it.
    consumed: usize,
    /// Where in the output the chunk in the window begins.
    start: u64,
    /// And where it ends.
    end: u64,
    /// Whether the output ends there.
    ended: bool,
}

impl Inflater {
    fn new() -> Inflater {
        let decoder = Box::<DecompressorOxide>::default();
        let window = vec![0; WINDOW].into_boxed_slice();
        Inflater { decoder, window, consumed: 0, start: 0, end: 0, ended: false }
    }

    fn chunk(&self) -> &[u8] {
        &self.window[..(self.end - self.start) as usize]
    }

    /// Goes on to the next chunk.
    fn step(&mut self, data: &[u8]) -> Result<()> {
        let rest = data.get(self.consumed..).unwrap_or_default();
        let (status, consumed, produced) = decompress(&mut self.decoder, rest, &mut self.window, 0, 0);
        self.consumed += consumed;
        self.start = self.end;
        self.end += produced as u64;
        match status {
            TINFLStatus::HasMoreOutput if produced == WINDOW && !self.ended => Ok(()),
            TINFLStatus::Done if !self.ended => {
                self.ended = true;
                Ok(())
            }
            _ => Err(Error::Io),
        }
    }

    /// Copies what the chunk holds from `offset` on.
    fn copy(&self, buffer: &mut [u8], offset: u64) -> usize {
        offset.checked_sub(self.start).map_or(0, |skip| crate::index::copy_at(self.chunk(), buffer, skip))
    }
}
