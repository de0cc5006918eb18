//! The inflated contents of entries, within a budget.
//!
//! Each entry has its own lock, taken by the first read of each handle: whoever comes while the entry is inflated waits
//! there. A queue of the entries that are kept is the clock by which they are given up; it is locked only when an
//! entry comes or goes. What handles hold counts as long as they hold it, so the budget is a bound, and an entry for
//! which no room can be made is served piece by piece instead.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::inflate::Inflaters;
use super::pieces::Pieces;
use crate::{Bytes, Error, Result};

/// What all entries of an archive share.
pub(super) struct Cache {
    budget: u64,
    /// What is alive, kept here or held by handles.
    live: AtomicU64,
    clock: Mutex<VecDeque<Weak<Packed>>>,
    inflaters: Inflaters,
}

impl Cache {
    pub(super) fn new(budget: u64) -> Cache {
        Cache { budget, live: AtomicU64::new(0), clock: Mutex::default(), inflaters: Inflaters::default() }
    }

    /// How many bytes are alive.
    pub(super) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    pub(super) fn inflaters(&self) -> &Inflaters {
        &self.inflaters
    }

    /// Counts `bytes` as alive, if they fit in once others have been given up.
    fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Room> {
        if bytes > self.budget {
            return None;
        }
        let fits = |live: u64| live.checked_add(bytes).filter(|&live| live <= self.budget);
        loop {
            if self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok() {
                return Some(Room { cache: Arc::clone(self), bytes });
            }
            if !self.give_up_one() {
                return None;
            }
        }
    }

    /// Counts `bytes` as alive, whether they fit in or not, and gives up others until they do.
    fn insist(self: &Arc<Self>, bytes: u64) -> Room {
        self.live.fetch_add(bytes, Ordering::Relaxed);
        while self.live() > self.budget && self.give_up_one() {}
        Room { cache: Arc::clone(self), bytes }
    }

    /// Gives up the entry that has not been read for longest, as the clock tells; false if there is none.
    fn give_up_one(&self) -> bool {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..2 * clock.len() {
            let Some(packed) = clock.pop_front() else { break };
            let Some(entry) = packed.upgrade() else { continue };
            if entry.give_up() {
                return true;
            }
            clock.push_back(packed);
        }
        false
    }

    fn enqueue(&self, packed: &Arc<Packed>) {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).push_back(Arc::downgrade(packed));
    }
}

/// Bytes that are counted as long as this lives.
struct Room {
    cache: Arc<Cache>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.cache.live.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The contents of an entry, verified.
#[derive(Clone)]
pub(super) enum Contents {
    /// All of them.
    Whole(Arc<Whole>),
    /// What it takes to inflate any part.
    Pieces(Arc<Counted<Pieces>>),
}

/// Something that counts towards the budget.
pub(super) struct Counted<T> {
    value: T,
    _room: Room,
}

impl<T> std::ops::Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// An entry's inflated bytes.
pub(super) type Whole = Counted<Vec<u8>>;

/// A compressed entry.
pub(super) struct Packed {
    pub(super) data: Bytes,
    pub(super) size: u64,
    pub(super) crc: u32,
    cache: Arc<Cache>,
    state: Mutex<State>,
    /// Whether it was asked for since the clock last came by.
    used: AtomicBool,
}

enum State {
    /// Nothing is kept.
    Packed,
    Kept(Contents),
    /// Given up, but handles may hold it.
    GivenUp(Weak<Whole>),
    /// It was inflated before and is not what it should be.
    Damaged,
}

impl Packed {
    pub(super) fn new(data: Bytes, size: u64, crc: u32, cache: Arc<Cache>) -> Packed {
        Packed { data, size, crc, cache, state: Mutex::new(State::Packed), used: AtomicBool::new(false) }
    }

    /// The contents: those that are kept, or inflated now.
    ///
    /// # Errors
    /// [`Error::Io`] if they are damaged; [`Error::NoMemory`].
    pub(super) fn contents(self: &Arc<Self>) -> Result<Contents> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Kept(contents) => {
                self.used.store(true, Ordering::Relaxed);
                return Ok(contents.clone());
            }
            State::Damaged => return Err(Error::Io),
            State::GivenUp(_) | State::Packed => {}
        }
        let held = if let State::GivenUp(whole) = &*state { whole.upgrade() } else { None };
        let contents = match held.map(Contents::Whole).map_or_else(|| self.inflate(), Ok) {
            Ok(contents) => contents,
            Err(error) => {
                if error == Error::Io {
                    *state = State::Damaged;
                }
                return Err(error);
            }
        };
        *state = State::Kept(contents.clone());
        drop(state);
        self.cache.enqueue(self);
        Ok(contents)
    }

    fn inflate(&self) -> Result<Contents> {
        if let Some(room) = self.cache.reserve(self.size) {
            let value = self.cache.inflaters.inflate(&self.data, self.size, self.crc)?;
            return Ok(Contents::Whole(Arc::new(Counted { value, _room: room })));
        }
        let value = Pieces::new(self.data.clone(), self.size, self.crc, self.cache.budget)?;
        let room = self.cache.insist(value.weight());
        Ok(Contents::Pieces(Arc::new(Counted { value, _room: room })))
    }

    /// Lets go of the contents, unless they were used of late or are being used now.
    fn give_up(&self) -> bool {
        if self.used.swap(false, Ordering::Relaxed) {
            return false;
        }
        let Ok(mut state) = self.state.try_lock() else { return false };
        let State::Kept(contents) = &*state else { return false };
        *state = match contents {
            Contents::Whole(whole) => State::GivenUp(Arc::downgrade(whole)),
            Contents::Pieces(_) => State::Packed,
        };
        true
    }
}
