use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::conformance::{Capabilities, check, tree};
use crate::{Access, Error, FileType, Follow, OpenOptions, Path, SetTime, SetTimes};

fn path(text: &str) -> &Path {
    Path::new(text.as_bytes()).unwrap()
}

/// Resolves paths as on a kernel without `openat2`.
fn stepwise(path: &std::path::Path, write: bool) -> Disk {
    Disk::new(path, |_| Manner { write, openat2: false }).unwrap()
}

fn standard_tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    tree::write_to_host(folder.path(), Capabilities::ALL).unwrap();
    folder
}

#[test]
fn writing_conforms() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(check(&Disk::read_write(folder.path()).unwrap(), Capabilities::ALL), []);
}

#[test]
fn writing_step_by_step_conforms() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(check(&stepwise(folder.path(), true), Capabilities::ALL), []);
}

#[test]
fn reading_conforms() {
    let folder = standard_tree();
    assert_eq!(check(&Disk::read_only(folder.path()).unwrap(), Capabilities::READ_ONLY), []);
    assert_eq!(check(&stepwise(folder.path(), false), Capabilities::READ_ONLY), []);
}

/// Both ways of resolving.
fn both(path: &std::path::Path, write: bool) -> [Arc<dyn Dir>; 2] {
    let kernel = Disk::new(path, |manner| Manner { write, ..manner }).unwrap();
    [kernel.root().unwrap(), stepwise(path, write).root().unwrap()]
}

#[test]
fn links_that_others_plant_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::create_dir(&inside).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    symlink(&outside, inside.join("absolute")).unwrap();
    symlink("../out", inside.join("relative")).unwrap();
    symlink("/proc/self/cwd", inside.join("magic")).unwrap();
    let paths =
        ["absolute", "relative", "magic", "absolute/secret", "relative/secret", "relative/../in", "../out/secret"];
    for root in both(&inside, true) {
        for text in paths {
            let refused = |got: Result<()>| assert_eq!(got, Err(Error::NotPermitted), "{text}");
            refused(root.open(path(text), OpenOptions::read()).map(|_| ()));
            refused(root.stat(path(text), Follow::Yes).map(|_| ()));
            refused(root.set_times(path(text), Follow::Yes, SetTimes::default()));
            refused(root.link(path(text), Follow::Yes, &*root, path("gained")));
        }
        for through in ["absolute/new", "relative/new", "relative/secret"] {
            let refused = |got: Result<()>| assert_eq!(got, Err(Error::NotPermitted), "{through}");
            refused(root.open(path(through), OpenOptions::write()).map(|_| ()));
            refused(root.create_dir(path(through)));
            refused(root.unlink(path(through)));
            refused(root.remove_dir(path(through)));
            refused(root.symlink(b"x", path(through)));
            refused(root.read_link(path(through)).map(|_| ()));
            refused(root.rename(path(through), &*root, path("gained")));
            refused(root.rename(path("magic"), &*root, path(through)));
        }
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

/// Someone else exchanges a directory for a link out while we walk through it: nothing from outside is ever seen.
#[test]
fn a_race_wins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
    for dir in [inside.join("a/b"), inside.join("spare"), outside.join("b")] {
        std::fs::create_dir_all(dir).unwrap();
    }
    std::fs::write(outside.join("b/secret"), "secret").unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2000 {
                std::fs::rename(inside.join("a"), inside.join("aside")).unwrap();
                symlink(&outside, inside.join("a")).unwrap();
                std::fs::remove_file(inside.join("a")).unwrap();
                std::fs::rename(inside.join("aside/b"), inside.join("spare/b")).unwrap();
                std::fs::rename(inside.join("spare/b"), inside.join("aside/b")).unwrap();
                std::fs::rename(inside.join("aside"), inside.join("a")).unwrap();
            }
            over.store(true, Ordering::Relaxed);
        });
        for root in both(&inside, true) {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    for text in ["a/b/secret", "a/secret", "a/b/../b/secret", "a/b/../../../out/secret"] {
                        assert!(root.open(path(text), OpenOptions::read()).is_err(), "{text}");
                        assert!(root.stat(path(text), Follow::Yes).is_err(), "{text}");
                    }
                    _ = root.create_dir(path("a/b/made"));
                    _ = root.remove_dir(path("a/b/made"));
                }
            });
        }
    });
    assert_eq!(std::fs::read_dir(outside.join("b")).unwrap().count(), 1);
}

/// Someone else moves a directory out, and back in, while we go up from it: what is above it out there is never seen.
#[test]
fn what_is_moved_out_is_no_way_up() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
    for dir in [inside.join("a/b/c"), outside.clone()] {
        std::fs::create_dir_all(dir).unwrap();
    }
    std::fs::write(outside.join("secret"), "secret").unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..4000 {
                std::fs::rename(inside.join("a/b"), outside.join("b")).unwrap();
                std::fs::rename(outside.join("b"), inside.join("a/b")).unwrap();
            }
            over.store(true, Ordering::Relaxed);
        });
        for root in both(&inside, true) {
            let over = &over;
            scope.spawn(move || {
                let held = loop {
                    match root.open(path("a/b/c"), OpenOptions::directory()) {
                        Ok(held) => break held.dir().unwrap(),
                        Err(_) => std::thread::yield_now(),
                    }
                };
                while !over.load(Ordering::Relaxed) {
                    for text in ["a/b/../secret", "a/b/c/../../secret", "a/b/c/../../../out/secret"] {
                        assert!(root.open(path(text), OpenOptions::read()).is_err(), "{text}");
                        assert!(root.stat(path(text), Follow::Yes).is_err(), "{text}");
                        assert!(root.unlink(path(text)).is_err(), "{text}");
                    }
                    assert_eq!(held.stat(path("../../secret"), Follow::Yes), Err(Error::NotPermitted));
                }
            });
        }
    });
    assert!(outside.join("secret").exists());
}

#[test]
fn a_fifo_does_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    rustix::fs::mknodat(CWD, folder.path().join("fifo"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .unwrap();
    for root in both(folder.path(), true) {
        let writer = OpenOptions { access: Access { read: false, write: true }, ..OpenOptions::read() };
        assert_eq!(root.open(path("fifo"), writer).map(|_| ()), Err(Error::NoDevice));
        let reader = root.open(path("fifo"), OpenOptions::read()).unwrap().file().unwrap();
        assert_eq!(reader.metadata().unwrap().kind, FileType::Fifo);
        assert_eq!(reader.read_at(&mut [0; 8], 100), Ok(0));
        assert_eq!(reader.read_all().map(|_| ()), Err(Error::IllegalSeek));
        let writer = root.open(path("fifo"), writer).unwrap().file().unwrap();
        assert_eq!(reader.read_at(&mut [0; 8], 100), Err(Error::WouldBlock));
        assert_eq!(writer.write_at(b"hello", 1000), Ok(5));
        assert_eq!(reader.read_at(&mut [0; 8], 0), Ok(5));
    }
}

#[test]
fn read_only_is_a_property_of_the_object() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "contents").unwrap();
    let (view, real) = (Disk::read_only(folder.path()).unwrap(), Disk::read_write(folder.path()).unwrap());
    let (view, real) = (view.root().unwrap(), real.root().unwrap());
    assert_eq!(view.link(path("file"), Follow::No, &*real, path("way in")), Err(Error::ReadOnly));
    assert_eq!(real.link(path("file"), Follow::No, &*view, path("way in")), Err(Error::ReadOnly));
    assert_eq!(view.rename(path("file"), &*real, path("way in")), Err(Error::ReadOnly));
    assert_eq!(real.rename(path("file"), &*view, path("way in")), Err(Error::ReadOnly));
    let file = view.open(path("file"), OpenOptions::read()).unwrap().file().unwrap();
    let now = SetTimes { accessed: SetTime::Now, modified: SetTime::Now };
    assert_eq!(file.set_times(now), Err(Error::ReadOnly));
    assert_eq!(file.set_len(0), Err(Error::ReadOnly));
    assert_eq!(real.link(path("file"), Follow::No, &*real, path("copy")), Ok(()));
}

#[test]
fn what_the_kernel_writes_is_read_to_its_end() {
    let root = Disk::read_only("/proc/self").unwrap().root().unwrap();
    let status = root.open(path("status"), OpenOptions::read()).unwrap().file().unwrap();
    assert_eq!(status.metadata().unwrap().size, 0);
    assert!(status.read_all().unwrap().starts_with(b"Name:"));
}

#[test]
fn more_buffers_than_one_call_takes() {
    let folder = tempfile::tempdir().unwrap();
    let root = Disk::read_write(folder.path()).unwrap().root().unwrap();
    let file = root.open(path("file"), OpenOptions::write()).unwrap().file().unwrap();
    let bytes: Vec<u8> = (0..5000_u32).map(|number| (number % 251) as u8).collect();
    let parts: Vec<_> = bytes.chunks(2).map(std::io::IoSlice::new).collect();
    assert_eq!(file.write_vectored_at(&parts, 7), Ok(5000));
    let mut back = vec![0; 6000];
    let mut parts: Vec<_> = back.chunks_mut(2).map(std::io::IoSliceMut::new).collect();
    assert_eq!(file.read_vectored_at(&mut parts, 7), Ok(5000));
    assert_eq!(back[..5000], bytes);
}

#[test]
fn no_folder() {
    assert_eq!(Disk::read_only("/nothing/here").map(|_| ()), Err(Error::NotFound));
    assert_eq!(Disk::read_only("/proc/self/status").map(|_| ()), Err(Error::NotDirectory));
}

#[test]
fn a_file_that_changed_since_it_was_opened_is_read_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "contents").unwrap();
    let root = Disk::read_only(folder.path()).unwrap().root().unwrap();
    let file = root.open(path("file"), OpenOptions::read()).unwrap().file().unwrap();
    for contents in ["contents", "con", "", "grown to something longer", &"far beyond one page ".repeat(1000)] {
        std::fs::write(folder.path().join("file"), contents).unwrap();
        assert_eq!(file.read_all().unwrap(), contents);
    }
}
