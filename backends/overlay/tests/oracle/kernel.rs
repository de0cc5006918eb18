//! The kernel's overlayfs, on a tmpfs of its own, with the same lowers beneath it; and a tmpfs with the merged tree.

use std::ffi::CString;
use std::path::PathBuf;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use super::*;
use crate::disk::Disk;

/// A tmpfs, gone when this is dropped.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn new() -> std::io::Result<Tmpfs> {
        let dir = tempfile::tempdir()?;
        mount("tmpfs", dir.path(), "tmpfs", MountFlags::empty(), None)?;
        Ok(Tmpfs(dir))
    }

    fn dir(&self, name: &str) -> PathBuf {
        let dir = self.0.path().join(name);
        _ = std::fs::create_dir(&dir);
        dir
    }

    fn disk(&self, name: &str) -> Disk {
        Disk::read_write(self.dir(name)).unwrap()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

/// The kernel's overlay on `tmpfs`, mounted until this is dropped.
struct Kernel(PathBuf);

impl Kernel {
    fn new(tmpfs: &Tmpfs, lowers: usize) -> std::io::Result<Kernel> {
        let dir = |name: &str| tmpfs.dir(name).into_os_string().into_string().unwrap();
        let lowers: Vec<_> = (0..lowers).map(|number| dir(&format!("lower{number}"))).collect();
        let layers = format!("lowerdir={},upperdir={},workdir={}", lowers.join(":"), dir("upper"), dir("work"));
        let options = CString::new(format!("{layers},redirect_dir=on,index=on,xino=on"))?;
        let merged = tmpfs.dir("merged");
        while_busy(|| mount("overlay", &merged, "overlay", MountFlags::empty(), Some(options.as_c_str())))?;
        Ok(Kernel(merged))
    }

    fn side(&self) -> Side {
        Side::new(Disk::read_write(&self.0).unwrap().root().unwrap())
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if while_busy(|| unmount(&self.0, UnmountFlags::empty())).is_err() {
            _ = unmount(&self.0, UnmountFlags::DETACH);
        }
    }
}

/// Tries again for a while as long as the mount is busy: a process that another test starts has, for a moment, copies of
/// all descriptors, those beneath the mount among them.
fn while_busy(act: impl Fn() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    for _ in 0..100 {
        match act() {
            Err(rustix::io::Errno::BUSY) => std::thread::sleep(std::time::Duration::from_millis(10)),
            done => return done,
        }
    }
    act()
}

/// Says why there is no such oracle here.
fn missing() -> Option<String> {
    let tmpfs = match Tmpfs::new() {
        Ok(tmpfs) => tmpfs,
        Err(error) => return Some(format!("mounting a tmpfs (as root only): {error}")),
    };
    let mounted = Kernel::new(&tmpfs, 1);
    mounted.err().map(|error| format!("mounting an overlay on a tmpfs: {error}"))
}

/// Ours, with the upper on the same tmpfs or in memory.
fn ours(upper: &Arc<dyn FileSystem>, tmpfs: &Tmpfs, lowers: usize) -> Side {
    let lower = |number| Disk::read_only(tmpfs.dir(&format!("lower{number}"))).unwrap();
    let lowers = (0..lowers).map(|number| Arc::new(lower(number)) as Arc<dyn FileSystem>);
    Side::new(Overlay::new(upper.clone(), lowers).unwrap().root().unwrap())
}

/// The kernel's handles do not follow a copy-up; only those that come after it are compared.
fn comparable(op: &Op) -> Option<Op> {
    Some(match op.clone() {
        Op::OpenDir { .. } => return None,
        Op::Open { path, options, slot, .. } => Op::Open { at: 0, path, options, slot },
        Op::AgeDir(_) => Op::AgeDir(0),
        Op::MakeDir(_, path) => Op::MakeDir(0, path),
        Op::RemoveDir(_, path) => Op::RemoveDir(0, path),
        Op::Unlink(_, path) => Op::Unlink(0, path),
        Op::Rename(_, from, _, to) => Op::Rename(0, from, 0, to),
        Op::Link(_, from, follow, _, to) => Op::Link(0, from, follow, 0, to),
        Op::Symlink(target, _, path) => Op::Symlink(target, 0, path),
        other => other,
    })
}

/// What the kernel shows. Its listings and its stat do not agree on a directory that was in the upper before the
/// first mount.
fn shown_by_kernel(side: &Side) -> Vec<Line> {
    let mut lines = Vec::new();
    snapshot(&*side.root, "", &mut lines);
    lines
}

/// The disk backend, through which the kernel is asked, makes no absolute links.
fn leads_out(op: &Op) -> bool {
    matches!(op, Op::Symlink(target, ..) if target.starts_with('/'))
}

fn without_absolute_links(seeds: &[Seed]) -> Vec<Seed> {
    let absolute = |seed: &Seed| matches!(seed, Seed::Symlink(target, _) if target.starts_with('/'));
    seeds.iter().filter(|seed| !absolute(seed)).cloned().collect()
}

/// The lines with, in place of the inode, the first line that has it.
fn grouped(mut lines: Vec<Line>) -> Vec<Line> {
    let mut first = HashMap::new();
    for (number, line) in (0..).zip(&mut lines) {
        line.inode = *first.entry(line.inode).or_insert(number);
    }
    lines
}

fn check_against_kernel(
    upper: &[Seed],
    lowers: &[Vec<Seed>],
    ops: &[Op],
    in_memory: bool,
) -> Result<(), TestCaseError> {
    let tmpfs = Tmpfs::new().unwrap();
    let upper = without_absolute_links(&seeds_for_upper(upper));
    for (number, seeds) in lowers.iter().enumerate() {
        sow(&*tmpfs.disk(&format!("lower{number}")).root().unwrap(), seeds);
    }
    sow(&*tmpfs.disk("upper").root().unwrap(), &upper);
    let our_upper: Arc<dyn FileSystem> = if in_memory { Arc::new(Memory::new()) } else { Arc::new(tmpfs.disk("ours")) };
    sow(&*our_upper.root().unwrap(), &upper);
    let kernel = Kernel::new(&tmpfs, lowers.len()).unwrap();
    let mut kernel = Some(kernel);
    let mut theirs = kernel.as_ref().unwrap().side();
    let mut ours_now = ours(&our_upper, &tmpfs, lowers.len());
    prop_assert_eq!(grouped(shown(&ours_now)), grouped(shown_by_kernel(&theirs)), "at first");
    for op in ops.iter().filter(|op| !leads_out(op)).filter_map(comparable) {
        if let Op::Remount = op {
            drop((ours_now, theirs, kernel.take()));
            kernel = Some(Kernel::new(&tmpfs, lowers.len()).unwrap());
            (ours_now, theirs) = (ours(&our_upper, &tmpfs, lowers.len()), kernel.as_ref().unwrap().side());
        }
        let (left, right) = (ours_now.apply(&op), theirs.apply(&op));
        if !either_error(&op, &left, &right) {
            prop_assert_eq!(left, right, "{:?}", op);
        }
        if let Op::Open { options: OpenOptions { access: Access { write: false, .. }, .. }, slot, .. } = op {
            (ours_now.files[slot], theirs.files[slot]) = (None, None);
        }
        prop_assert_eq!(grouped(shown(&ours_now)), grouped(shown_by_kernel(&theirs)), "{:?}", op);
    }
    drop((ours_now, theirs));
    Ok(())
}

/// Runs `check` on random input, or says why not.
fn compare_with(what: &str, usual: u32, check: impl Fn(Input) -> Result<(), TestCaseError>) {
    if let Some(reason) = missing() {
        eprintln!("SKIPPED: no comparison with {what}: {reason}");
        return;
    }
    let config = Config { cases: cases(usual), failure_persistence: None, ..Config::default() };
    let input = (layer(), vec(layer(), 1..4), vec(op(), 1..30), any::<bool>());
    TestRunner::new(config).run(&input, check).unwrap_or_else(|failure| panic!("{failure}"));
}

/// The upper, the lowers, the operations, and whether our upper is in memory.
type Input = (Vec<Seed>, Vec<Vec<Seed>>, Vec<Op>, bool);

#[test]
fn as_the_kernels_overlayfs() {
    compare_with("the kernel's overlayfs", 150, |(upper, lowers, ops, in_memory)| {
        check_against_kernel(&upper, &lowers, &ops, in_memory)
    });
}

#[test]
fn as_one_tree_on_a_tmpfs() {
    compare_with("the merged tree on a tmpfs", 150, |(upper, lowers, mut ops, _)| {
        ops.retain(|op| !leads_out(op));
        let lowers: Vec<_> = lowers.iter().map(|seeds| without_absolute_links(seeds)).collect();
        let tmpfs = Tmpfs::new().unwrap();
        let oracle = tmpfs.disk("oracle").root().unwrap();
        check_against_one_tree(&without_absolute_links(&upper), &lowers, &ops, &*oracle)
    });
}
