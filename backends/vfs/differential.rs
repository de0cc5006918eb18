//! The same random operations on the kernel's tmpfs and on backends of the crate `vfs`, which have to answer alike in all that its
//! trait can say: names, contents and errors, but no links, and nothing through a handle whose name has moved.

use ::vfs::{MemoryFS, PhysicalFS};
use proptest::prelude::*;

use super::{FromVfs, ToVfs};
use crate::conformance::operations::{Answer, Handles, Op};
use crate::disk::Disk;
use crate::disk::differential::options;
use crate::memory::Memory;
use crate::{FileSystem, Follow, OpenOptions, Result};

fn any_path() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![8 => "[abc]", 1 => Just("..".to_owned()), 1 => Just(".".to_owned())];
    let slash = prop_oneof![8 => Just(""), 1 => Just("/")];
    (prop::collection::vec(name, 1..4), slash).prop_map(|(names, slash)| (names.join("/") + slash).into_bytes())
}

/// Operations on names, from the root or from a directory that was just opened.
fn on_names(at: usize) -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => any_path().prop_map(move |path| Op::Stat { at, path, follow: Follow::Yes }),
        1 => Just(Op::List { at }),
        1 => any_path().prop_map(move |path| Op::ReadLink { at, path }),
        4 => any_path().prop_map(move |path| Op::CreateDir { at, path }),
        2 => any_path().prop_map(move |path| Op::RemoveDir { at, path }),
        2 => any_path().prop_map(move |path| Op::Unlink { at, path }),
    ]
}

/// Operations on the file that was just opened.
fn on_contents() -> impl Strategy<Value = Op> {
    let offset = || prop_oneof![4 => 0..40_u64, 1 => 60_000..70_000_u64];
    let length = || prop_oneof![4 => 0..20_usize, 1 => 0..9_000_usize];
    prop_oneof![
        3 => (offset(), length(), any::<u8>())
            .prop_map(|(offset, length, byte)| Op::Write { on: 0, offset, length, byte }),
        1 => (offset(), [length(), length(), length()])
            .prop_map(|(offset, lengths)| Op::WriteParts { on: 0, offset, lengths }),
        1 => (offset(), [length(), length(), length()])
            .prop_map(|(offset, lengths)| Op::ReadParts { on: 0, offset, lengths }),
        1 => (length(), any::<u8>()).prop_map(|(length, byte)| Op::Append { on: 0, length, byte }),
        2 => (offset(), length()).prop_map(|(offset, length)| Op::Read { on: 0, offset, length }),
        1 => Just(Op::ReadAll { on: 0 }),
        1 => offset().prop_map(|size| Op::SetLen { on: 0, size }),
        1 => (offset(), 0..100_u64).prop_map(|(offset, length)| Op::Allocate { on: 0, offset, length }),
        1 => Just(Op::FileMetadata { on: 0 }),
    ]
}

/// What is done with handles that are let go of afterwards.
fn act() -> impl Strategy<Value = Vec<Op>> {
    let open = || {
        (any_path(), options()).prop_map(|(path, options)| Op::Open {
            at: 0,
            path,
            options: OpenOptions { follow: Follow::Yes, ..options },
        })
    };
    let rename = (any_path(), any_path()).prop_map(|(path, new)| Op::Rename { at: 0, path, to: 0, new });
    let after = |op: Op, more: Vec<Op>| [vec![op], more].concat();
    prop_oneof![
        4 => on_names(0).prop_map(|op| vec![op]),
        2 => rename.prop_map(|op| vec![op]),
        4 => (open(), prop::collection::vec(on_contents(), 0..5)).prop_map(move |(open, more)| after(open, more)),
        1 => (open(), prop::collection::vec(on_names(1), 0..5)).prop_map(move |(open, more)| after(open, more)),
    ]
}

/// An empty folder on a tmpfs, if the host has one, else on its disk.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Times are not compared: their memory has none.
fn timeless(answer: Result<Answer>) -> Result<Answer> {
    answer.map(|answer| match answer {
        Answer::Metadata(kind, size, links, _) => Answer::Metadata(kind, size, links, None),
        other => other,
    })
}

fn compare(adapted: &dyn FileSystem, acts: &[Vec<Op>]) -> Result<(), TestCaseError> {
    let folder = folder();
    let kernel = Disk::read_write(folder.path()).unwrap();
    for act in acts {
        let (mut adapted, mut kernel) = (Handles::new(adapted.root().unwrap()), Handles::new(kernel.root().unwrap()));
        for op in act {
            prop_assert_eq!(timeless(adapted.apply(op)), timeless(kernel.apply(op)), "{:?} of {:?}", op, act);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn their_memory_answers_as_the_kernel(acts in prop::collection::vec(act(), 1..60)) {
        compare(&FromVfs::new(MemoryFS::new().into()), &acts)?;
    }

    #[test]
    fn their_disk_answers_as_the_kernel(acts in prop::collection::vec(act(), 1..60)) {
        let folder = folder();
        compare(&FromVfs::new(PhysicalFS::new(folder.path()).into()), &acts)?;
    }

    #[test]
    fn ours_there_and_back_answers_as_the_kernel(acts in prop::collection::vec(act(), 1..60)) {
        compare(&FromVfs::new(ToVfs::new(&Memory::new()).unwrap().into()), &acts)?;
    }
}
