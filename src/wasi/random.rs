//! Randomness: the system's, or one that makes a run reproducible.

use super::waiting::Stop;
use super::{Errno, WasiCtx, guest};

/// Where a guest's random bytes come from.
pub trait Random: Send {
    /// Fills all of `bytes`.
    ///
    /// # Errors
    /// `EIO` where the source fails.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Errno>;
}

/// The host's random numbers (`getrandom`), fit for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, mut bytes: &mut [u8]) -> Result<(), Errno> {
        // The kernel gives 32 MiB at once at the most, and fewer when a signal comes.
        while !bytes.is_empty() {
            match rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty()) {
                Ok(count) => bytes = &mut bytes[count..],
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Err(Errno::Io),
            }
        }
        Ok(())
    }
}

/// Numbers that follow from a seed (SplitMix64): the same run, the same numbers. Not for secrets.
#[derive(Clone, Copy, Debug)]
pub struct SeededRandom(u64);

impl SeededRandom {
    /// The sequence of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> SeededRandom {
        SeededRandom(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Bytes that are made between two looks at whether the guest is to stop: some milliseconds, and a multiple of what any source
/// makes at once, so that pieces make no difference.
const PIECE: usize = 1 << 20;

/// Fills a buffer with random bytes.
///
/// # Errors
/// `EFAULT`, `EIO`; `EINTR` where the guest is to stop.
pub fn random_get(memory: &mut [u8], ctx: &mut WasiCtx, buffer: u32, len: u32) -> Result<(), Errno> {
    let stop = Stop::of_guest();
    let mut pieces = guest::bytes_mut(memory, buffer, len)?.chunks_mut(PIECE);
    pieces.try_for_each(|piece| stop.check().and_then(|()| ctx.random.fill(piece)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_is_splitmix64() {
        // The first outputs for seed 1234567, from the reference implementation's published test vector.
        let mut random = SeededRandom::new(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn system_fills_everything() {
        let mut bytes = vec![0; (33 << 20) + 1000];
        SystemRandom.fill(&mut bytes).unwrap();
        assert!(bytes.chunks(64).all(|chunk| chunk.len() < 32 || chunk.iter().any(|&byte| byte != 0)));
    }
}
