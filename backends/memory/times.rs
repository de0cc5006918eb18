//! Times that are read without a lock.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Mutex, PoisonError};

use crate::Timestamp;

#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) accessed: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) changed: Timestamp,
}

/// How often a reader that was disturbed tries again without the lock.
const TRIES: u32 = 4;

/// A sequence lock. Every lookup of metadata reads times, and a lock's two atomic operations would be a tenth of it.
pub(super) struct TimesCell {
    /// Odd while the words are being written.
    version: AtomicU64,
    words: [AtomicU64; 6],
    writing: Mutex<()>,
}

impl TimesCell {
    pub(super) fn new(times: Times) -> TimesCell {
        TimesCell { version: AtomicU64::new(0), words: to_words(times).map(AtomicU64::new), writing: Mutex::new(()) }
    }

    /// All three as they were at one moment.
    #[inline(always)]
    pub(super) fn get(&self) -> Times {
        self.attempt().unwrap_or_else(|| self.get_disturbed())
    }

    /// `None` if they were being written.
    #[inline(always)]
    fn attempt(&self) -> Option<Times> {
        let before = self.version.load(Ordering::Acquire);
        let times = self.load();
        fence(Ordering::Acquire);
        (before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before).then_some(times)
    }

    #[cold]
    fn get_disturbed(&self) -> Times {
        if let Some(times) = (0..TRIES).find_map(|_| self.attempt()) {
            return times;
        }
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.load()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Times)) {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times = self.load();
        change(&mut times);
        let before = self.version.load(Ordering::Relaxed);
        self.version.store(before + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.words.iter().zip(to_words(times)).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
        self.version.store(before + 2, Ordering::Release);
    }

    #[inline(always)]
    fn load(&self) -> Times {
        let words = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
        let time = |at: usize| (u128::from(words[at]) | u128::from(words[at + 1]) << 64).cast_signed();
        Times { accessed: time(0), modified: time(2), changed: time(4) }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half and the upper half")]
fn to_words(times: Times) -> [u64; 6] {
    let [accessed, modified, changed] =
        [times.accessed, times.modified, times.changed].map(|time| time.cast_unsigned());
    [accessed, modified, changed]
        .map(|time| [time as u64, (time >> 64) as u64])
        .as_flattened()
        .try_into()
        .expect("six words")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No reader sees times of two moments.
    #[test]
    fn read_whole() {
        const LAST: Timestamp = if cfg!(miri) { 200 } else { 20_000 };
        let at = |moment| Times { accessed: moment, modified: -moment, changed: moment << 70 };
        let cell = TimesCell::new(at(0));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < LAST {
                        let Times { accessed, modified, changed } = cell.get();
                        assert_eq!((modified, changed), (-accessed, accessed << 70));
                        assert!(accessed >= last);
                        last = accessed;
                    }
                });
            }
            for moment in 1..=LAST {
                cell.change(|times| *times = at(moment));
            }
        });
    }
}
