//! The checks find what is wrong: a wrapper around a file system that conforms does one thing otherwise at a time.

use std::any::Any;
use std::collections::BTreeSet;
use std::io::IoSlice;

use super::*;
use crate::memory::Memory;
use crate::{DirEntry, Listing, Node, SetTime, SetTimes};

/// What the wrapper does otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    ShortRead,
    ReadPastEnd,
    WrongSize,
    OtherInode,
    ListsDots,
    ListsTwice,
    FollowsUnasked,
    NeverFollows,
    ExclusiveOpensWhatIsThere,
    TruncatesAlways,
    UnlinkTakesDirectories,
    RemoveDirTakesFiles,
    RenameKeepsSource,
    RenameBySlash,
    LinkCopies,
    AppendsAtFixedEnd,
    TimesIgnored,
    WritesToReaders,
    WritesThoughReadOnly,
}

const FAULTS: [Fault; 19] = [
    Fault::ShortRead,
    Fault::ReadPastEnd,
    Fault::WrongSize,
    Fault::OtherInode,
    Fault::ListsDots,
    Fault::ListsTwice,
    Fault::FollowsUnasked,
    Fault::NeverFollows,
    Fault::ExclusiveOpensWhatIsThere,
    Fault::TruncatesAlways,
    Fault::UnlinkTakesDirectories,
    Fault::RemoveDirTakesFiles,
    Fault::RenameKeepsSource,
    Fault::RenameBySlash,
    Fault::LinkCopies,
    Fault::AppendsAtFixedEnd,
    Fault::TimesIgnored,
    Fault::WritesToReaders,
    Fault::WritesThoughReadOnly,
];

struct Faulty(Memory, Fault);

impl FileSystem for Faulty {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        Ok(Arc::new(FaultyDir(self.0.root()?, self.1)))
    }
}

struct FaultyDir(Arc<dyn Dir>, Fault);

/// With the size at the time of opening.
struct FaultyFile(Arc<dyn File>, Fault, u64);

impl FaultyDir {
    fn has(&self, fault: Fault) -> bool {
        self.1 == fault
    }

    fn follow(&self, follow: Follow) -> Follow {
        match self.1 {
            Fault::FollowsUnasked => Follow::Yes,
            Fault::NeverFollows => Follow::No,
            _ => follow,
        }
    }

    fn inner(other: &dyn Dir) -> &dyn Dir {
        &*other.as_any().downcast_ref::<FaultyDir>().unwrap().0
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let bytes = self.0.open(from, OpenOptions::read())?.file()?.read_all()?;
        let new = OpenOptions { create: Create::New, ..OpenOptions::write() };
        self.0.open(to, new)?.file()?.write_at(&bytes, 0).map(|_| ())
    }

    fn options(&self, mut options: OpenOptions) -> OpenOptions {
        options.follow = self.follow(options.follow);
        options.truncate |= self.has(Fault::TruncatesAlways) && options.access.write;
        options.access.write |= self.has(Fault::WritesToReaders) && options.access.read && !options.directory;
        if self.has(Fault::ExclusiveOpensWhatIsThere) && options.create == Create::New {
            options.create = Create::IfMissing;
        }
        options
    }
}

impl Dir for FaultyDir {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, path: &Path, options: OpenOptions) -> Result<Node> {
        let opened = match self.0.open(path, self.options(options)) {
            Err(Error::IsDirectory) if self.has(Fault::WritesToReaders) => self.0.open(path, options)?,
            other => other?,
        };
        Ok(match opened {
            Node::File(file) => {
                let size = file.metadata()?.size;
                Node::File(Arc::new(FaultyFile(file, self.1, size)))
            }
            Node::Dir(dir) => Node::Dir(Arc::new(FaultyDir(dir, self.1))),
        })
    }

    fn stat(&self, path: &Path, follow: Follow) -> Result<Metadata> {
        self.0.stat(path, self.follow(follow)).map(|it| match self.1 {
            Fault::WrongSize => Metadata { size: it.size + 1, ..it },
            Fault::OtherInode => Metadata { inode: it.inode + 1, ..it },
            _ => it,
        })
    }

    fn metadata(&self) -> Result<Metadata> {
        self.0.metadata()
    }

    fn list(&self) -> Result<Listing> {
        let mut entries = self.0.list()?.to_vec();
        match self.1 {
            Fault::ListsDots => entries.push(DirEntry {
                name: (*b".").into(),
                inode: self.metadata()?.inode,
                kind: crate::FileType::Directory,
            }),
            Fault::ListsTwice => entries.extend(entries.first().cloned()),
            _ => {}
        }
        Ok(entries.into())
    }

    fn read_link(&self, path: &Path) -> Result<Box<[u8]>> {
        self.0.read_link(path)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.0.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        match self.0.remove_dir(path) {
            Err(Error::NotDirectory) if self.has(Fault::RemoveDirTakesFiles) => self.0.unlink(path),
            other => other,
        }
    }

    fn unlink(&self, path: &Path) -> Result<()> {
        match self.0.unlink(path) {
            Err(Error::IsDirectory) if self.has(Fault::UnlinkTakesDirectories) => self.0.remove_dir(path),
            other => other,
        }
    }

    fn symlink(&self, target: &[u8], path: &Path) -> Result<()> {
        self.0.symlink(target, path)
    }

    fn link(&self, from: &Path, follow: Follow, target: &dyn Dir, to: &Path) -> Result<()> {
        if self.has(Fault::LinkCopies) {
            return self.copy(from, to);
        }
        self.0.link(from, follow, Self::inner(target), to)
    }

    fn rename(&self, from: &Path, target: &dyn Dir, to: &Path) -> Result<()> {
        let is_file = || self.0.stat(from, Follow::No).is_ok_and(|it| it.kind == crate::FileType::File);
        if self.has(Fault::RenameKeepsSource) && is_file() {
            return self.0.link(from, Follow::No, Self::inner(target), to);
        }
        if self.has(Fault::RenameBySlash) {
            let from = from.as_bytes().strip_suffix(b"/").unwrap_or(from.as_bytes());
            return self.0.rename(Path::new(from)?, Self::inner(target), to);
        }
        self.0.rename(from, Self::inner(target), to)
    }

    fn set_times(&self, path: &Path, follow: Follow, times: SetTimes) -> Result<()> {
        if self.has(Fault::TimesIgnored) {
            return self.0.stat(path, follow).map(|_| ());
        }
        self.0.set_times(path, follow, times)
    }

    fn set_own_times(&self, times: SetTimes) -> Result<()> {
        self.0.set_own_times(times)
    }
}

impl File for FaultyFile {
    fn metadata(&self) -> Result<Metadata> {
        self.0.metadata()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let length = buffer.len();
        match self.1 {
            Fault::ShortRead if length > 4096 => self.0.read_at(&mut buffer[..4096], offset),
            Fault::ReadPastEnd if offset > 1 << 32 => Err(Error::Invalid),
            _ => self.0.read_at(buffer, offset),
        }
    }

    fn read_all(&self) -> Result<crate::Bytes> {
        self.0.read_all()
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<(usize, u64)> {
        if self.1 != Fault::AppendsAtFixedEnd {
            return self.0.append(buffers);
        }
        let count = self.0.write_vectored_at(buffers, self.2)?;
        Ok((count, self.2 + count as u64))
    }

    fn set_len(&self, size: u64) -> Result<()> {
        self.0.set_len(size)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.0.allocate(offset, len)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.0.set_times(times)
    }
}

/// The areas in which violations of a file system with this fault are found.
fn areas(fault: Fault) -> BTreeSet<&'static str> {
    let files = Memory::new();
    let can = if fault == Fault::WritesThoughReadOnly { Capabilities::READ_ONLY } else { Capabilities::ALL };
    if !can.writing {
        tree::write_into(&*files.root().unwrap(), can).unwrap();
    }
    check(&Faulty(files, fault), can).iter().map(|violation| violation.area).collect()
}

#[test]
fn every_fault_is_found() {
    assert_eq!(areas(Fault::None), BTreeSet::new());
    for fault in FAULTS {
        assert!(!areas(fault).is_empty(), "{fault:?}");
    }
}

#[test]
fn faults_are_found_where_they_are() {
    for (fault, area) in [
        (Fault::ShortRead, "reading"),
        (Fault::WrongSize, "tree"),
        (Fault::OtherInode, "listing"),
        (Fault::ListsTwice, "listing"),
        (Fault::NeverFollows, "links"),
        (Fault::ExclusiveOpensWhatIsThere, "exclusive creation"),
        (Fault::UnlinkTakesDirectories, "unlinking"),
        (Fault::RemoveDirTakesFiles, "directories"),
        (Fault::RenameBySlash, "renaming dots and slashes"),
        (Fault::LinkCopies, "hard links"),
        (Fault::AppendsAtFixedEnd, "appending together"),
        (Fault::TimesIgnored, "times"),
        (Fault::WritesToReaders, "access"),
        (Fault::WritesThoughReadOnly, "refusing"),
    ] {
        let found = areas(fault);
        assert!(found.contains(area), "{fault:?}: {found:?}");
    }
}

#[test]
fn a_missing_tree_is_reported_and_nothing_breaks() {
    let empty = crate::readonly::ReadOnly::new(Memory::new());
    assert!(check(&empty, Capabilities::READ_ONLY).len() > tree::items(Capabilities::READ_ONLY).len());
    let full = Memory::with_limits(crate::memory::Limits { bytes: 100_000, inodes: 50 });
    let found = check(&full, Capabilities::ALL);
    assert!(found.iter().any(|violation| violation.area == "tree"), "{found:?}");
    let old = SetTimes { accessed: SetTime::At(0), modified: SetTime::At(0) };
    assert_eq!(full.root().unwrap().set_own_times(old), Ok(()));
}
