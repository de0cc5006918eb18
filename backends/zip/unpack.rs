//! Unpacking a whole entry.

use std::sync::{Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};

use super::central::Method;
use crate::{Error, Result, mapped};

/// Decoders that wait for their next entry: making one costs as much as inflating a small file.
#[derive(Default)]
pub(super) struct Decoders(Mutex<Vec<Decompress>>);

/// How many decoders wait at the most.
const WAITING: usize = 8;

impl Decoders {
    /// What `data` holds, packed by `method`, which has to be `size` bytes with the checksum `crc`.
    ///
    /// # Errors
    /// [`Error::Io`] for anything else, [`Error::NoMemory`].
    pub(super) fn unpack(&self, method: Method, data: &[u8], size: u64, crc: u32) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let size = usize::try_from(size).map_err(|_| Error::NoMemory)?;
        bytes.try_reserve_exact(size).map_err(|_| Error::NoMemory)?;
        let whole = match method {
            Method::Stored => {
                bytes.extend_from_slice(&data[..data.len().min(size)]);
                data.len() == size
            }
            Method::Deflated => self.inflate(data, &mut bytes),
            #[cfg(feature = "zip-zstd")]
            Method::Zstd => ruzstd::decoding::FrameDecoder::new().decode_all_to_vec(data, &mut bytes).is_ok(),
        };
        let sound = whole && bytes.len() == size && crc32fast::hash(&bytes) == crc && mapped::check(data).is_ok();
        sound.then_some(bytes).ok_or(Error::Io)
    }

    /// Fills what `bytes` has reserved, and says whether the stream and the data end together.
    fn inflate(&self, data: &[u8], bytes: &mut Vec<u8>) -> bool {
        let mut decoder = self.take();
        let status = decoder.decompress_vec(data, bytes, FlushDecompress::Finish);
        let whole = matches!(status, Ok(Status::StreamEnd)) && decoder.total_in() == data.len() as u64;
        self.put_back(decoder);
        whole
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
