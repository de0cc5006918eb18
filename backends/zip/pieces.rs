//! Entries that are too large to be kept: inflated piece by piece, from states kept on the way.
//!
//! The decoder's output goes round a window of 32 KiB, which is all that deflate can refer back to; decoder and window
//! together are the whole state, and cloning the two makes a point to restart from, at any multiple of the window.

use std::sync::{Mutex, PoisonError};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::cache::Room;
use crate::{Bytes, Error, Result, mapped};

/// How far back deflate can refer.
const WINDOW: usize = 32 << 10;

/// What lies between two points, if there is room for so many: with a window at the end of a read, less
/// than 1 MiB is inflated in vain.
const SPACING: u64 = (1 << 20) - 2 * WINDOW as u64;

/// What a point takes.
const POINT: u64 = (size_of::<DecompressorOxide>() + WINDOW + size_of::<Inflater>()) as u64;

/// How many reads that may go on are remembered, if there is room.
const CURSORS: usize = 4;

/// A deflate stream that has been verified, and states to restart from.
pub(super) struct Pieces {
    data: Bytes,
    size: u64,
    /// From the second on: the first is the beginning.
    points: Vec<Inflater>,
    /// Where the last reads ended, the latest last.
    cursors: Mutex<Vec<Cursor>>,
    spacing: u64,
    /// What the points take.
    room: Room,
}

/// Where a read ended.
struct Cursor {
    inflater: Inflater,
    _room: Room,
}

impl Pieces {
    /// What the points of an entry of this size take where there is room for all.
    pub(super) fn weight(size: u64) -> u64 {
        size.saturating_sub(1) / SPACING * POINT
    }

    /// Passes over `data`, which has to hold `size` bytes with the checksum `crc`, and keeps as many points as `room`
    /// is for.
    ///
    /// # Errors
    /// [`Error::Io`] for anything else.
    pub(super) fn new(data: Bytes, size: u64, crc: u32, room: Room) -> Result<Pieces> {
        let spacing = spacing(size, room.bytes());
        let mut points = Vec::new();
        let (mut inflater, mut checksum) = (Inflater::new(), crc32fast::Hasher::new());
        while !inflater.ended {
            if inflater.end > 0 && inflater.end < size && inflater.end.is_multiple_of(spacing) {
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
        sound.then_some(Pieces { data, size, points, cursors, spacing, room }).ok_or(Error::Io)
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
        mapped::check(&self.data)?;
        self.keep(inflater);
        Ok(count)
    }

    /// The state nearest before `offset`.
    fn start(&self, offset: u64) -> Inflater {
        let points = (offset / self.spacing) as usize;
        let point = points.min(self.points.len()).checked_sub(1).map(|point| &self.points[point]);
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let nearer = |at: &Inflater| at.start <= offset && point.is_none_or(|point| at.end > point.end);
        let near = (0..cursors.len()).filter(|&place| nearer(&cursors[place].inflater));
        match near.max_by_key(|&place| cursors[place].inflater.end) {
            Some(place) => cursors.remove(place).inflater,
            None => point.cloned().unwrap_or_else(Inflater::new),
        }
    }

    fn keep(&self, inflater: Inflater) {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if cursors.len() == CURSORS {
            cursors.remove(0);
        }
        cursors.extend(self.room.more(POINT).map(|room| Cursor { inflater, _room: room }));
    }
}

/// How far apart points are so that there is room for them: a multiple of the window.
fn spacing(size: u64, room: u64) -> u64 {
    let pieces = room / POINT + 1;
    size.div_ceil(pieces).next_multiple_of(WINDOW as u64).max(SPACING)
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::super::cache::Cache;
    use super::*;

    /// Text of numbers, deflated.
    fn sample(size: usize) -> (Vec<u8>, Bytes) {
        let text: Vec<u8> = (0u32..).flat_map(|number| number.to_string().into_bytes()).take(size).collect();
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&text).unwrap();
        (text, encoder.finish().unwrap().into())
    }

    fn pieces(text: &[u8], data: &Bytes, budget: u64) -> Pieces {
        let room = Arc::new(Cache::new(budget)).some_room(Pieces::weight(text.len() as u64));
        Pieces::new(data.clone(), text.len() as u64, crc32fast::hash(text), room).unwrap()
    }

    #[test]
    fn a_read_inflates_less_than_a_mebibyte_in_vain() {
        let (text, data) = sample(5 << 20);
        let pieces = pieces(&text, &data, 1 << 30);
        assert_eq!(pieces.points.len(), 5);
        let mut buffer = vec![0; 10_000];
        for offset in (0..text.len() as u64 - 10_000).step_by(477_777).chain([0, SPACING - 1, SPACING, 2 * SPACING]) {
            pieces.cursors.lock().unwrap().clear();
            let from = pieces.start(offset).end;
            assert!(from <= offset);
            assert_eq!(pieces.read_at(&mut buffer, offset), Ok(10_000));
            let to = pieces.cursors.lock().unwrap()[0].inflater.end;
            assert!(to - from < 10_000 + (1 << 20), "{offset}: {from}..{to}");
            // Going on costs nothing that was inflated before.
            let next = offset + 10_000;
            let again = pieces.start(next);
            assert!(again.end == to && again.start <= next && next <= to + 1);
        }
    }

    #[test]
    fn points_keep_within_the_room() {
        let (text, data) = sample(5 << 20);
        for (budget, points) in [(0, 0), (POINT - 1, 0), (POINT, 1), (3 * POINT, 3), (5 * POINT, 5)] {
            let pieces = pieces(&text, &data, budget);
            assert_eq!(pieces.points.len(), points);
            assert!(points as u64 * POINT <= pieces.room.bytes());
            let mut buffer = vec![0; 100_000];
            for offset in [4 << 20, 0, 3 << 20, 1 << 20] {
                assert_eq!(pieces.read_at(&mut buffer, offset as u64), Ok(100_000));
                assert!(buffer == text[offset..offset + 100_000]);
            }
            let cursors = pieces.cursors.lock().unwrap().len();
            assert!((points + cursors) as u64 * POINT <= budget);
        }
    }
}
