//! The table of descriptors: numbers that stand for handles.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use kitbag_fs::{Dir, File, FileType, Listing, Metadata, Node, Opened, Undecided};

use super::Errno;
use super::stream::Stream;
use super::types::{FdFlags, Rights};

/// An open descriptor.
pub(crate) struct Descriptor {
    pub(crate) handle: Handle,
    pub(crate) flags: FdFlags,
    /// What it may be used for.
    pub(crate) rights: Rights,
    /// What may be granted to descriptors that are opened through it.
    pub(crate) inheriting: Rights,
}

/// What a descriptor stands for.
pub(crate) enum Handle {
    File(OpenFile),
    Dir(OpenDir),
    Stream(Arc<dyn Stream>),
}

/// A file and the position in it.
pub(crate) struct OpenFile {
    pub(crate) file: Arc<dyn File>,
    pub(crate) offset: u64,
    /// Asked once, and only by what needs it: an open object does not change its kind.
    kind: Option<FileType>,
}

/// A directory, and its listing while it is read.
pub(crate) struct OpenDir {
    pub(crate) dir: Arc<dyn Dir>,
    /// The name it was opened under before the guest started.
    pub(crate) preopen: Option<Box<[u8]>>,
    /// Taken when reading starts at the beginning, so that cookies stay what they are.
    pub(crate) listing: Option<Snapshot>,
}

/// A listing and the directory's own inode (for `.` and `..`).
pub(crate) struct Snapshot {
    pub(crate) entries: Listing,
    pub(crate) inode: u64,
}

impl OpenFile {
    pub(crate) fn new(file: Arc<dyn File>) -> OpenFile {
        OpenFile { file, offset: 0, kind: None }
    }

    pub(crate) fn kind(&mut self) -> Result<FileType, Errno> {
        if let Some(kind) = self.kind {
            return Ok(kind);
        }
        let kind = self.file.metadata()?.kind;
        self.kind = Some(kind);
        Ok(kind)
    }
}

/// What the opener of a descriptor wants for it; of the rights it gets those that apply to what was opened.
pub(crate) struct Granted {
    pub(crate) rights: Rights,
    pub(crate) inheriting: Rights,
    pub(crate) flags: FdFlags,
}

impl Granted {
    fn descriptor(self, node: Node) -> Descriptor {
        let Granted { rights, inheriting, flags } = self;
        match node {
            Node::File(file) => Descriptor::file(file, rights, flags),
            Node::Dir(dir) => {
                let handle = Handle::Dir(OpenDir { dir, preopen: None, listing: None });
                let (rights, inheriting) = (rights & Rights::DIRECTORY, inheriting & Rights::INHERITING);
                Descriptor { handle, flags, rights, inheriting }
            }
        }
    }
}

impl Descriptor {
    pub(crate) fn file(file: Arc<dyn File>, rights: Rights, flags: FdFlags) -> Descriptor {
        let rights = rights & Rights::FILE;
        Descriptor { handle: Handle::File(OpenFile::new(file)), flags, rights, inheriting: Rights::empty() }
    }

    pub(crate) fn preopen(name: Box<[u8]>, dir: Arc<dyn Dir>) -> Descriptor {
        let handle = Handle::Dir(OpenDir { dir, preopen: Some(name), listing: None });
        let (rights, inheriting) = (Rights::DIRECTORY, Rights::INHERITING);
        Descriptor { handle, flags: FdFlags::empty(), rights, inheriting }
    }

    pub(crate) fn stream(stream: Arc<dyn Stream>, direction: Rights) -> Descriptor {
        let rights = Rights::STREAM | direction;
        Descriptor { handle: Handle::Stream(stream), flags: FdFlags::empty(), rights, inheriting: Rights::empty() }
    }

    /// The directory, if this is one and may be used for `needed`.
    ///
    /// # Errors
    /// `ENOTDIR`, `ENOTCAPABLE`.
    pub(crate) fn as_dir(&self, needed: Rights) -> Result<&dyn Dir, Errno> {
        let Handle::Dir(open) = &self.handle else { return Err(Errno::Notdir) };
        self.rights.need(needed)?;
        Ok(&*open.dir)
    }

    /// The file, if this is one and may be used for `needed`; what a stream and a directory answer to the
    /// caller is for it to say.
    ///
    /// # Errors
    /// `stream`, `dir`, `ENOTCAPABLE`.
    pub(crate) fn as_file(&mut self, needed: Rights, stream: Errno, dir: Errno) -> Result<&mut OpenFile, Errno> {
        match &mut self.handle {
            Handle::Stream(_) => Err(stream),
            Handle::Dir(_) => Err(dir),
            Handle::File(open) => self.rights.need(needed).map(|()| open),
        }
    }
}

/// A descriptor, or what becomes one when it is first asked for anything: many are opened to be closed again, and whether they
/// are files or directories may take a system call to find out.
pub(crate) struct Slot {
    known: OnceCell<Descriptor>,
    undecided: Cell<Option<(Box<dyn Undecided>, Granted)>>,
}

impl From<Descriptor> for Slot {
    fn from(descriptor: Descriptor) -> Slot {
        Slot { known: OnceCell::from(descriptor), undecided: Cell::new(None) }
    }
}

impl Slot {
    /// What a guest opened.
    pub(crate) fn new(opened: Opened, granted: Granted) -> Slot {
        match opened {
            Opened::Node(node) => granted.descriptor(node).into(),
            Opened::Undecided(open) => Slot { known: OnceCell::new(), undecided: Cell::new(Some((open, granted))) },
        }
    }

    /// # Errors
    /// What keeps the file system from telling what it is; from then on `EIO`.
    #[inline]
    fn descriptor(&self) -> Result<&Descriptor, Errno> {
        self.known.get().map_or_else(|| self.decide(), Ok)
    }

    #[cold]
    fn decide(&self) -> Result<&Descriptor, Errno> {
        let (open, granted) = self.undecided.take().ok_or(Errno::Io)?;
        let node = open.decide()?;
        Ok(self.known.get_or_init(|| granted.descriptor(node)))
    }

    /// # Errors
    /// As [`Descriptor::metadata`].
    fn metadata(&self) -> Result<Metadata, Errno> {
        let Some((open, granted)) = self.undecided.take() else { return self.descriptor()?.metadata() };
        let (node, metadata) = open.decide_by_metadata()?;
        let descriptor = self.known.get_or_init(|| granted.descriptor(node));
        descriptor.rights.need(Rights::FD_FILESTAT_GET).map(|()| metadata)
    }
}

/// Descriptors at the most, whatever the limit: a guest chooses numbers (by renumbering), and a number costs memory.
const MAX: u32 = 1 << 20;

/// All descriptors of a guest.
pub(crate) struct Table {
    entries: Vec<Option<Slot>>,
    /// The lowest free number.
    lowest: usize,
    limit: usize,
}

impl Table {
    /// An empty table for up to `limit` descriptors.
    pub(crate) fn new(limit: u32) -> Table {
        Table { entries: Vec::new(), lowest: 0, limit: limit.min(MAX) as usize }
    }

    #[inline]
    fn slot(&self, fd: u32) -> Result<&Slot, Errno> {
        self.entries.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    /// # Errors
    /// `EBADF`; `EIO`.
    #[inline]
    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.slot(fd)?.descriptor()
    }

    /// # Errors
    /// `EBADF`, `ENOTCAPABLE`, `EIO`.
    pub(crate) fn metadata(&self, fd: u32) -> Result<Metadata, Errno> {
        self.slot(fd)?.metadata()
    }

    /// # Errors
    /// `EBADF`; `EIO`.
    #[inline]
    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.get(fd)?;
        let slot = self.entries.get_mut(fd as usize).and_then(Option::as_mut);
        slot.and_then(|slot| slot.known.get_mut()).ok_or(Errno::Badf)
    }

    /// Whether another descriptor fits: asked before anything is opened for it, or made.
    ///
    /// # Errors
    /// `EMFILE`.
    pub(crate) fn check_room(&self) -> Result<(), Errno> {
        if self.lowest < self.limit { Ok(()) } else { Err(Errno::Mfile) }
    }

    /// Gives `descriptor` the lowest free number.
    ///
    /// # Errors
    /// `EMFILE`.
    pub(crate) fn insert(&mut self, slot: impl Into<Slot>) -> Result<u32, Errno> {
        self.check_room()?;
        let fd = self.lowest;
        self.place(fd, slot.into());
        Ok(fd as u32)
    }

    /// # Errors
    /// `EBADF`.
    pub(crate) fn remove(&mut self, fd: u32) -> Result<Slot, Errno> {
        let slot = self.entries.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::Badf)?;
        self.lowest = self.lowest.min(fd as usize);
        Ok(slot)
    }

    /// Moves the descriptor `from` to the number `to`, closing what is there. `to` need not be open (as in
    /// wasmtime and `dup2`), but a number that may be used.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        if self.slot(from).is_err() || to as usize >= self.limit {
            return Err(Errno::Badf);
        }
        if from != to {
            let slot = self.remove(from)?;
            self.place(to as usize, slot);
        }
        Ok(())
    }

    fn place(&mut self, fd: usize, slot: Slot) {
        if fd >= self.entries.len() {
            self.entries.resize_with(fd + 1, || None);
        }
        self.entries[fd] = Some(slot);
        while self.entries.get(self.lowest).is_some_and(Option::is_some) {
            self.lowest += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::Null;
    use super::*;

    fn null() -> Descriptor {
        Descriptor::stream(Arc::new(Null), Rights::FD_READ)
    }

    #[test]
    fn the_lowest_free_number_is_given() {
        let mut table = Table::new(4);
        assert_eq!((0..4).map(|_| table.insert(null()).unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(table.insert(null()).err(), Some(Errno::Mfile));
        table.remove(2).unwrap();
        table.remove(1).unwrap();
        assert_eq!(table.insert(null()), Ok(1));
        assert_eq!(table.insert(null()), Ok(2));
        assert_eq!(table.check_room(), Err(Errno::Mfile));
        assert_eq!(table.remove(4).err(), Some(Errno::Badf));
    }

    #[test]
    fn renumbering() {
        let mut table = Table::new(100);
        table.insert(null()).unwrap();
        table.insert(null()).unwrap();
        assert_eq!(table.renumber(0, 0), Ok(()));
        assert_eq!(table.renumber(0, 1), Ok(()));
        assert_eq!((table.get(0).err(), table.get(1).err()), (Some(Errno::Badf), None));
        assert_eq!(table.renumber(1, 99), Ok(()));
        assert_eq!(table.renumber(99, 100), Err(Errno::Badf));
        assert_eq!(table.renumber(99, u32::MAX), Err(Errno::Badf));
        assert_eq!(table.renumber(1, 5), Err(Errno::Badf));
        assert_eq!(table.insert(null()), Ok(0));
    }
}
