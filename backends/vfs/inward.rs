//! Backends of the crate `vfs` as file systems of ours.

use std::any::Any;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{IoSlice, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::vfs::error::VfsErrorKind;
use ::vfs::{SeekAndRead, SeekAndWrite, VfsError, VfsFileType, VfsPath};

use crate::metadata::timestamp;
use crate::resolve::{self, Entry, Place, Tree};
use crate::{
    Access, Bytes, Dir, DirEntry, Error, File, FileSystem, FileType, Follow, Listing, Metadata, Node, OpenOptions,
    Path, Result, SetTime, SetTimes, fresh_device,
};

/// The largest file that is written anywhere but at its end, or read whole.
const WHOLE_MAX: u64 = 1 << 30;

/// What lies beneath a path of the crate `vfs`: see the [module](super) for what that can be.
#[derive(Clone)]
pub struct FromVfs {
    root: VfsPath,
    shared: Arc<Shared>,
}

/// What all handles share.
struct Shared {
    device: u64,
    /// Held alone while something is changed, so that nobody sees a file that is being written anew or replaced.
    changing: RwLock<()>,
    /// Counts changes of contents, so that readers know when theirs are old.
    changes: AtomicU64,
}

impl Shared {
    fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.changing.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn unchanging(&self) -> RwLockReadGuard<'_, ()> {
        self.changing.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FromVfs {
    /// What lies beneath `root`, which has to be a directory.
    #[must_use]
    pub fn new(root: VfsPath) -> FromVfs {
        let shared = Shared { device: fresh_device(), changing: RwLock::new(()), changes: AtomicU64::new(0) };
        FromVfs { root, shared: Arc::new(shared) }
    }
}

impl FileSystem for FromVfs {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        match Object::at(self.root.clone())? {
            Some(Object { kind: FileType::Directory, path }) => {
                Ok(Arc::new(VfsDir { path, shared: Arc::clone(&self.shared) }))
            }
            Some(_) => Err(Error::NotDirectory),
            None => Err(Error::NotFound),
        }
    }
}

fn failed(error: VfsError) -> Error {
    match error.kind() {
        VfsErrorKind::FileNotFound => Error::NotFound,
        VfsErrorKind::DirectoryExists | VfsErrorKind::FileExists => Error::Exists,
        VfsErrorKind::InvalidPath => Error::Invalid,
        VfsErrorKind::NotSupported => Error::ReadOnly,
        VfsErrorKind::IoError(error) => error.raw_os_error().map_or(Error::Io, Error::from_errno),
        _ => Error::Io,
    }
}

/// Something that is there.
#[derive(Clone)]
struct Object {
    path: VfsPath,
    kind: FileType,
}

impl Object {
    fn at(path: VfsPath) -> Result<Option<Object>> {
        match path.metadata().map_err(failed) {
            Ok(it) => Ok(Some(Object { path, kind: kind(it.file_type) })),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn metadata(&self, device: u64) -> Result<Metadata> {
        metadata(&self.path, device)
    }

    /// Whether it is `above` or lies beneath it.
    fn within(&self, above: &VfsPath) -> bool {
        within(&self.path, above)
    }
}

fn within(path: &VfsPath, above: &VfsPath) -> bool {
    let rest = path.as_str().strip_prefix(above.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn kind(file_type: VfsFileType) -> FileType {
    match file_type {
        VfsFileType::File => FileType::File,
        VfsFileType::Directory => FileType::Directory,
    }
}

fn metadata(path: &VfsPath, device: u64) -> Result<Metadata> {
    let it = path.metadata().map_err(failed)?;
    let (links, mode) = if it.file_type == VfsFileType::Directory { (2, 0o755) } else { (1, 0o644) };
    let time = |time: Option<SystemTime>| time.map_or(0, timestamp);
    let (kind, modified) = (kind(it.file_type), time(it.modified));
    let accessed = time(it.accessed);
    Ok(Metadata { kind, size: it.len, inode: inode(path), device, links, mode, accessed, modified, changed: modified })
}

fn inode(path: &VfsPath) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.as_str().hash(&mut hasher);
    hasher.finish()
}

/// The tree of what is there.
struct Walk;

impl Tree for Walk {
    type Node = Object;

    fn kind(&self, object: &Object) -> FileType {
        object.kind
    }

    fn child(&self, dir: &Object, name: &[u8]) -> Result<Option<Object>> {
        match child(&dir.path, name) {
            Err(Error::IllegalSequence) => Ok(None),
            path => Object::at(path?),
        }
    }

    fn parent(&self, dir: &Object) -> Result<Object> {
        Ok(Object { path: dir.path.parent(), kind: FileType::Directory })
    }

    fn target(&self, _: &Object) -> Result<Cow<'_, [u8]>> {
        Err(Error::Invalid)
    }
}

/// The path of a name in a directory.
fn child(dir: &VfsPath, name: &[u8]) -> Result<VfsPath> {
    let name = str::from_utf8(name).map_err(|_| Error::IllegalSequence)?;
    if name.len() > crate::NAME_MAX {
        return Err(Error::NameTooLong);
    }
    dir.join(name).map_err(failed)
}

struct VfsDir {
    path: VfsPath,
    shared: Arc<Shared>,
}

impl VfsDir {
    fn start(&self) -> Object {
        Object { path: self.path.clone(), kind: FileType::Directory }
    }

    fn resolve(&self, path: &Path, follow: Follow) -> Result<Object> {
        resolve::resolve(&Walk, self.start(), path, follow)
    }

    fn place<'p>(&self, path: &'p Path) -> Result<Place<'p, Object>> {
        resolve::locate(&Walk, self.start(), path, Follow::No)
    }

    fn entry<'p>(&self, path: &'p Path, dot: Error, dotdot: Error) -> Result<Entry<'p, Object>> {
        self.place(path)?.entry(dot, dotdot)
    }

    /// The path of a name that is not there.
    fn new_name(&self, path: &Path) -> Result<VfsPath> {
        let entry = self.entry(path, Error::Exists, Error::Exists)?;
        if entry.node.is_some() { Err(Error::Exists) } else { child(&entry.dir.path, &entry.name) }
    }

    fn own<'d>(&self, other: &'d dyn Dir) -> Result<&'d VfsDir> {
        let own = other.as_any().downcast_ref::<VfsDir>();
        own.filter(|own| Arc::ptr_eq(&own.shared, &self.shared)).ok_or(Error::CrossDevice)
    }

    /// What is to be opened, made if need be.
    fn find(&self, path: &Path, options: OpenOptions) -> Result<Object> {
        if !options.creates() {
            let _unchanging = self.shared.unchanging();
            return self.resolve(path, options.follow);
        }
        let _alone = self.shared.alone();
        match resolve::locate(&Walk, self.start(), path, options.follow_last())? {
            Place::Dot(object) | Place::DotDot(object) => Ok(object),
            Place::Name(Entry { slash: true, .. }) => Err(Error::IsDirectory),
            Place::Name(Entry { node: Some(object), .. }) => Ok(object),
            Place::Name(entry) => {
                let path = child(&entry.dir.path, &entry.name)?;
                path.create_file().map_err(failed)?.flush()?;
                Ok(Object { path, kind: FileType::Unknown })
            }
        }
    }
}

impl Dir for VfsDir {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        options.validate()?;
        let Object { path, kind } = self.find(path, options)?;
        // What was made just now has no kind yet, and is not judged.
        if kind != FileType::Unknown {
            options.admit(kind)?;
        }
        if kind == FileType::Directory {
            return Ok(Node::Dir(Arc::new(VfsDir { path, shared: Arc::clone(&self.shared) })));
        }
        let file = VfsFile::new(path, options.access, Arc::clone(&self.shared));
        if options.truncate {
            file.set_len(0)?;
        }
        Ok(Node::File(Arc::new(file)))
    }

    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata> {
        let _unchanging = self.shared.unchanging();
        self.resolve(path, follow)?.metadata(self.shared.device)
    }

    fn metadata(&self) -> Result<Metadata> {
        let _unchanging = self.shared.unchanging();
        metadata(&self.path, self.shared.device)
    }

    fn list(&self) -> Result<Listing> {
        let _unchanging = self.shared.unchanging();
        let names = match self.path.read_dir().map_err(failed) {
            Err(Error::NotFound) => return Ok(Listing::from([])),
            names => names?,
        };
        let entry = |object: Object| DirEntry {
            name: object.path.filename().into_bytes().into(),
            inode: inode(&object.path),
            kind: object.kind,
        };
        names.filter_map(|path| Object::at(path).transpose()).map(|object| object.map(entry)).collect()
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let _alone = self.shared.alone();
        self.new_name(path)?.create_dir().map_err(failed)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        let _alone = self.shared.alone();
        let object = self.entry(path, Error::Invalid, Error::NotEmpty)?.node.ok_or(Error::NotFound)?;
        if object.kind != FileType::Directory {
            return Err(Error::NotDirectory);
        }
        remove_dir(&object.path)
    }

    fn unlink(&self, path: &Path) -> Result<()> {
        let _alone = self.shared.alone();
        let entry = self.entry(path, Error::IsDirectory, Error::IsDirectory)?;
        match entry.node.ok_or(Error::NotFound)? {
            Object { kind: FileType::Directory, .. } => Err(Error::IsDirectory),
            _ if entry.slash => Err(Error::NotDirectory),
            object => object.path.remove_file().map_err(failed),
        }
    }

    fn symlink(&self, _: &[u8], path: &Path) -> Result<()> {
        self.new_name(path).and(Err(Error::NotSupported))
    }

    fn link(&self, from: &Path, follow: Follow, target: &dyn Dir, to: &Path) -> Result<()> {
        let target = self.own(target)?;
        self.resolve(from, follow)?;
        target.new_name(to).and(Err(Error::NotSupported))
    }

    /// What is replaced is removed first: one step for those who look through this file system, and two for others.
    fn rename(&self, from: &Path, target: &dyn Dir, to: &Path) -> Result<()> {
        let target = self.own(target)?;
        let _alone = self.shared.alone();
        let (source, goal) = (self.place(from)?, target.place(to)?);
        let source = source.entry(Error::Busy, Error::Busy)?;
        let goal = goal.entry(Error::Busy, Error::Busy)?;
        let moved = source.node.clone().ok_or(Error::NotFound)?;
        if !moves(&moved, &source, &goal)? {
            return Ok(());
        }
        match &goal.node {
            Some(Object { kind: FileType::Directory, path }) => remove_dir(path)?,
            Some(there) => there.path.remove_file().map_err(failed)?,
            None => {}
        }
        let to = child(&goal.dir.path, &goal.name)?;
        match moved.kind {
            FileType::Directory => moved.path.move_dir(&to).map_err(failed),
            _ => moved.path.move_file(&to).map_err(failed),
        }
    }

    fn set_times(&self, path: &Path, follow: Follow, times: SetTimes) -> Result<()> {
        set_times(&self.resolve(path, follow)?.path, times)
    }

    fn set_own_times(&self, times: SetTimes) -> Result<()> {
        set_times(&self.path, times)
    }
}

/// Whether a rename moves anything, checked in Linux' order.
fn moves(moved: &Object, source: &Entry<'_, Object>, goal: &Entry<'_, Object>) -> Result<bool> {
    let directory = moved.kind == FileType::Directory;
    if directory && goal.dir.within(&moved.path) {
        return Err(Error::Invalid);
    }
    if !directory && (source.slash || goal.slash) {
        return Err(Error::NotDirectory);
    }
    match &goal.node {
        Some(there) if there.kind == FileType::Directory && source.dir.within(&there.path) => Err(Error::NotEmpty),
        Some(there) if there.path == moved.path => Ok(false),
        Some(there) => match (directory, there.kind == FileType::Directory) {
            (true, false) => Err(Error::NotDirectory),
            (false, true) => Err(Error::IsDirectory),
            (true, true) if !is_empty(&there.path)? => Err(Error::NotEmpty),
            _ => Ok(true),
        },
        None => Ok(true),
    }
}

fn is_empty(path: &VfsPath) -> Result<bool> {
    path.read_dir().map(|mut names| names.next().is_none()).map_err(failed)
}

fn remove_dir(path: &VfsPath) -> Result<()> {
    if is_empty(path)? { path.remove_dir().map_err(failed) } else { Err(Error::NotEmpty) }
}

fn set_times(path: &VfsPath, times: SetTimes) -> Result<()> {
    let refused = |error| match failed(error) {
        Error::ReadOnly => Error::NotSupported,
        other => other,
    };
    if let Some(time) = moment(times.accessed)? {
        path.set_access_time(time).map_err(refused)?;
    }
    match moment(times.modified)? {
        Some(time) => path.set_modification_time(time).map_err(refused),
        None => Ok(()),
    }
}

fn moment(time: SetTime) -> Result<Option<SystemTime>> {
    let SetTime::At(time) = time else {
        return Ok(matches!(time, SetTime::Now).then(SystemTime::now));
    };
    let size = time.unsigned_abs();
    let seconds = u64::try_from(size / 1_000_000_000).map_err(|_| Error::Invalid)?;
    let distance = Duration::new(seconds, (size % 1_000_000_000) as u32);
    let moment = if time < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    moment.map(Some).ok_or(Error::Invalid)
}

/// A file, by its path.
struct VfsFile {
    path: VfsPath,
    access: Access,
    shared: Arc<Shared>,
    reader: Mutex<Option<Reader>>,
}

/// A stream to read from, and what the count of changes was when it was opened.
struct Reader {
    stream: Box<dyn SeekAndRead + Send>,
    changes: u64,
}

impl VfsFile {
    fn new(path: VfsPath, access: Access, shared: Arc<Shared>) -> VfsFile {
        VfsFile { path, access, shared, reader: Mutex::new(None) }
    }

    fn readable(&self) -> Result<()> {
        if self.access.read { Ok(()) } else { Err(Error::BadHandle) }
    }

    fn writable(&self) -> Result<()> {
        if self.access.write { Ok(()) } else { Err(Error::BadHandle) }
    }

    fn size(&self) -> Result<u64> {
        self.path.metadata().map(|it| it.len).map_err(failed)
    }

    /// All contents, of a file that is not too large.
    fn whole(&self) -> Result<Vec<u8>> {
        let size = self.size()?;
        let mut bytes = Vec::new();
        if size > WHOLE_MAX {
            return Err(Error::TooLarge);
        }
        bytes.try_reserve_exact(size as usize).map_err(|_| Error::NoMemory)?;
        self.path.open_file().map_err(failed)?.take(WHOLE_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > WHOLE_MAX { Err(Error::TooLarge) } else { Ok(bytes) }
    }

    fn write_out(&self, mut stream: Box<dyn SeekAndWrite + Send>, buffers: &[IoSlice<'_>]) -> Result<()> {
        self.shared.changes.fetch_add(1, Ordering::AcqRel);
        for buffer in buffers {
            stream.write_all(buffer)?;
        }
        Ok(stream.flush()?)
    }

    fn write_to_end(&self, buffers: &[IoSlice<'_>]) -> Result<()> {
        self.write_out(self.path.append_file().map_err(failed)?, buffers)
    }

    /// Writes the file anew, `size` bytes of what `change` makes of the contents that have been brought to that size.
    fn rewrite(&self, size: u64, change: impl FnOnce(&mut [u8])) -> Result<()> {
        if size > WHOLE_MAX {
            return Err(Error::TooLarge);
        }
        let mut bytes = self.whole()?;
        bytes.try_reserve_exact((size as usize).saturating_sub(bytes.len())).map_err(|_| Error::NoMemory)?;
        bytes.resize(size as usize, 0);
        change(&mut bytes);
        self.write_out(self.path.create_file().map_err(failed)?, &[IoSlice::new(&bytes)])
    }
}

impl File for VfsFile {
    fn metadata(&self) -> Result<Metadata> {
        let _unchanging = self.shared.unchanging();
        metadata(&self.path, self.shared.device)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.readable()?;
        let _unchanging = self.shared.unchanging();
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.shared.changes.load(Ordering::Acquire);
        if reader.as_ref().is_none_or(|reader| reader.changes != changes) {
            *reader = Some(Reader { stream: self.path.open_file().map_err(failed)?, changes });
        }
        let Some(Reader { stream, .. }) = &mut *reader else { return Err(Error::Io) };
        // Some streams take any place, and cannot be read from behind the end.
        if offset >= stream.seek(SeekFrom::End(0))? {
            return Ok(0);
        }
        stream.seek(SeekFrom::Start(offset))?;
        let mut done = 0;
        while done < buffer.len() {
            match stream.read(&mut buffer[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) if done > 0 => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    fn read_all(&self) -> Result<Bytes> {
        self.readable()?;
        let _unchanging = self.shared.unchanging();
        self.whole().map(Bytes::from)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        self.writable()?;
        let end = offset.checked_add(bytes.len() as u64).ok_or(Error::TooLarge)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let _alone = self.shared.alone();
        let size = self.size()?;
        if offset == size {
            self.write_to_end(&[IoSlice::new(bytes)])?;
        } else {
            self.rewrite(size.max(end), |all| all[offset as usize..end as usize].copy_from_slice(bytes))?;
        }
        Ok(bytes.len())
    }

    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<(usize, u64)> {
        self.writable()?;
        let _alone = self.shared.alone();
        let count: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let size = self.size()?;
        if count > 0 {
            self.write_to_end(buffers)?;
        }
        Ok((count, size + count as u64))
    }

    fn set_len(&self, size: u64) -> Result<()> {
        self.writable()?;
        let _alone = self.shared.alone();
        self.rewrite(size, |_| {})
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.writable()?;
        if len == 0 {
            return Err(Error::Invalid);
        }
        let end = offset.checked_add(len).ok_or(Error::TooLarge)?;
        let _alone = self.shared.alone();
        if end > self.size()? { self.rewrite(end, |_| {}) } else { Ok(()) }
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        set_times(&self.path, times)
    }
}
