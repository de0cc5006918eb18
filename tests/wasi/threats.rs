//! What a hostile guest, or a hostile neighbour on the disk, may try. Each test that answers a line of the list below names it
//! after `Threat:`; those about one function lie with the other tests of it.
//!
//! | threat | test |
//! |---|---|
//! | trailing slash on a path or symlink target to escape | `links_on_the_disk_do_not_lead_out`, `links::links_lead_nowhere_outside` |
//! | symlink followed with create and write | the same, `links::loops_and_dangling_links` |
//! | symlink swapped during lookup | `swapping_links_during_lookups_gives_no_way_out` |
//! | absolute symlink targets | `links_on_the_disk_do_not_lead_out`, `links::links_lead_nowhere_outside` |
//! | `..` through a symlink | the same |
//! | truncating, hard link, rename and times through a read-only mount | `nothing_changes_through_a_read_only_mount` |
//! | renumber onto a preopen or itself | `descriptors::renumbering` |
//! | iovec ending exactly at the end of memory and one past it | `pointers::buffers`, `pointers::arrays_of_buffers` |
//! | iovec counts and lengths at 2³²−1 | the same, `files::too_many_buffers` |
//! | `random_get` and `fd_readdir` of 4 GiB | `clocks::random_bytes`, `readdir::what_cannot_be_listed` |
//! | write amplification through many iovecs | `files::the_quota_of_bytes_written` |
//! | descriptor and inode exhaustion | `descriptors::a_full_table_makes_nothing`, `sockets::a_full_table_accepts_nothing`, `inodes_and_bytes_run_out` |
//! | directory descriptor used as a file and back | `a_directory_as_a_file_and_back` |
//! | extreme timestamps | `files::times`, `names::extreme_times_by_path` |
//! | poll with zero, thousands, and past subscriptions | `poll::none_and_too_many`, `poll::thousands`, `poll::what_is_past_has_happened` |
//! | reads from standard input that take no more than asked | `streams::a_pipe_keeps_what_was_not_asked_for` |
//! | paths with NUL, non-UTF-8 bytes, 4,096 and 65,536 bytes | `opening::what_is_no_path`, `opening::names_need_not_be_utf8` |
//! | cookies of a directory changed between calls | `readdir::cookies_stay_while_the_directory_changes` |
//! | a guest that closes its standard streams | `a_guest_closes_its_standard_streams`; the command: `a_guest_that_closes_its_streams` |
//! | several file mounts under one parent | `several_files_under_one_parent`; the command: `files_of_one_folder_are_one_preopen` |
//! | mounts inside mounts | `mounts_inside_mounts`; the command: `mounts_nest_in_any_order` |
//! | the current directory is not visible unless asked for | `nothing_is_visible_unless_given`; the command: `nothing_is_visible_unless_asked_for` |

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kitbag::wasi::{Capture, Errno, Input, OFlags, Rights, WasiCtx, preview1};
use kitbag_fs::disk::Disk;
use kitbag_fs::memory::{Limits, Memory};
use kitbag_fs::mounts::Mounts;
use kitbag_fs::{Dir, FileSystem, Path, readonly};

use super::backends::{on_each, on_each_root, read_only, reading_root};
use super::guest::{CREATE, Guest, NO_FLAGS, PLAIN, ROOT, files};

fn set_times(guest: &mut Guest, path: &str) -> Result<(), Errno> {
    let (at, len) = guest.path(path);
    preview1::path_filestat_set_times(&mut guest.memory, &mut guest.ctx, ROOT, 1, at, len, 1, 1, 1 | 4)
}

fn truncate(guest: &mut Guest, path: &str) -> Result<u32, Errno> {
    guest.open_with(ROOT, path, OFlags::TRUNC, Rights::FD_READ, NO_FLAGS)
}

/// Every road by which something could change. Archives of files alone have no empty directory.
fn change_everything(guest: &mut Guest) {
    let removable = if guest.stat("empty").is_ok() { "empty" } else { "d" };
    let refused = [
        guest.create("d/f").map(drop),
        guest.create("d/new").map(drop),
        guest.open_with(ROOT, "d/new", CREATE, Rights::FD_READ, NO_FLAGS).map(drop),
        guest.open_with(ROOT, "d/f", PLAIN, Rights::FD_WRITE, NO_FLAGS).map(drop),
        truncate(guest, "d/f").map(drop),
        guest.mkdir("new"),
        guest.rmdir(removable),
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

/// Threat: truncating, hard link, rename and times through a read-only mount.
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
    let (others, _folders): (Vec<_>, Vec<_>) = read_only().into_iter().map(|(_, root, folder)| (root, folder)).unzip();
    for root in roots.into_iter().chain(others) {
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

/// Threats: trailing slash on a path or symlink target to escape; symlink followed with create and write; absolute symlink
/// targets; `..` through a symlink. On the disk only: a neighbour makes them behind the guest's back.
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

/// Threat: symlink swapped during lookup. On the disk only, where somebody else can swap it.
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

/// In memory only: the others have the limits of the disk, or of what they lie over.
/// Threat: inode exhaustion.
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

/// Threat: the current directory is not visible unless asked for.
#[test]
fn nothing_is_visible_unless_given() {
    let mut guest = Guest::new(WasiCtx::builder());
    for fd in 3..20 {
        assert_eq!(guest.open(fd, "."), Err(Errno::Badf));
        assert_eq!(guest.fdstat(fd), Err(Errno::Badf));
    }
    assert_eq!(guest.open(0, "."), Err(Errno::Notdir));
}

/// Threat: directory descriptor used as a file and back.
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

/// A file system for a mount.
struct Rooted(Arc<dyn Dir>);

impl FileSystem for Rooted {
    fn root(&self) -> kitbag_fs::Result<Arc<dyn Dir>> {
        Ok(Arc::clone(&self.0))
    }
}

fn path(text: &'static str) -> &'static Path {
    Path::new(text.as_bytes()).unwrap()
}

/// Threat: mounts inside mounts.
#[test]
fn mounts_inside_mounts() {
    reading_root(|inner| {
        let tree = Mounts::builder()
            .mount(Path::DOT, Arc::new(files(&["top", "a/hidden", "a/b/covered"])))
            .unwrap()
            .mount(path("a/b"), Arc::new(Rooted(inner)))
            .unwrap()
            .mount(path("a/b/d/e"), Arc::new(files(&["innermost"])))
            .unwrap()
            .build();
        let mut guest = Guest::over(tree.root().unwrap());
        for (path, text) in [
            ("top", "top"),
            ("a/hidden", "a/hidden"),
            ("a/b/f", "f"),
            ("a/b/d/f", "d/f"),
            ("a/b/d/e/innermost", "innermost"),
            ("a/b/d/e/../../../../top", "top"),
        ] {
            assert_eq!(guest.contents(path).unwrap(), text.as_bytes(), "{path}");
        }
        assert_eq!(guest.stat("a/b/covered"), Err(Errno::Noent));
        for place in ["a/b", "a/b/d/e"] {
            for moved in [guest.rmdir(place), guest.rename(place, &format!("{place}c"))] {
                // What lies in a read-only mount is refused for that, whatever else it is.
                assert!(matches!(moved, Err(Errno::Busy | Errno::Rofs)), "{place}: {moved:?}");
            }
            let to = format!("{place}/top");
            let across = (guest.rename("top", &to), guest.link("top", &to, false));
            assert_eq!(across, (Err(Errno::Xdev), Err(Errno::Xdev)), "{place}");
        }
        assert_eq!(guest.stat("a/b/d/e/../../../../.."), Err(Errno::Perm));
        let dir = guest.open(ROOT, "a/b").unwrap();
        assert_eq!(guest.stat_in(dir, "..", true), Err(Errno::Perm), "not even to the outer mount");
    });
}

/// Threat: several file mounts under one parent.
#[test]
fn several_files_under_one_parent() {
    reading_root(|host| {
        let tree = Mounts::builder()
            .mount_file(path("etc/one"), Arc::clone(&host), b"f")
            .unwrap()
            .mount_file(path("etc/two"), Arc::clone(&host), b"f")
            .unwrap()
            .mount_file(path("etc/sub/three"), host, b"abcdef")
            .unwrap()
            .build();
        let mut guest = Guest::over(tree.root().unwrap());
        for (path, text) in [("etc/one", "f"), ("etc/two", "f"), ("etc/sub/three", "abcdef")] {
            assert_eq!(guest.contents(path).unwrap(), text.as_bytes(), "{path}");
        }
        let dir = guest.open(ROOT, "etc").unwrap();
        let mut names: Vec<_> = guest.readdir(dir, 4096).unwrap().into_iter().map(|entry| entry.name).collect();
        names.sort();
        assert_eq!(names, [&b"."[..], b"..", b"one", b"sub", b"two"], "what was given and nothing beside it");
        for beside in ["etc/abcdef", "etc/f", "etc/d", "etc/one/../abcdef", "etc/sub/f"] {
            assert!(matches!(guest.stat(beside), Err(Errno::Noent | Errno::Notdir)), "{beside}");
            assert!(guest.create(beside).is_err(), "{beside}");
        }
        assert!(guest.unlink("etc/one").is_err() && guest.rename("etc/one", "etc/two").is_err());
        assert_eq!(guest.contents("etc/two").unwrap(), b"f");
    });
}

/// Threat: a guest that closes its standard streams.
#[test]
fn a_guest_closes_its_standard_streams() {
    on_each_root(|root| {
        let (out, err) = (Capture::new(100), Capture::new(100));
        let streams = WasiCtx::builder().stdin(Input::new("secret")).stdout(out.clone()).stderr(err.clone());
        let mut guest = Guest::new(streams.preopen("/", root));
        for fd in 0..3 {
            assert_eq!((guest.close(fd), guest.close(fd)), (Ok(()), Err(Errno::Badf)));
        }
        let gone = (guest.read(0, 1), guest.write(1, b"x"), guest.write(2, b"x"));
        assert_eq!(gone, (Err(Errno::Badf), Err(Errno::Badf), Err(Errno::Badf)));
        assert_eq!([(); 3].map(|()| guest.create("f")), [Ok(0), Ok(1), Ok(2)], "what is opened next has their numbers");
        assert_eq!((guest.write(1, b"to "), guest.seek(2, 0, 2), guest.write(2, b"a file")), (Ok(3), Ok(3), Ok(6)));
        assert_eq!(guest.read(0, 99).unwrap(), b"to a file");
        assert_eq!((out.contents(), err.contents()), (vec![], vec![]), "and the host's streams get nothing of it");
    });
}

#[test]
fn two_preopened_directories_are_apart() {
    on_each_root(|one| {
        let two = files(&["g"]).root().unwrap();
        let builder = WasiCtx::builder().preopen("/one", Arc::clone(&one)).preopen("/two", two);
        let mut guest = Guest::new(builder.preopen("/again", one));
        guest.create("f").unwrap();
        let mut rename = |to| {
            let ((at, len), (at2, len2)) = (guest.path("f"), guest.path2("h"));
            preview1::path_rename(&mut guest.memory, &mut guest.ctx, 3, at, len, to, at2, len2)
        };
        assert_eq!((rename(4), rename(5)), (Err(Errno::Xdev), Ok(())));
        assert!(guest.stat_in(3, "h", true).is_ok());
        assert_eq!(guest.stat_in(3, "../two/g", true), Err(Errno::Perm));
    });
}

/// The list at the top of this file, which has all lines and names nothing that is gone.
#[test]
fn the_list_of_threats_names_tests() {
    let tests = [
        include_str!("clocks.rs"),
        include_str!("descriptors.rs"),
        include_str!("files.rs"),
        include_str!("links.rs"),
        include_str!("names.rs"),
        include_str!("opening.rs"),
        include_str!("pointers.rs"),
        include_str!("poll.rs"),
        include_str!("readdir.rs"),
        include_str!("sockets.rs"),
        include_str!("streams.rs"),
        include_str!("threats.rs"),
        include_str!("../cli/mounts.rs"),
        include_str!("../cli/status.rs"),
    ]
    .concat();
    let mut named = 0;
    let rows = include_str!("threats.rs").lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1);
    for row in rows {
        let (_, names) = row.split_once(" | ").unwrap();
        for name in names.split('`').skip(1).step_by(2) {
            let name = name.rsplit("::").next().unwrap();
            assert!(tests.contains(&format!("#[test]\nfn {name}() {{")), "{name}");
            named += 1;
        }
    }
    assert!(named > 22, "{named}");
}
