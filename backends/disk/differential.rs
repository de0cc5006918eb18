//! The same random operations on the kernel's file system and on ours, which have to answer alike, with values and with errors.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use proptest::prelude::*;

use super::{Disk, Manner};
use crate::memory::Memory;
use crate::mounts::Mounts;
use crate::{
    Access, Create, Dir, Error, File, FileSystem, FileType, Follow, Node, OpenOptions, Path, Result, SetTime, SetTimes,
};

/// An operation on the directory handle (`at`, `to`) or the file handle (`on`) of that number, modulo those there are.
#[derive(Clone, Debug)]
enum Op {
    Open { at: usize, path: String, options: OpenOptions },
    Stat { at: usize, path: String, follow: Follow },
    List { at: usize },
    ReadLink { at: usize, path: String },
    CreateDir { at: usize, path: String },
    RemoveDir { at: usize, path: String },
    Unlink { at: usize, path: String },
    Symlink { at: usize, path: String, target: String },
    Link { at: usize, path: String, follow: Follow, to: usize, new: String },
    Rename { at: usize, path: String, to: usize, new: String },
    SetTimes { at: usize, path: String, follow: Follow, time: i128 },
    Write { on: usize, offset: u64, length: usize, byte: u8 },
    WriteParts { on: usize, offset: u64, lengths: [usize; 3] },
    ReadParts { on: usize, offset: u64, lengths: [usize; 3] },
    Append { on: usize, length: usize, byte: u8 },
    Read { on: usize, offset: u64, length: usize },
    ReadAll { on: usize },
    SetLen { on: usize, size: u64 },
    Allocate { on: usize, offset: u64, length: u64 },
    FileMetadata { on: usize },
}

/// What an operation answers, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Answer {
    Nothing,
    Kind(FileType),
    /// Kind, size and links; the last two of directories are each file system's own.
    Metadata(FileType, u64, u64, Option<i128>),
    Names(Vec<(Box<[u8]>, FileType)>),
    Bytes(Vec<u8>),
    Count(usize, u64),
}

/// Handles on one file system.
struct Side {
    dirs: Vec<Arc<dyn Dir>>,
    files: Vec<Arc<dyn File>>,
}

fn path(text: &str) -> &Path {
    Path::new(text.as_bytes()).unwrap()
}

/// Where something else is mounted that the operations never get to.
const ELSEWHERE: &[u8] = b"elsewhere";

/// Times that were set are compared; those that the clock gave are not.
const SET: std::ops::Range<i128> = 0..1_000_000_000_000_000_000;

fn metadata(it: crate::Metadata) -> Answer {
    let time = SET.contains(&it.modified).then_some(it.modified);
    match it.kind {
        FileType::Directory => Answer::Metadata(it.kind, 0, 0, time),
        kind => Answer::Metadata(kind, it.size, it.links, time),
    }
}

impl Side {
    fn new(files: &dyn FileSystem) -> Side {
        Side { dirs: vec![files.root().unwrap()], files: Vec::new() }
    }

    fn dir(&self, number: usize) -> &dyn Dir {
        &*self.dirs[number % self.dirs.len()]
    }

    fn file(&self, number: usize) -> Result<&dyn File> {
        let number = number.checked_rem(self.files.len()).ok_or(Error::BadHandle)?;
        Ok(&*self.files[number])
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

    fn apply(&mut self, op: &Op) -> Result<Answer> {
        match op {
            Op::Open { at, path: name, options } => self.open(*at, path(name), *options),
            Op::Write { .. } | Op::Append { .. } | Op::Read { .. } | Op::ReadAll { .. } => self.transfer(op),
            Op::WriteParts { .. } | Op::ReadParts { .. } => self.transfer_parts(op),
            Op::SetLen { .. } | Op::Allocate { .. } | Op::FileMetadata { .. } => self.resize(op),
            Op::Stat { .. } | Op::List { .. } | Op::ReadLink { .. } => self.look(op),
            _ => self.change(op).map(|()| Answer::Nothing),
        }
    }

    fn look(&self, op: &Op) -> Result<Answer> {
        match op {
            Op::Stat { at, path: name, follow } => self.dir(*at).stat(path(name), *follow).map(metadata),
            Op::ReadLink { at, path: name } => self.dir(*at).read_link(path(name)).map(|it| Answer::Bytes(it.into())),
            Op::List { at } => {
                let listing = self.dir(*at).list()?;
                let ours = listing.iter().filter(|entry| *entry.name != *ELSEWHERE);
                let mut names: Vec<_> = ours.map(|entry| (entry.name.clone(), entry.kind)).collect();
                names.sort_by(|a, b| a.0.cmp(&b.0));
                Ok(Answer::Names(names))
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn change(&self, op: &Op) -> Result<()> {
        match op {
            Op::CreateDir { at, path: name } => self.dir(*at).create_dir(path(name)),
            Op::RemoveDir { at, path: name } => self.dir(*at).remove_dir(path(name)),
            Op::Unlink { at, path: name } => self.dir(*at).unlink(path(name)),
            Op::Symlink { at, path: name, target } => self.dir(*at).symlink(target.as_bytes(), path(name)),
            Op::Link { at, path: name, follow, to, new } => {
                self.dir(*at).link(path(name), *follow, self.dir(*to), path(new))
            }
            Op::Rename { at, path: name, to, new } => self.dir(*at).rename(path(name), self.dir(*to), path(new)),
            Op::SetTimes { at, path: name, follow, time } => {
                let times = SetTimes { accessed: SetTime::Keep, modified: SetTime::At(*time) };
                self.dir(*at).set_times(path(name), *follow, times)
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

fn any_path() -> impl Strategy<Value = String> {
    let name = prop_oneof![6 => "[abc]", 1 => Just("..".to_owned()), 1 => Just(".".to_owned())];
    let separators = prop_oneof![9 => Just("/"), 1 => Just("//")];
    let slash = prop_oneof![8 => Just(""), 1 => Just("/")];
    (prop::collection::vec((name, separators), 1..4), slash).prop_map(|(names, slash)| {
        let joined: String = names.iter().map(|(name, separator)| format!("{name}{separator}")).collect();
        format!("{}{slash}", joined.trim_end_matches('/'))
    })
}

fn follow() -> impl Strategy<Value = Follow> {
    prop_oneof![Just(Follow::Yes), Just(Follow::No)]
}

fn options() -> impl Strategy<Value = OpenOptions> {
    let access = prop_oneof![
        3 => Just(Access { read: true, write: true }),
        2 => Just(Access { read: true, write: false }),
        1 => Just(Access { read: false, write: true }),
        1 => Just(Access::default()),
    ];
    let create = prop_oneof![3 => Just(Create::No), 3 => Just(Create::IfMissing), 1 => Just(Create::New)];
    let rarely = || prop::bool::weighted(0.15);
    (access, create, rarely(), rarely(), follow()).prop_map(|(access, create, truncate, directory, follow)| {
        OpenOptions { access, create, truncate, directory, follow }
    })
}

fn op() -> impl Strategy<Value = Op> {
    let number = || 0..8_usize;
    let offset = || prop_oneof![3 => 0..40_u64, 1 => 65_500..65_600_u64, 1 => 130_000..200_000_u64];
    let length = || prop_oneof![4 => 0..20_usize, 1 => 0..70_000_usize];
    let at = || (number(), any_path());
    let two = || (at(), at());
    prop_oneof![
        6 => (at(), options()).prop_map(|((at, path), options)| Op::Open { at, path, options }),
        2 => (at(), follow()).prop_map(|((at, path), follow)| Op::Stat { at, path, follow }),
        1 => number().prop_map(|at| Op::List { at }),
        1 => at().prop_map(|(at, path)| Op::ReadLink { at, path }),
        4 => at().prop_map(|(at, path)| Op::CreateDir { at, path }),
        2 => at().prop_map(|(at, path)| Op::RemoveDir { at, path }),
        2 => at().prop_map(|(at, path)| Op::Unlink { at, path }),
        2 => (at(), any_path()).prop_map(|((at, path), target)| Op::Symlink { at, path, target }),
        2 => (two(), follow()).prop_map(|(((at, path), (to, new)), follow)| Op::Link { at, path, follow, to, new }),
        4 => two().prop_map(|((at, path), (to, new))| Op::Rename { at, path, to, new }),
        1 => (at(), follow(), SET).prop_map(|((at, path), follow, time)| Op::SetTimes { at, path, follow, time }),
        3 => (number(), offset(), length(), any::<u8>())
            .prop_map(|(on, offset, length, byte)| Op::Write { on, offset, length, byte }),
        1 => (number(), offset(), [length(), length(), length()])
            .prop_map(|(on, offset, lengths)| Op::WriteParts { on, offset, lengths }),
        1 => (number(), offset(), [length(), length(), length()])
            .prop_map(|(on, offset, lengths)| Op::ReadParts { on, offset, lengths }),
        1 => (number(), length(), any::<u8>()).prop_map(|(on, length, byte)| Op::Append { on, length, byte }),
        2 => (number(), offset(), length()).prop_map(|(on, offset, length)| Op::Read { on, offset, length }),
        1 => number().prop_map(|on| Op::ReadAll { on }),
        1 => (number(), offset()).prop_map(|(on, size)| Op::SetLen { on, size }),
        1 => (number(), offset(), offset()).prop_map(|(on, offset, length)| Op::Allocate { on, offset, length }),
        1 => number().prop_map(|on| Op::FileMetadata { on }),
    ]
}

/// An empty folder in memory, if the host has that, else on its disk.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Does `ops` on both, and compares each answer.
fn compare(other: &dyn FileSystem, kernel: &dyn FileSystem, ops: &[Op]) -> Result<(), TestCaseError> {
    let (mut other, mut kernel) = (Side::new(other), Side::new(kernel));
    for op in ops {
        prop_assert_eq!(other.apply(op), kernel.apply(op), "{:?}", op);
    }
    Ok(())
}

/// Does `ops` on a folder and on another file system.
fn compare_with_folder(other: &dyn FileSystem, ops: &[Op]) -> Result<(), TestCaseError> {
    let folder = folder();
    compare(other, &Disk::read_write(folder.path()).unwrap(), ops)
}

/// A tmpfs, gone when this is dropped.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn new(at: std::path::PathBuf) -> std::io::Result<Tmpfs> {
        _ = std::fs::create_dir(&at);
        rustix::mount::mount("tmpfs", &at, "tmpfs", rustix::mount::MountFlags::empty(), None)?;
        Ok(Tmpfs(at))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// File systems of the kernel mounted at `c` and `c/b` in another, the one mounted last first.
fn nested(at: &std::path::Path) -> std::io::Result<[Tmpfs; 3]> {
    let outer = Tmpfs::new(at.join("root"))?;
    let middle = Tmpfs::new(outer.0.join("c"))?;
    let inner = Tmpfs::new(middle.0.join("b"))?;
    Ok([inner, middle, outer])
}

/// The same of ours.
fn nested_memory() -> Mounts {
    let at = |name: &str| {
        let memory = Memory::new();
        memory.create_dirs(path(name)).unwrap();
        Arc::new(memory)
    };
    let mounts = Mounts::builder().mount(Path::DOT, at("c")).unwrap();
    mounts.mount(path("c"), at("b")).unwrap().mount(path("c/b"), at(".")).unwrap().build()
}

/// Random operations for a check that needs the right to mount, and says whether it had it; if not, this is said.
fn with_mounts(check: impl Fn(&std::path::Path, &[Op]) -> Result<bool, TestCaseError>) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let runner = proptest::test_runner::TestRunner::new(config).run(&prop::collection::vec(op(), 1..100), |ops| {
        if !check(tempfile::tempdir().unwrap().path(), &ops)? {
            eprintln!("SKIPPED: no comparison with the kernel's mounts, for which one has to be root");
        }
        Ok(())
    });
    runner.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn mounts_answer_as_the_kernels() {
    with_mounts(|folder, ops| match nested(folder) {
        Ok(tmpfs) => compare(&nested_memory(), &Disk::read_write(&tmpfs[2].0).unwrap(), ops).map(|()| true),
        Err(_) => Ok(false),
    });
}

/// What only looks, or opens in any way.
fn looks(op: &Op) -> bool {
    matches!(op, Op::Open { .. } | Op::Stat { .. } | Op::List { .. } | Op::ReadLink { .. } | Op::Read { .. })
}

/// The same tree twice: on a tmpfs that is then made read-only, and in memory.
fn check_read_only(tmpfs: &Tmpfs, ops: &[Op]) -> Result<(), TestCaseError> {
    let (memory, disk) = (Memory::new(), Disk::read_write(&tmpfs.0).unwrap());
    compare(&memory, &disk, ops)?;
    let frozen = rustix::mount::MountFlags::RDONLY;
    rustix::mount::mount_remount(&tmpfs.0, frozen, "").unwrap();
    let looks: Vec<_> = ops.iter().filter(|op| looks(op)).cloned().collect();
    compare(&crate::readonly::ReadOnly::new(memory), &disk, &looks)?;
    compare(&Disk::read_only(&tmpfs.0).unwrap(), &disk, &looks)
}

/// As [`mounts_answer_as_the_kernels`], with a file system that is made read-only.
#[test]
fn read_only_answers_as_the_kernels() {
    with_mounts(|folder, ops| match Tmpfs::new(folder.join("root")) {
        Ok(tmpfs) => check_read_only(&tmpfs, ops).map(|()| true),
        Err(_) => Ok(false),
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn memory_answers_as_the_kernel(ops in prop::collection::vec(op(), 1..100)) {
        compare_with_folder(&Memory::new(), &ops)?;
    }

    #[test]
    fn steps_answer_as_the_kernel(ops in prop::collection::vec(op(), 1..100)) {
        let folder = folder();
        let stepwise = Disk::new(folder.path(), |manner| Manner { write: true, openat2: false, ..manner });
        compare_with_folder(&stepwise.unwrap(), &ops)?;
    }

    #[test]
    fn a_walk_across_mounts_answers_as_the_kernel(ops in prop::collection::vec(op(), 1..100)) {
        let mounts = Mounts::builder().mount(Path::DOT, Arc::new(Memory::new())).unwrap();
        compare_with_folder(&mounts.mount(path("elsewhere/a"), Arc::new(Memory::new())).unwrap().build(), &ops)?;
    }
}
