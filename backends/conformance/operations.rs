//! Operations as values, so that the same ones can be done on two file systems and the answers compared: what property tests and
//! fuzzers need, and what ours use.
//!
//! ```
//! # #[cfg(feature = "memory")] {
//! use kitbag_fs::conformance::operations::{Handles, Op};
//! use kitbag_fs::memory::Memory;
//! use kitbag_fs::{FileSystem, OpenOptions};
//!
//! let (mut one, mut other) = (Handles::new(Memory::new().root()?), Handles::new(Memory::new().root()?));
//! let ops = [
//!     Op::CreateDir { at: 0, path: b"d".to_vec() },
//!     Op::Open { at: 0, path: b"d/../f".to_vec(), options: OpenOptions::write() },
//!     Op::Write { on: 0, offset: 7, length: 3, byte: b'x' },
//!     Op::List { at: 0 },
//! ];
//! for op in &ops {
//!     assert_eq!(one.apply(op), other.apply(op), "{op:?}");
//! }
//! # }
//! # Ok::<(), kitbag_fs::Error>(())
//! ```

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use crate::{Dir, Error, File, FileType, Follow, Metadata, Node, OpenOptions, Path, Result, SetTime, SetTimes};

/// An operation on the directory handle (`at`, `to`) or the file handle (`on`) of that number, modulo those that are open. Paths
/// are bytes, of which those that are no path answer as [`Path::new`] does; lengths are allocated.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the arguments of the methods")]
pub enum Op {
    /// [`Dir::open`]; the handle is kept, behind the others of its kind.
    Open { at: usize, path: Vec<u8>, options: OpenOptions },
    /// [`Dir::stat`].
    Stat { at: usize, path: Vec<u8>, follow: Follow },
    /// [`Dir::list`].
    List { at: usize },
    /// [`Dir::read_link`].
    ReadLink { at: usize, path: Vec<u8> },
    /// [`Dir::create_dir`].
    CreateDir { at: usize, path: Vec<u8> },
    /// [`Dir::remove_dir`].
    RemoveDir { at: usize, path: Vec<u8> },
    /// [`Dir::unlink`].
    Unlink { at: usize, path: Vec<u8> },
    /// [`Dir::symlink`].
    Symlink { at: usize, path: Vec<u8>, target: Vec<u8> },
    /// [`Dir::link`].
    Link { at: usize, path: Vec<u8>, follow: Follow, to: usize, new: Vec<u8> },
    /// [`Dir::rename`].
    Rename { at: usize, path: Vec<u8>, to: usize, new: Vec<u8> },
    /// [`Dir::set_times`], of the modification alone.
    SetTimes { at: usize, path: Vec<u8>, follow: Follow, time: i128 },
    /// [`File::write_at`], `length` times `byte`.
    Write { on: usize, offset: u64, length: usize, byte: u8 },
    /// [`File::write_vectored_at`].
    WriteParts { on: usize, offset: u64, lengths: [usize; 3] },
    /// [`File::read_vectored_at`].
    ReadParts { on: usize, offset: u64, lengths: [usize; 3] },
    /// [`File::append`].
    Append { on: usize, length: usize, byte: u8 },
    /// [`File::read_at`].
    Read { on: usize, offset: u64, length: usize },
    /// [`File::read_all`].
    ReadAll { on: usize },
    /// [`File::set_len`].
    SetLen { on: usize, size: u64 },
    /// [`File::allocate`].
    Allocate { on: usize, offset: u64, length: u64 },
    /// [`File::metadata`].
    FileMetadata { on: usize },
}

/// What an operation answers, as far as two file systems can be expected to agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Nothing,
    /// What was opened.
    Kind(FileType),
    /// Kind, size, links, and the time of the last change. Sizes and links of directories are each file system's own, and 0 here;
    /// a time is there if it is one of those that [`SET`] has, which no clock gives.
    Metadata(FileType, u64, u64, Option<i128>),
    /// Names and kinds, sorted by name.
    Names(Vec<(Box<[u8]>, FileType)>),
    /// A buffer after it was read into, what was not filled included.
    Bytes(Vec<u8>),
    /// How many bytes, and for [`Op::Append`] where the end is.
    Count(usize, u64),
}

/// Times that are compared: before 2001, in nanoseconds since 1970.
pub const SET: std::ops::Range<i128> = 0..1_000_000_000_000_000_000;

/// Handles on one file system.
pub struct Handles {
    dirs: Vec<Arc<dyn Dir>>,
    files: Vec<Arc<dyn File>>,
}

fn metadata(it: Metadata) -> Answer {
    let time = SET.contains(&it.modified).then_some(it.modified);
    match it.kind {
        FileType::Directory => Answer::Metadata(it.kind, 0, 0, time),
        kind => Answer::Metadata(kind, it.size, it.links, time),
    }
}

impl Handles {
    /// One handle, which stays that of number 0.
    #[must_use]
    pub fn new(root: Arc<dyn Dir>) -> Handles {
        Handles { dirs: vec![root], files: Vec::new() }
    }

    fn dir(&self, number: usize) -> &dyn Dir {
        &*self.dirs[number % self.dirs.len()]
    }

    fn file(&self, number: usize) -> Result<&dyn File> {
        let number = number.checked_rem(self.files.len()).ok_or(Error::BadHandle)?;
        Ok(&*self.files[number])
    }

    /// Does it, and says what came of it.
    ///
    /// # Errors
    /// Those of the methods, and [`Error::BadHandle`] while there is no file.
    pub fn apply(&mut self, op: &Op) -> Result<Answer> {
        match op {
            Op::Open { at, path, options } => self.open(*at, Path::new(path)?, *options),
            Op::Write { .. } | Op::Append { .. } | Op::Read { .. } | Op::ReadAll { .. } => self.transfer(op),
            Op::WriteParts { .. } | Op::ReadParts { .. } => self.transfer_parts(op),
            Op::SetLen { .. } | Op::Allocate { .. } | Op::FileMetadata { .. } => self.resize(op),
            Op::Stat { .. } | Op::List { .. } | Op::ReadLink { .. } => self.look(op),
            _ => self.change(op).map(|()| Answer::Nothing),
        }
    }

    fn open(&mut self, at: usize, path: &Path, options: OpenOptions) -> Result<Answer> {
        match self.dir(at).open(path, options)? {
            Node::Dir(dir) => {
                self.dirs.push(dir);
                Ok(Answer::Kind(FileType::Directory))
            }
            Node::File(file) => {
                self.files.push(file);
                Ok(Answer::Kind(FileType::File))
            }
        }
    }

    fn look(&self, op: &Op) -> Result<Answer> {
        match op {
            Op::Stat { at, path, follow } => self.dir(*at).stat(Path::new(path)?, *follow).map(metadata),
            Op::ReadLink { at, path } => self.dir(*at).read_link(Path::new(path)?).map(|it| Answer::Bytes(it.into())),
            Op::List { at } => {
                let listing = self.dir(*at).list()?;
                let mut names: Vec<_> = listing.iter().map(|entry| (entry.name.clone(), entry.kind)).collect();
                names.sort_by(|a, b| a.0.cmp(&b.0));
                Ok(Answer::Names(names))
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn change(&self, op: &Op) -> Result<()> {
        match op {
            Op::CreateDir { at, path } => self.dir(*at).create_dir(Path::new(path)?),
            Op::RemoveDir { at, path } => self.dir(*at).remove_dir(Path::new(path)?),
            Op::Unlink { at, path } => self.dir(*at).unlink(Path::new(path)?),
            Op::Symlink { at, path, target } => self.dir(*at).symlink(target, Path::new(path)?),
            Op::Link { at, path, follow, to, new } => {
                self.dir(*at).link(Path::new(path)?, *follow, self.dir(*to), Path::new(new)?)
            }
            Op::Rename { at, path, to, new } => self.dir(*at).rename(Path::new(path)?, self.dir(*to), Path::new(new)?),
            Op::SetTimes { at, path, follow, time } => {
                let times = SetTimes { accessed: SetTime::Keep, modified: SetTime::At(*time) };
                self.dir(*at).set_times(Path::new(path)?, *follow, times)
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn transfer(&self, op: &Op) -> Result<Answer> {
        match op {
            Op::Write { on, offset, length, byte } => {
                self.file(*on)?.write_at(&vec![*byte; *length], *offset).map(|count| Answer::Count(count, 0))
            }
            Op::Append { on, length, byte } => {
                let bytes = vec![*byte; *length];
                self.file(*on)?.append(&[IoSlice::new(&bytes)]).map(|(count, end)| Answer::Count(count, end))
            }
            Op::Read { on, offset, length } => {
                let mut bytes = vec![0xAA; *length];
                self.file(*on)?.read_at(&mut bytes, *offset)?;
                Ok(Answer::Bytes(bytes))
            }
            Op::ReadAll { on } => self.file(*on)?.read_all().map(|bytes| Answer::Bytes(bytes.to_vec())),
            other => unreachable!("{other:?}"),
        }
    }

    fn transfer_parts(&self, op: &Op) -> Result<Answer> {
        match op {
            Op::WriteParts { on, offset, lengths } => {
                let bytes = lengths.map(|length| vec![length as u8; length]);
                let parts = [0, 1, 2].map(|part| IoSlice::new(&bytes[part]));
                self.file(*on)?.write_vectored_at(&parts, *offset).map(|count| Answer::Count(count, 0))
            }
            Op::ReadParts { on, offset, lengths } => {
                let mut bytes = lengths.map(|length| vec![0xAA; length]);
                let mut parts = bytes.each_mut().map(|part| IoSliceMut::new(part));
                self.file(*on)?.read_vectored_at(&mut parts, *offset)?;
                Ok(Answer::Bytes(bytes.concat()))
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn resize(&self, op: &Op) -> Result<Answer> {
        match op {
            Op::SetLen { on, size } => self.file(*on)?.set_len(*size).map(|()| Answer::Nothing),
            Op::Allocate { on, offset, length } => self.file(*on)?.allocate(*offset, *length).map(|()| Answer::Nothing),
            Op::FileMetadata { on } => self.file(*on)?.metadata().map(metadata),
            other => unreachable!("{other:?}"),
        }
    }
}
