//! Two file systems that have to answer alike.
//!
//! The kernel's is a tmpfs where the process may mount one, in a mount namespace of its own, so that nothing stays behind however it
//! ends; elsewhere it is a folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use arbitrary::Unstructured;
use kitbag_fs::conformance::operations::{Handles, Op};
use kitbag_fs::disk::Disk;
use kitbag_fs::memory::Memory;
use kitbag_fs::mounts::Mounts;
use kitbag_fs::overlay::Overlay;
use kitbag_fs::readonly::ReadOnly;
use kitbag_fs::subtree::Subtree;
use kitbag_fs::{Dir, FileSystem, Path, SetTime, SetTimes};

use super::operations::operations;
use super::outline::{check_inodes, outline};

/// Does the operations that `bytes` stand for on two file systems, and compares each answer and the trees that are left.
///
/// # Panics
/// If they differ.
pub fn compare_operations(bytes: &[u8]) {
    let Some((&world, rest)) = bytes.split_first() else { return };
    let ops = operations(&mut Unstructured::new(rest));
    match world % 8 {
        0 | 1 => memory_and_kernel(&ops),
        2 => subtree_and_kernel(&ops),
        3 => mounts_and_kernel(&ops),
        4 | 5 => overlay_and_memory(&ops, usize::from(world / 8)),
        6 => overlays_and_memory(&ops, usize::from(world / 8)),
        _ => read_only(&ops, usize::from(world / 8)),
    }
}

fn path(text: &str) -> &Path {
    Path::new(text.as_bytes()).expect("a path")
}

fn compare(ours: &dyn FileSystem, theirs: &dyn FileSystem, ops: &[Op]) {
    let (ours, theirs) = (ours.root().expect("a root"), theirs.root().expect("a root"));
    let (mut left, mut right) = (Handles::new(Arc::clone(&ours)), Handles::new(Arc::clone(&theirs)));
    for (number, op) in ops.iter().enumerate() {
        assert_eq!(left.apply(op), right.apply(op), "{op:?} after {:#?}", &ops[..number]);
    }
    assert_eq!(outline(&*ours), outline(&*theirs));
    check_inodes(&*ours);
}

fn memory_and_kernel(ops: &[Op]) {
    let memory = Memory::new();
    let empty = memory.used();
    compare(&memory, &kernel(), ops);
    remove_all(&*memory.root().expect("a root"));
    assert_eq!(memory.used(), empty, "something is counted that is not there");
}

/// Removes everything beneath `dir`, of which no handles are left.
fn remove_all(dir: &dyn Dir) {
    for entry in dir.list().expect("a listing").iter() {
        let name = Path::new(&entry.name).expect("a name");
        if let Ok(below) = dir
            .open(name, kitbag_fs::OpenOptions { follow: kitbag_fs::Follow::No, ..kitbag_fs::OpenOptions::directory() })
        {
            remove_all(&*below.dir().expect("a directory"));
            dir.remove_dir(name).expect("to remove a directory");
        } else {
            dir.unlink(name).expect("to remove a name");
        }
    }
}

fn subtree_and_kernel(ops: &[Op]) {
    let memory = Memory::new();
    memory.create_dirs(path("s/s")).expect("directories");
    compare(&Subtree::new(&memory, path("s/s")).expect("a subtree"), &kernel(), ops);
}

fn mounts_and_kernel(ops: &[Op]) {
    let memory = |name: &str| {
        let memory = Memory::new();
        memory.create_dirs(path(name)).expect("directories");
        Arc::new(memory)
    };
    let mounts =
        Mounts::builder().mount(Path::DOT, memory("c")).and_then(|mounts| mounts.mount(path("c"), memory("b")));
    let mounts = mounts.and_then(|mounts| mounts.mount(path("c/b"), memory("."))).expect("mounts").build();
    if let Some(nested) = nested() {
        compare(&mounts, &nested, ops);
    }
}

/// A lower that the first operations have made, and an overlay, against one tree.
fn overlay_and_memory(ops: &[Op], share: usize) {
    let (before, after) = ops.split_at(ops.len() * share / 32);
    let (lower, tree) = (Arc::new(Memory::new()), Memory::new());
    apply(&*lower, before);
    apply(&tree, before);
    new_root(&tree);
    let lower_was = outline(&*lower.root().expect("a root"));
    let overlay = Overlay::new(Arc::new(Memory::new()), [lower.clone() as Arc<dyn FileSystem>]).expect("an overlay");
    compare(&overlay, &tree, after);
    assert_eq!(outline(&*lower.root().expect("a root")), lower_was, "the lower has changed");
}

/// The same with an overlay, whiteouts and all, as the lower, and one that is opened again in between.
fn overlays_and_memory(ops: &[Op], share: usize) {
    let (before, after) = ops.split_at(ops.len() * share / 32);
    let (middle, last) = after.split_at(after.len() / 2);
    let tree = Memory::new();
    let bottom: Arc<dyn FileSystem> = Arc::new(Memory::new());
    let lower = Arc::new(Overlay::new(Arc::new(Memory::new()), [bottom]).expect("an overlay"));
    apply(&*lower, before);
    apply(&tree, before);
    new_root(&tree);
    let upper: Arc<dyn FileSystem> = Arc::new(Memory::new());
    for ops in [middle, last] {
        let lower: Arc<dyn FileSystem> = lower.clone();
        compare(&Overlay::new(upper.clone(), [lower]).expect("an overlay"), &tree, ops);
    }
}

/// Takes back the times that operations have set on the root: an overlay's root is that of its upper, with its times, as it is with
/// the kernel's, and not that of a lower.
fn new_root(tree: &Memory) {
    let root = tree.root().expect("a root");
    root.set_own_times(SetTimes { accessed: SetTime::Now, modified: SetTime::Now }).expect("times");
}

/// Nothing changes through a read-only mount, whatever is opened, linked or moved, and none of it ends otherwise than with an error.
fn read_only(ops: &[Op], share: usize) {
    let (before, after) = ops.split_at(ops.len() * share / 32);
    let memory = Arc::new(Memory::new());
    apply(&*memory, before);
    let was = outline(&*memory.root().expect("a root"));
    apply(&ReadOnly::new(memory.clone()), after);
    let mounts = Mounts::builder().mount(path("a"), Arc::new(ReadOnly::new(memory.clone())));
    let mounts = mounts.and_then(|mounts| mounts.mount(Path::DOT, Arc::new(Memory::new()))).expect("mounts").build();
    apply(&mounts, after);
    assert_eq!(outline(&*memory.root().expect("a root")), was);
}

fn apply(files: &dyn FileSystem, ops: &[Op]) {
    let mut handles = Handles::new(files.root().expect("a root"));
    for op in ops {
        _ = handles.apply(op);
    }
}

/// An empty directory of the kernel's.
fn kernel() -> Disk {
    let folder = folder().join("plain");
    _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("a folder");
    Disk::read_write(folder).expect("the folder")
}

/// File systems of the kernel's mounted at `c` and `c/b` of another, where that can be.
fn nested() -> Option<Disk> {
    static NESTED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let mount = || {
        let outer = folder().join("nested");
        fs::create_dir(&outer).ok()?;
        tmpfs(&outer).then_some(())?;
        for below in ["c", "c/b"] {
            fs::create_dir(outer.join(below)).ok()?;
            tmpfs(&outer.join(below)).then_some(())?;
        }
        Some(outer)
    };
    let outer = NESTED.get_or_init(mount).as_ref()?;
    for below in ["c/b", "c", "."] {
        empty(&outer.join(below));
    }
    Disk::read_write(outer).ok()
}

/// Removes what is in a directory, but for what something is mounted on, and the time that somebody set.
fn empty(folder: &std::path::Path) {
    fs::File::open(folder).and_then(|folder| folder.set_modified(std::time::SystemTime::now())).expect("a time");
    for entry in fs::read_dir(folder).expect("a listing") {
        let path = entry.expect("an entry").path();
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
}

/// Where the kernel's file systems are, made once for the process.
fn folder() -> &'static std::path::Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // SAFETY: a fuzz target has one thread, and nothing of it depends on what others mount.
        let own = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.is_ok();
        let base =
            if fs::exists("/dev/shm").unwrap_or(false) { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
        let folder = base.join(format!("kitbag-fuzz-{}", std::process::id()));
        _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder");
        if own && Command::new("mount").args(["--make-rprivate", "/"]).status().is_ok_and(|status| status.success()) {
            tmpfs(&folder);
        }
        folder
    })
}

fn tmpfs(at: &std::path::Path) -> bool {
    rustix::mount::mount("tmpfs", at, "tmpfs", rustix::mount::MountFlags::empty(), None).is_ok()
}
