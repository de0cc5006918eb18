//! What a hostile guest, or a hostile neighbour on the disk, may try.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kitbag::wasi::{Errno, OFlags, Rights, WasiCtx, preview1};
use kitbag_fs::disk::Disk;
use kitbag_fs::memory::{Limits, Memory};
use kitbag_fs::mounts::Mounts;
use kitbag_fs::{Dir, FileSystem, Path, readonly};

use super::guest::{CREATE, Guest, NO_FLAGS, PLAIN, ROOT, files, on_each};

fn set_times(guest: &mut Guest, path: &str) -> Result<(), Errno> {
    let (at, len) = guest.path(path);
    preview1::path_filestat_set_times(&mut guest.memory, &mut guest.ctx, ROOT, 1, at, len, 1, 1, 1 | 4)
}

fn truncate(guest: &mut Guest, path: &str) -> Result<u32, Errno> {
    guest.open_with(ROOT, path, OFlags::TRUNC, Rights::FD_READ, NO_FLAGS)
}

/// Every road by which something could change.
fn change_everything(guest: &mut Guest) {
    let refused = [
        guest.create("d/f").map(drop),
        guest.create("d/new").map(drop),
        guest.open_with(ROOT, "d/new", CREATE, Rights::FD_READ, NO_FLAGS).map(drop),
        guest.open_with(ROOT, "d/f", PLAIN, Rights::FD_WRITE, NO_FLAGS).map(drop),
        truncate(guest, "d/f").map(drop),
        guest.mkdir("new"),
        guest.rmdir("empty"),
        guest.unlink("d/f"),
        guest.rename("d/f", "new"),
        guest.rename("d", "new"),
        guest.link("d/f", "new", false),
        guest.symlink("d/f", "new"),
        set_times(guest, "d/f"),
        set_times(guest, "d"),
    ];
    for (index, result) in refused.into_iter().enumerate() {
        assert_eq!(result, Err(Errno::Rofs), "{index}");
    }
    let fd = guest.open(ROOT, "d/f").unwrap();
    let Guest { memory, ctx } = guest;
    let by_handle = [
        preview1::fd_filestat_set_size(memory, ctx, fd, 0),
        preview1::fd_allocate(memory, ctx, fd, 0, 1000),
        preview1::fd_filestat_set_times(memory, ctx, fd, 1, 1, 1 | 4),
        preview1::fd_filestat_set_times(memory, ctx, ROOT, 1, 1, 1 | 4),
    ];
    for (index, result) in by_handle.into_iter().enumerate() {
        assert!(matches!(result, Err(Errno::Rofs | Errno::Badf)), "{index}: {result:?}");
    }
    assert_eq!(guest.write(fd, b"x"), Err(Errno::Notcapable));
}

#[test]
fn nothing_changes_through_a_read_only_mount() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("d")).unwrap();
    std::fs::create_dir_all(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("d/f"), "d/f").unwrap();
    let memory = files(&["d/f"]);
    memory.create_dirs(Path::new(b"empty").unwrap()).unwrap();
    let roots: [Arc<dyn Dir>; 3] = [
        Disk::read_only(folder.path()).unwrap().root().unwrap(),
        readonly::dir(Disk::read_write(folder.path()).unwrap().root().unwrap()),
        readonly::dir(memory.root().unwrap()),
    ];
    for root in roots {
        let mut guest = Guest::over(root);
        let before = [guest.stat("."), guest.stat("d"), guest.stat("d/f"), guest.stat("empty")];
        change_everything(&mut guest);
        assert_eq!(guest.contents("d/f").unwrap(), b"d/f");
        let after = [guest.stat("."), guest.stat("d"), guest.stat("d/f"), guest.stat("empty")];
        // Reading may set the time of the last read, on a disk that keeps it.
        let but_read = |stats: [_; 4]| {
            stats.map(|stat: Result<super::guest::Stat, _>| stat.map(|s| (s.size, s.links, s.times[1], s.times[2])))
        };
        assert_eq!(but_read(before), but_read(after));
    }
}

/// A folder that a guest gets, and one beside it that holds a secret.
fn folders() -> (tempfile::TempDir, Guest) {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    for (dir, text) in [(&inside, "public"), (&outside, "secret")] {
        std::fs::create_dir(dir).unwrap();
        std::fs::write(dir.join("f"), text).unwrap();
    }
    let guest = Guest::over(Disk::read_write(&inside).unwrap().root().unwrap());
    (folder, guest)
}

#[test]
fn links_on_the_disk_do_not_lead_out() {
    let (folder, mut guest) = folders();
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    symlink(outside.join("f"), inside.join("absolute")).unwrap();
    symlink("../outside/f", inside.join("relative")).unwrap();
    symlink("../outside", inside.join("dir")).unwrap();
    symlink("../outside/", inside.join("slash")).unwrap();
    symlink("../outside/new", inside.join("dangling")).unwrap();
    for path in ["absolute", "relative", "dir/f", "slash/f", "dir/", "slash", "dangling", "dir/new", "dir/../outside/f"]
    {
        assert_eq!(guest.stat(path), Err(Errno::Perm), "{path}");
        assert_eq!(guest.open(ROOT, path), Err(Errno::Perm), "{path}");
        let created = guest.create(path);
        assert!(matches!(created, Err(Errno::Perm | Errno::Isdir)), "{path}: {created:?}");
        assert!(truncate(&mut guest, path).is_err(), "{path}");
        assert_eq!(set_times(&mut guest, path), Err(Errno::Perm), "{path}");
        assert!(guest.link(path, "stolen", true).is_err(), "{path}");
    }
    for path in ["dir/new", "slash/new"] {
        assert_eq!((guest.mkdir(path), guest.rename("f", path)), (Err(Errno::Perm), Err(Errno::Perm)));
        assert_eq!((guest.unlink("dir/f"), guest.rename("dir/f", "stolen")), (Err(Errno::Perm), Err(Errno::Perm)));
    }
    assert_eq!(guest.readlink("relative", 100).unwrap(), b"../outside/f", "the link itself is the guest's to read");
    assert_eq!(std::fs::read_to_string(outside.join("f")).unwrap(), "secret");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn swapping_links_during_lookups_gives_no_way_out() {
    let (folder, mut guest) = folders();
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    std::fs::create_dir(inside.join("good")).unwrap();
    std::fs::write(inside.join("good/f"), "public").unwrap();
    let (stop, stopped) = (Arc::new(AtomicBool::new(false)), inside.clone());
    let swapper = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let (good, bad, place) = (stopped.join("to_good"), stopped.join("to_bad"), stopped.join("d"));
            while !stop.load(Ordering::Relaxed) {
                symlink("good", &good).unwrap();
                std::fs::rename(&good, &place).unwrap();
                symlink(&outside, &bad).unwrap();
                std::fs::rename(&bad, &place).unwrap();
            }
        }
    });
    let mut seen = 0;
    for _ in 0..3000 {
        match guest.open(ROOT, "d/f") {
            Ok(fd) => {
                assert_eq!(guest.read(fd, 100).unwrap(), b"public");
                guest.close(fd).unwrap();
                seen += 1;
            }
            Err(errno) => assert!(matches!(errno, Errno::Perm | Errno::Noent | Errno::Again), "{errno}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    eprintln!("{seen} of 3000 found the good one");
}

#[test]
fn inodes_and_bytes_run_out() {
    let memory = Memory::with_limits(Limits { bytes: 1000, inodes: 20 });
    let mut guest = Guest::over(memory.root().unwrap());
    let full = (0..).find_map(|n| guest.create(&format!("f{n}")).err());
    assert!(matches!(full, Some(Errno::Nospc | Errno::Dquot)), "{full:?}");
    let full = [guest.mkdir("d"), guest.symlink("a", "l"), guest.link("f0", "g", false)];
    assert!(full.iter().all(|full| matches!(full, Err(Errno::Nospc | Errno::Dquot))), "{full:?}");
    guest.unlink("f0").unwrap();
    guest.close(4).unwrap();
    assert_eq!(guest.mkdir("d"), Ok(()), "room again");
    let fd = guest.create("f1").unwrap();
    let written: u32 = std::iter::from_fn(|| guest.write(fd, &[7; 100]).ok()).take(100).sum();
    assert_eq!(written, 1000);
    assert!(matches!(guest.write(fd, b"x"), Err(Errno::Nospc | Errno::Dquot)));
    assert_eq!(guest.fstat(fd).unwrap().size, 1000);
}

#[test]
fn nothing_is_visible_unless_given() {
    let mut guest = Guest::new(WasiCtx::builder());
    for fd in 3..20 {
        assert_eq!(guest.open(fd, "."), Err(Errno::Badf));
        assert_eq!(guest.fdstat(fd), Err(Errno::Badf));
    }
    assert_eq!(guest.open(0, "."), Err(Errno::Notdir));
}

#[test]
fn a_directory_as_a_file_and_back() {
    on_each(|guest| {
        guest.mkdir("d").unwrap();
        guest.create("f").unwrap();
        let (dir, file) = (guest.open(ROOT, "d").unwrap(), guest.open(ROOT, "f").unwrap());
        assert_eq!((guest.read(dir, 1), guest.write(dir, b"x")), (Err(Errno::Isdir), Err(Errno::Badf)));
        assert_eq!((guest.readdir_raw(file, 100, 0), guest.open(file, ".")), (Err(Errno::Notdir), Err(Errno::Notdir)));
        guest.rmdir("d").unwrap();
        let fd = guest.create("d").unwrap();
        guest.write(fd, b"now a file").unwrap();
        assert_eq!(guest.open(dir, "x"), Err(Errno::Noent), "the handle is the directory that was");
        assert_eq!(guest.contents("d").unwrap(), b"now a file");
    });
}

#[test]
fn mounts_inside_mounts() {
    let at = |path: &str| Path::new(Box::leak(path.as_bytes().into())).unwrap();
    let single = files(&["host-name"]);
    let tree = Mounts::builder()
        .mount(Path::DOT, Arc::new(files(&["top", "a/hidden"])))
        .unwrap()
        .mount(at("a/b"), Arc::new(files(&["inner"])))
        .unwrap()
        .mount_file(at("etc/one"), single.root().unwrap(), b"host-name")
        .unwrap()
        .mount_file(at("etc/two"), single.root().unwrap(), b"host-name")
        .unwrap()
        .build();
    let mut guest = Guest::over(tree.root().unwrap());
    for (path, text) in [("top", "top"), ("a/hidden", "a/hidden"), ("a/b/inner", "inner"), ("a/b/../../top", "top")] {
        assert_eq!(guest.contents(path).unwrap(), text.as_bytes(), "{path}");
    }
    for path in ["etc/one", "etc/two"] {
        assert_eq!(guest.contents(path).unwrap(), b"host-name", "{path}");
    }
    let dir = guest.open(ROOT, "etc").unwrap();
    let names: Vec<_> = guest.readdir(dir, 4096).unwrap().into_iter().skip(2).map(|entry| entry.name).collect();
    assert_eq!(names.len(), 2, "what was given and nothing else: {names:?}");
    assert_eq!((guest.rmdir("a/b"), guest.rename("a/b", "c")), (Err(Errno::Busy), Err(Errno::Busy)));
    assert_eq!(
        (guest.rename("top", "a/b/top"), guest.link("top", "a/b/top", false)),
        (Err(Errno::Xdev), Err(Errno::Xdev))
    );
    assert_eq!(guest.stat("a/b/../../.."), Err(Errno::Perm));
}

#[test]
fn two_preopened_directories_are_apart() {
    let (one, two) = (files(&["f"]), files(&["g"]));
    let builder = WasiCtx::builder().preopen("/one", one.root().unwrap()).preopen("/two", two.root().unwrap());
    let mut guest = Guest::new(builder.preopen("/again", one.root().unwrap()));
    let mut rename = |to| {
        let ((at, len), (at2, len2)) = (guest.path("f"), guest.path2("h"));
        preview1::path_rename(&mut guest.memory, &mut guest.ctx, 3, at, len, to, at2, len2)
    };
    assert_eq!((rename(4), rename(5)), (Err(Errno::Xdev), Ok(())));
    assert!(guest.stat_in(3, "h", true).is_ok());
    assert_eq!(guest.stat_in(3, "../two/g", true), Err(Errno::Perm));
}
