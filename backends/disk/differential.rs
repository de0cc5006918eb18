//! The same random operations on the kernel's file system and on ours, which have to answer alike, with values and with errors.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Disk, Manner};
use crate::conformance::operations::{Answer, Handles, Op, SET};
use crate::memory::Memory;
use crate::mounts::Mounts;
use crate::{Access, Create, FileSystem, Follow, OpenOptions, Path, Result};

fn path(text: &str) -> &Path {
    Path::new(text.as_bytes()).unwrap()
}

/// Where something else is mounted that the operations never get to.
const ELSEWHERE: &[u8] = b"elsewhere";

/// What an answer says of what the operations can get to.
fn within_reach(answer: Result<Answer>) -> Result<Answer> {
    answer.map(|answer| match answer {
        Answer::Names(names) => Answer::Names(names.into_iter().filter(|(name, _)| **name != *ELSEWHERE).collect()),
        other => other,
    })
}

fn any_path() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![6 => "[abc]", 1 => Just("..".to_owned()), 1 => Just(".".to_owned())];
    let separators = prop_oneof![9 => Just("/"), 1 => Just("//")];
    let slash = prop_oneof![8 => Just(""), 1 => Just("/")];
    (prop::collection::vec((name, separators), 1..4), slash).prop_map(|(names, slash)| {
        let joined: String = names.iter().map(|(name, separator)| format!("{name}{separator}")).collect();
        format!("{}{slash}", joined.trim_end_matches('/')).into_bytes()
    })
}

fn follow() -> impl Strategy<Value = Follow> {
    prop_oneof![Just(Follow::Yes), Just(Follow::No)]
}

pub(crate) fn options() -> impl Strategy<Value = OpenOptions> {
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
    let (mut other, mut kernel) = (Handles::new(other.root().unwrap()), Handles::new(kernel.root().unwrap()));
    for op in ops {
        prop_assert_eq!(within_reach(other.apply(op)), kernel.apply(op), "{:?}", op);
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
        let stepwise = Disk::new(folder.path(), |_| Manner { write: true, openat2: false });
        compare_with_folder(&stepwise.unwrap(), &ops)?;
    }

    #[test]
    fn a_walk_across_mounts_answers_as_the_kernel(ops in prop::collection::vec(op(), 1..100)) {
        let mounts = Mounts::builder().mount(Path::DOT, Arc::new(Memory::new())).unwrap();
        compare_with_folder(&mounts.mount(path("elsewhere/a"), Arc::new(Memory::new())).unwrap().build(), &ops)?;
    }
}

/// What changes the time of the last change, and what leaves it: writing nothing, for one.
#[test]
fn times_change_as_the_kernels() {
    let aged = |op: Op| {
        let file = || b"a".to_vec();
        let times = Op::SetTimes { at: 0, path: file(), follow: Follow::Yes, time: 5_000_000_000 };
        let stat = Op::Stat { at: 0, path: file(), follow: Follow::Yes };
        let open =
            |truncate| Op::Open { at: 0, path: file(), options: OpenOptions { truncate, ..OpenOptions::write() } };
        let write = Op::Write { on: 0, offset: 0, length: 10, byte: 1 };
        vec![open(false), write, times.clone(), op, stat.clone(), open(true), times, open(true), stat]
    };
    for op in [
        Op::Write { on: 0, offset: 0, length: 0, byte: 0 },
        Op::Write { on: 0, offset: 100, length: 0, byte: 0 },
        Op::Write { on: 0, offset: 0, length: 1, byte: 0 },
        Op::WriteParts { on: 0, offset: 100, lengths: [0; 3] },
        Op::Append { on: 0, length: 0, byte: 0 },
        Op::SetLen { on: 0, size: 10 },
        Op::SetLen { on: 0, size: 11 },
        Op::Allocate { on: 0, offset: 0, length: 5 },
        Op::Allocate { on: 0, offset: 0, length: 50 },
        Op::Allocate { on: 0, offset: 0, length: 0 },
        Op::ReadAll { on: 0 },
    ] {
        if let Err(difference) = compare_with_folder(&Memory::new(), &aged(op.clone())) {
            panic!("{op:?}: {difference}");
        }
    }
}
