//! That crate's own test suite on ours, and our conformance suite on theirs.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use ::vfs::{MemoryFS, PhysicalFS, VfsPath};

use super::{CAPABILITIES, FromVfs, ToVfs};
use crate::conformance::{Capabilities, check};
use crate::disk::Disk;
use crate::memory::Memory;
use crate::mounts::Mounts;
use crate::overlay::Overlay;
use crate::readonly::ReadOnly;
use crate::zip::{Options, Zip};
use crate::{Dir, Error, FileSystem, Follow, OpenOptions, Path, Result};

/// A folder of the disk that is removed with it.
struct Folder {
    disk: Disk,
    /// Removed when the test is over.
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Folder {
        let folder = tempfile::tempdir().unwrap();
        Folder { disk: Disk::read_write(folder.path()).unwrap(), folder }
    }
}

impl FileSystem for Folder {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        self.disk.root()
    }
}

fn exported(files: impl FileSystem) -> ToVfs {
    ToVfs::new(&files).unwrap()
}

fn overlay() -> Overlay {
    let lower = Memory::new();
    lower.create_dirs(path(".")).unwrap();
    Overlay::new(Arc::new(Memory::new()), [Arc::new(ReadOnly::new(lower)) as Arc<dyn FileSystem>]).unwrap()
}

fn path(text: &str) -> &Path {
    Path::new(text.as_bytes()).unwrap()
}

/// The tree that their suite for read-only file systems expects.
const TREE: [(&str, &str); 6] =
    [("a.txt", "a"), ("a.txt.dir/g.txt", "g"), ("a/d.txt", "d"), ("a/x/y/z", "z"), ("b.txt", "b"), ("c/e.txt", "e")];

fn memory() -> ReadOnly<Memory> {
    let files = Memory::new();
    for (name, contents) in TREE {
        files.insert(path(name), contents.into()).unwrap();
    }
    ReadOnly::new(files)
}

fn zip() -> Zip {
    let mut writer = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, contents) in TREE {
        writer.start_file(name, ::zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(contents.as_bytes()).unwrap();
    }
    Zip::from_bytes(writer.finish().unwrap().into_inner().into(), &Options::new()).unwrap()
}

mod of_memory {
    use super::*;
    ::vfs::test_vfs!(exported(Memory::new()));
}

mod of_overlay {
    use super::*;
    ::vfs::test_vfs!(exported(overlay()));
}

mod of_there_and_back {
    use super::*;
    ::vfs::test_vfs!(exported(FromVfs::new(MemoryFS::new().into())));
}

mod of_zip {
    use super::*;
    ::vfs::test_vfs_readonly!(exported(zip()));
}

mod of_read_only_memory {
    use super::*;
    ::vfs::test_vfs_readonly!(exported(memory()));
}

/// On a folder that outlives the test, which has it open.
mod of_disk {
    use super::*;

    fn folder() -> ToVfs {
        let folder = Box::leak(Box::new(Folder::new()));
        exported(Disk::read_write(folder.folder.path()).unwrap())
    }
    ::vfs::test_vfs!(folder());
}

#[test]
fn theirs_conform_as_far_as_they_can() {
    // It keeps no times of directories.
    let memory = Capabilities { times: false, ..CAPABILITIES };
    assert_eq!(check(&FromVfs::new(MemoryFS::new().into()), memory), []);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(check(&FromVfs::new(PhysicalFS::new(folder.path()).into()), CAPABILITIES), []);
}

#[test]
fn ours_there_and_back_conform() {
    let back = |files: &dyn FileSystem| FromVfs::new(ToVfs::new(files).unwrap().into());
    assert_eq!(check(&back(&Memory::new()), CAPABILITIES), []);
    assert_eq!(check(&back(&Folder::new()), CAPABILITIES), []);
}

#[test]
fn theirs_in_a_tree_of_ours() {
    let theirs = VfsPath::new(MemoryFS::new());
    theirs.join("d").unwrap().create_dir().unwrap();
    theirs.join("d/f").unwrap().create_file().unwrap().write_all(b"theirs").unwrap();
    let lower: Arc<dyn FileSystem> = Arc::new(FromVfs::new(theirs.clone()));
    let layered: Arc<dyn FileSystem> = Arc::new(Overlay::new(Arc::new(Memory::new()), [lower]).unwrap());
    let mounts = Mounts::builder().mount(path("m"), layered).unwrap().mount(path("."), Arc::new(Memory::new()));
    let root = mounts.unwrap().build().root().unwrap();
    let file = root.open(path("m/d/f"), OpenOptions::write()).unwrap().file().unwrap();
    assert_eq!(file.write_at(b"ours", 6), Ok(4));
    assert_eq!(
        root.open(path("m/d/f"), OpenOptions::read()).unwrap().file().unwrap().read_all().unwrap(),
        "theirsours"
    );
    assert_eq!(theirs.join("d/f").unwrap().read_to_string().unwrap(), "theirs");
}

#[test]
fn what_cannot_be_said_over_there() {
    let files = Memory::new();
    files.insert(path("d/f"), "f".into()).unwrap();
    let root = files.root().unwrap();
    root.symlink(b"d/f", path("link")).unwrap();
    root.symlink(b"nowhere", path("dangling")).unwrap();
    root.symlink(b"/etc/passwd", path("out")).unwrap();
    root.open(Path::new(b"\xff").unwrap(), OpenOptions::write()).unwrap();
    let theirs = VfsPath::new(ToVfs::new(&files).unwrap());
    let mut names: Vec<_> = theirs.read_dir().unwrap().map(|path| path.filename()).collect();
    names.sort();
    assert_eq!(names, ["d", "link"]);
    assert_eq!(theirs.join("link").unwrap().read_to_string().unwrap(), "f");
    assert!(theirs.join("out").unwrap().open_file().is_err());
    assert!(!theirs.join("dangling").unwrap().exists().unwrap());
}

#[test]
fn gaps_and_limits() {
    let files = FromVfs::new(MemoryFS::new().into());
    let root = files.root().unwrap();
    let file = root.open(path("f"), OpenOptions::write()).unwrap().file().unwrap();
    assert_eq!(file.write_at(b"x", 10), Ok(1));
    assert_eq!(file.read_all().unwrap(), &b"\0\0\0\0\0\0\0\0\0\0x"[..]);
    assert_eq!(file.write_at(b"x", 1 << 40), Err(Error::TooLarge));
    assert_eq!(file.write_at(b"x", u64::MAX), Err(Error::TooLarge));
    assert_eq!(file.set_len(1 << 40), Err(Error::TooLarge));
    assert_eq!(root.symlink(b"f", path("l")), Err(Error::NotSupported));
    assert_eq!(root.link(path("f"), Follow::No, &*root, path("l")), Err(Error::NotSupported));
    assert_eq!(root.create_dir(Path::new(b"\xff").unwrap()), Err(Error::IllegalSequence));
    assert_eq!(root.stat(Path::new(b"\xff").unwrap(), Follow::No), Err(Error::NotFound));
}
