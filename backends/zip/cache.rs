//! The inflated contents of entries, within a budget.
//!
//! Each entry has its own lock, taken by the first read of each handle: whoever comes while the entry is inflated waits
//! there. A queue of the entries that are kept is the clock by which they are given up; it is locked only when an
//! entry comes or goes. What handles hold counts as long as they hold it, so the budget is a bound; an entry for
//! which no room can be made is served piece by piece instead, with as many states as there is room for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::central::Method;
use super::pieces::Pieces;
use super::unpack::Decoders;
use crate::{Bytes, Error, Result};

/// What all entries of an archive share.
pub(super) struct Cache {
    budget: u64,
    /// What is alive, kept here or held by handles.
    live: AtomicU64,
    clock: Mutex<VecDeque<Weak<Packed>>>,
    decoders: Decoders,
}

impl Cache {
    pub(super) fn new(budget: u64) -> Cache {
        Cache { budget, live: AtomicU64::new(0), clock: Mutex::default(), decoders: Decoders::default() }
    }

    /// How many bytes are alive.
    pub(super) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    pub(super) fn decoders(&self) -> &Decoders {
        &self.decoders
    }

    /// Room for `bytes`, if they fit in as things are.
    pub(super) fn room(self: &Arc<Self>, bytes: u64) -> Option<Room> {
        let fits = |live: u64| live.checked_add(bytes).filter(|&live| live <= self.budget);
        let before = self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        before.is_ok().then(|| Room { cache: Arc::clone(self), bytes })
    }

    /// Room for `bytes`, if they fit in once others have been given up.
    fn make_room(self: &Arc<Self>, bytes: u64) -> Option<Room> {
        if bytes > self.budget {
            return None;
        }
        loop {
            match self.room(bytes) {
                None if self.give_up_one() => {}
                room => return room,
            }
        }
    }

    /// Room for `bytes`, or for as much of it as there is once all others have been given up.
    pub(super) fn some_room(self: &Arc<Self>, bytes: u64) -> Room {
        if let Some(room) = self.make_room(bytes) {
            return room;
        }
        let all = |live: u64| Some(live.max(self.budget));
        let before = self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, all).unwrap_or(self.budget);
        Room { cache: Arc::clone(self), bytes: self.budget.saturating_sub(before) }
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
pub(super) struct Room {
    cache: Arc<Cache>,
    bytes: u64,
}

impl Room {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Room for something else, if it fits in as things are.
    pub(super) fn more(&self, bytes: u64) -> Option<Room> {
        self.cache.room(bytes)
    }
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
    Pieces(Arc<Pieces>),
}

/// An entry's inflated bytes.
pub(super) struct Whole {
    bytes: Vec<u8>,
    _room: Room,
}

impl std::ops::Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A compressed entry.
pub(super) struct Packed {
    data: Bytes,
    method: Method,
    size: u64,
    crc: u32,
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
    pub(super) fn new(data: Bytes, method: Method, size: u64, crc: u32, cache: Arc<Cache>) -> Packed {
        Packed { data, method, size, crc, cache, state: Mutex::new(State::Packed), used: AtomicBool::new(false) }
    }

    /// The contents: those that are kept, or inflated now. What is kept in pieces becomes whole once there is room.
    ///
    /// # Errors
    /// [`Error::Io`] if they are damaged; [`Error::TooLarge`] if there is no room and the method does not allow for
    /// pieces; [`Error::NoMemory`].
    pub(super) fn contents(self: &Arc<Self>) -> Result<Contents> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match &*state {
            State::Damaged => return Err(Error::Io),
            State::Kept(contents @ Contents::Whole(_)) => {
                self.used.store(true, Ordering::Relaxed);
                return Ok(contents.clone());
            }
            State::Kept(contents) => match self.cache.make_room(self.size) {
                Some(room) => self.inflate(room),
                None => return Ok(contents.clone()),
            },
            State::GivenUp(whole) => whole.upgrade().map_or_else(|| self.unpack(), |whole| Ok(Contents::Whole(whole))),
            State::Packed => self.unpack(),
        };
        let queued = matches!(*state, State::Kept(_));
        match &made {
            Ok(contents) => *state = State::Kept(contents.clone()),
            Err(Error::Io) => *state = State::Damaged,
            Err(_) => {}
        }
        drop(state);
        if made.is_ok() && !queued {
            self.cache.enqueue(self);
        }
        made
    }

    fn unpack(&self) -> Result<Contents> {
        if let Some(room) = self.cache.make_room(self.size) {
            return self.inflate(room);
        }
        if self.method != Method::Deflated {
            return Err(Error::TooLarge);
        }
        let room = self.cache.some_room(Pieces::weight(self.size));
        Pieces::new(self.data.clone(), self.size, self.crc, room).map(|pieces| Contents::Pieces(Arc::new(pieces)))
    }

    fn inflate(&self, room: Room) -> Result<Contents> {
        let bytes = self.cache.decoders.unpack(self.method, &self.data, self.size, self.crc)?;
        Ok(Contents::Whole(Arc::new(Whole { bytes, _room: room })))
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
