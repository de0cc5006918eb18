//! Which object is which, across the layers.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};

use super::{lock, read, write};
use crate::{File, FileType, Metadata};

/// The layer number of the upper; lowers count from 1, the topmost first.
pub(super) const UPPER: u32 = 0;

/// Numbers of a layer that are kept as they are.
const INODE_BITS: u32 = 48;

/// An object of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) layer: u32,
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Key {
    pub(super) fn new(layer: u32, raw: &Metadata) -> Key {
        Key { layer, device: raw.device, inode: raw.inode }
    }
}

/// What an object keeps when it is copied up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) number: u64,
    /// Permission bits, where they are not those of the object that is there now.
    pub(super) mode: Option<u32>,
}

/// What an object of the upper was copied from.
#[derive(Clone, Copy)]
struct Origin {
    identity: Identity,
    /// The lower inode, where it had several names.
    index: Option<Key>,
}

/// A lower file of several names that was copied up.
#[derive(Clone)]
pub(super) struct Indexed {
    /// The name of the copy in the index.
    pub(super) file: Box<[u8]>,
    /// How many names it has in the overlay, copied up or not.
    pub(super) links: u64,
    /// The copy.
    pub(super) upper: Key,
}

/// A lower file that is open.
pub(super) struct Live {
    key: Key,
    ids: Arc<Identities>,
    /// The copy, once there is one: what every handle goes by from then on.
    pub(super) copy: OnceLock<Arc<dyn File>>,
    /// Whether its last name is gone (and no copy was made).
    pub(super) unlinked: AtomicBool,
}

impl Drop for Live {
    fn drop(&mut self) {
        let live = &mut *lock(self.ids.live_shard(self.key));
        if live.get(&self.key).is_some_and(|other| other.strong_count() == 0) {
            live.remove(&self.key);
        }
    }
}

#[derive(Default)]
struct Tables {
    /// By the object in the upper.
    origins: HashMap<Key, Origin>,
    /// By the lower inode.
    index: HashMap<Key, Indexed>,
}

/// Open lower files by their inode.
type LiveTable = Mutex<HashMap<Key, Weak<Live>>>;

/// How many of them there are, so that threads that open files rarely meet.
const LIVE_SHARDS: usize = 16;

/// The overlay's knowledge of identities.
pub(super) struct Identities {
    device: u64,
    /// The device of each layer's root.
    roots: Vec<u64>,
    tables: RwLock<Tables>,
    live: [LiveTable; LIVE_SHARDS],
}

impl Identities {
    pub(super) fn new(device: u64, roots: Vec<u64>) -> Identities {
        Identities { device, roots, tables: RwLock::default(), live: Default::default() }
    }

    /// The device of the root of `layer`.
    pub(super) fn root_device(&self, layer: u32) -> Option<u64> {
        self.roots.get(layer as usize).copied()
    }

    /// The number under which the overlay shows what was first seen as `key`.
    pub(super) fn number(&self, key: Key) -> u64 {
        let layer = u64::from(key.layer);
        if self.root_device(key.layer) == Some(key.device) && key.inode >> INODE_BITS == 0 && layer < 1 << 15 {
            return layer << INODE_BITS | key.inode;
        }
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        hasher.finish() | 1 << 63
    }

    /// The identity of an object of the upper.
    pub(super) fn of_upper(&self, raw: &Metadata) -> Identity {
        let key = Key::new(UPPER, raw);
        let origin = read(&self.tables).origins.get(&key).map(|origin| origin.identity);
        origin.unwrap_or_else(|| Identity { number: self.number(key), mode: None })
    }

    /// The number of an object of the upper that a listing shows.
    pub(super) fn listed_upper(&self, key: Key) -> u64 {
        let origin = read(&self.tables).origins.get(&key).map(|origin| origin.identity.number);
        origin.unwrap_or_else(|| self.number(key))
    }

    /// The identity of an object of a lower.
    pub(super) fn of_lower(&self, layer: u32, raw: &Metadata) -> Identity {
        Identity { number: self.number(Key::new(layer, raw)), mode: Some(raw.mode) }
    }

    /// `raw` as the overlay shows it.
    pub(super) fn show(&self, raw: Metadata, identity: Identity) -> Metadata {
        let links = if raw.kind == FileType::Directory { 1 } else { raw.links };
        let mode = identity.mode.unwrap_or(raw.mode);
        Metadata { inode: identity.number, device: self.device, links, mode, ..raw }
    }

    /// `raw` of the upper, as the overlay shows it.
    pub(super) fn show_upper(&self, raw: Metadata, identity: Identity) -> Metadata {
        let indexed = self.index_of(Key::new(UPPER, &raw)).and_then(|key| self.indexed(key));
        let shown = self.show(raw, identity);
        Metadata { links: indexed.map_or(shown.links, |indexed| indexed.links), ..shown }
    }

    /// The lower inode of several names that the object `upper` was copied from.
    pub(super) fn index_of(&self, upper: Key) -> Option<Key> {
        read(&self.tables).origins.get(&upper)?.index
    }

    /// The copy of a lower inode of several names.
    pub(super) fn indexed(&self, lower: Key) -> Option<Indexed> {
        read(&self.tables).index.get(&lower).cloned()
    }

    /// Remembers what `upper` was copied from.
    pub(super) fn adopt(&self, upper: Key, identity: Identity) {
        write(&self.tables).origins.entry(upper).or_insert(Origin { identity, index: None });
    }

    /// Forgets `upper`, which has no name any more and whose number the layer may give to another.
    pub(super) fn forget(&self, upper: Key) {
        write(&self.tables).origins.remove(&upper);
    }

    /// Remembers the copy of a lower inode of several names.
    pub(super) fn set_indexed(&self, lower: Key, identity: Identity, indexed: Indexed) {
        let tables = &mut *write(&self.tables);
        tables.origins.insert(indexed.upper, Origin { identity, index: Some(lower) });
        tables.index.insert(lower, indexed);
    }

    /// Changes what is remembered of the copy of `lower`.
    pub(super) fn set_links(&self, lower: Key, indexed: Indexed) {
        write(&self.tables).index.insert(lower, indexed);
    }

    /// Forgets it, with its copy.
    pub(super) fn forget_indexed(&self, lower: Key) {
        let tables = &mut *write(&self.tables);
        if let Some(indexed) = tables.index.remove(&lower) {
            tables.origins.remove(&indexed.upper);
        }
    }

    /// What all handles on the lower file `key` share.
    pub(super) fn open_lower(self: &Arc<Identities>, key: Key) -> Arc<Live> {
        let live = &mut *lock(self.live_shard(key));
        if let Some(live) = live.get(&key).and_then(Weak::upgrade) {
            return live;
        }
        let new = Live { key, ids: self.clone(), copy: OnceLock::new(), unlinked: AtomicBool::new(false) };
        let new = Arc::new(new);
        live.insert(key, Arc::downgrade(&new));
        new
    }

    /// The same, if there is a handle.
    pub(super) fn live(&self, key: Key) -> Option<Arc<Live>> {
        lock(self.live_shard(key)).get(&key).and_then(Weak::upgrade)
    }

    fn live_shard(&self, key: Key) -> &LiveTable {
        &self.live[key.inode as usize % LIVE_SHARDS]
    }
}
