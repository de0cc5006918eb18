//! Inflating a whole entry.

use std::sync::{Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};

use crate::{Error, Result};

/// Decoders that wait for their next entry: making one costs as much as inflating a small file.
#[derive(Default)]
pub(super) struct Inflaters(Mutex<Vec<Decompress>>);

/// How many decoders wait at the most.
const WAITING: usize = 8;

impl Inflaters {
    /// What the deflate stream `data` holds, which has to be `size` bytes with the checksum `crc`.
    ///
    /// # Errors
    /// [`Error::Io`] for anything else, [`Error::NoMemory`].
    pub(super) fn inflate(&self, data: &[u8], size: u64, crc: u32) -> Result<Vec<u8>> {
        let mut inflated = Vec::new();
        let size = usize::try_from(size).map_err(|_| Error::NoMemory)?;
        inflated.try_reserve_exact(size).map_err(|_| Error::NoMemory)?;
        let mut decoder = self.take();
        let status = decoder.decompress_vec(data, &mut inflated, FlushDecompress::Finish);
        let whole = matches!(status, Ok(Status::StreamEnd)) && decoder.total_in() == data.len() as u64;
        self.put_back(decoder);
        let sound = whole && inflated.len() == size && crc32fast::hash(&inflated) == crc;
        sound.then_some(inflated).ok_or(Error::Io)
    }

    fn take(&self) -> Decompress {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        waiting.unwrap_or_else(|| Decompress::new(false))
    }

    fn put_back(&self, mut decoder: Decompress) {
        decoder.reset(false);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING {
            waiting.push(decoder);
        }
    }
}
