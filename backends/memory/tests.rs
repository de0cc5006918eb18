use super::*;
use crate::conformance::{Capabilities, check};
use crate::{Dir, Follow};

fn path(text: &str) -> &Path {
    Path::new(text.as_bytes()).unwrap()
}

fn put(root: &dyn Dir, name: &str, bytes: &[u8]) -> Result<usize> {
    root.open(path(name), OpenOptions::write())?.file()?.write_at(bytes, 0)
}

#[test]
fn conforms() {
    assert_eq!(check(&Memory::new(), Capabilities::ALL), []);
}

#[test]
fn bytes_are_counted_and_given_back() {
    let files = Memory::with_limits(Limits { bytes: 200_000, inodes: 10 });
    let root = files.root().unwrap();
    assert_eq!(put(&*root, "a", &[1; 150_000]), Ok(150_000));
    assert_eq!(put(&*root, "b", &[1; 100_000]), Err(Error::NoSpace));
    assert_eq!(put(&*root, "b", &[1; 50_000]), Ok(50_000));
    assert_eq!(files.used(), Used { bytes: 200_000, inodes: 2 });
    assert_eq!(root.symlink(b"x", path("link")), Err(Error::NoSpace));
    let file = root.open(path("a"), OpenOptions::write()).unwrap().file().unwrap();
    file.set_len(70_000).unwrap();
    assert_eq!(files.used().bytes, 120_000);
    root.unlink(path("a")).unwrap();
    assert!(files.used().bytes > 50_000);
    drop(file);
    assert_eq!(files.used(), Used { bytes: 50_000, inodes: 1 });
}

#[test]
fn a_write_over_the_quota_is_short_and_then_refused() {
    let files = Memory::with_limits(Limits { bytes: 100_000, inodes: 2 });
    let root = files.root().unwrap();
    let file = root.open(path("a"), OpenOptions::write()).unwrap().file().unwrap();
    assert_eq!(file.write_at(&[1; 200_000], 0), Ok(65_536));
    assert_eq!(file.write_at(&[1; 200_000], 65_536), Err(Error::NoSpace));
    assert_eq!(file.write_at(&[1; 34_464], 65_536), Ok(34_464));
    assert_eq!(file.allocate(0, 1 << 50), Err(Error::NoSpace));
    assert_eq!(file.metadata().unwrap().size, 100_000);
    file.set_len(0).unwrap();
    assert_eq!(files.used().bytes, 0);
    file.set_len(1 << 50).unwrap();
    assert_eq!(file.read_all(), Err(Error::TooLarge));
    assert_eq!(files.used().bytes, 0);
}

#[test]
fn a_vectored_write_stops_where_the_quota_ends() {
    let files = Memory::with_limits(Limits { bytes: 65_546, inodes: 2 });
    let file = files.root().unwrap().open(path("a"), OpenOptions::write()).unwrap().file().unwrap();
    file.set_len(200_000).unwrap();
    let (first, second) = ([1; 70_000], [2; 10]);
    let parts = [std::io::IoSlice::new(&first), std::io::IoSlice::new(&second)];
    assert_eq!(file.write_vectored_at(&parts, 0), Ok(65_536));
    let mut after = [9; 10];
    assert_eq!(file.read_at(&mut after, 65_536), Ok(10));
    assert_eq!(after, [0; 10]);
}

#[test]
fn what_does_not_fit_is_not_inserted() {
    let files = Memory::with_limits(Limits { bytes: 10, inodes: 2 });
    assert_eq!(files.insert(path("a"), Bytes::from_static(b"more than ten bytes")), Err(Error::NoSpace));
    assert_eq!(files.used(), Used { bytes: 0, inodes: 0 });
    assert_eq!(files.insert(path("a"), Bytes::from_static(b"ten bytes.")), Ok(()));
}

#[test]
fn shared_bytes_are_shared_until_the_next_write() {
    let files = Memory::new();
    let asset = Bytes::from_static(b"an asset of the binary");
    files.insert(path("deep/er/asset"), asset.clone()).unwrap();
    assert_eq!(files.insert(path("deep/er/asset"), asset.clone()), Err(Error::Exists));
    let root = files.root().unwrap();
    let file = root.open(path("deep/er/asset"), OpenOptions::write()).unwrap().file().unwrap();
    assert_eq!(file.read_all().unwrap().as_ptr(), asset.as_ptr());
    file.write_at(b"AN", 0).unwrap();
    assert_eq!(asset, "an asset of the binary");
    let joined = file.read_all().unwrap();
    assert_eq!(joined, "AN asset of the binary");
    assert_eq!(file.read_all().unwrap().as_ptr(), joined.as_ptr());
    file.set_len(0).unwrap();
    assert_eq!((joined.len(), files.used().bytes), (22, 0));
}

#[test]
fn a_removed_directory_keeps_its_place_while_it_is_open() {
    let files = Memory::new();
    let root = files.root().unwrap();
    for round in 0..3 {
        root.create_dir(path("d")).unwrap();
        let held = root.open(path("d"), OpenOptions::directory()).unwrap().dir().unwrap();
        let again = held.open(path("."), OpenOptions::directory()).unwrap();
        root.remove_dir(path("d")).unwrap();
        root.create_dir(path("e")).unwrap();
        put(&*root, "e/x", b"").unwrap();
        assert_eq!(held.list().unwrap().len(), 0, "round {round}");
        assert_eq!(held.metadata().unwrap().links, 0);
        drop((held, again));
        root.unlink(path("e/x")).unwrap();
        root.remove_dir(path("e")).unwrap();
    }
    assert_eq!(files.used().inodes, 0);
}

#[test]
fn other_file_systems_are_other_devices() {
    let (a, b) = (Memory::new().root().unwrap(), Memory::new().root().unwrap());
    put(&*a, "x", b"").unwrap();
    assert_eq!(a.rename(path("x"), &*b, path("x")), Err(Error::CrossDevice));
    assert_eq!(a.link(path("x"), Follow::No, &*b, path("x")), Err(Error::CrossDevice));
    assert_ne!(a.metadata().unwrap().device, b.metadata().unwrap().device);
}

#[test]
fn listings_are_kept_until_the_names_change() {
    let root = Memory::new().root().unwrap();
    put(&*root, "b", b"").unwrap();
    put(&*root, "a", b"").unwrap();
    let first = root.list().unwrap();
    assert!(Arc::ptr_eq(&first, &root.list().unwrap()));
    put(&*root, "a", b"contents do not matter").unwrap();
    assert!(Arc::ptr_eq(&first, &root.list().unwrap()));
    root.rename(path("a"), &*root, path("c")).unwrap();
    let names: Vec<_> = root.list().unwrap().iter().map(|entry| entry.name.clone()).collect();
    assert_eq!(names, [b"b"[..].into(), b"c"[..].into()]);
}

#[test]
fn inodes_are_counted() {
    let files = Memory::with_limits(Limits { bytes: 100, inodes: 3 });
    let root = files.root().unwrap();
    put(&*root, "a", b"").unwrap();
    root.link(path("a"), Follow::No, &*root, path("b")).unwrap();
    root.create_dir(path("d")).unwrap();
    assert_eq!(root.create_dir(path("e")), Err(Error::NoSpace));
    assert_eq!(root.link(path("a"), Follow::No, &*root, path("c")), Err(Error::NoSpace));
    assert_eq!(root.symlink(b"x", path("c")), Err(Error::NoSpace));
    assert_eq!(put(&*root, "c", b""), Err(Error::NoSpace));
    root.unlink(path("a")).unwrap();
    assert_eq!(files.used().inodes, 2);
    let held = root.open(path("b"), OpenOptions::read()).unwrap();
    root.unlink(path("b")).unwrap();
    assert_eq!(files.used().inodes, 2);
    drop(held);
    root.remove_dir(path("d")).unwrap();
    assert_eq!(files.used(), Used { bytes: 0, inodes: 0 });
}

/// Threads make, move, open and remove the same few names. What they are told does not matter; that nothing breaks, is
/// leaked or hangs does.
#[test]
fn threads_in_each_others_way() {
    let files = Memory::new();
    let root = files.root().unwrap();
    std::thread::scope(|scope| {
        for seed in 1..=4_u64 {
            let root = &root;
            scope.spawn(move || tangle(&**root, seed));
        }
    });
    remove_all(&*root);
    assert_eq!(files.used(), Used { bytes: 0, inodes: 0 });
}

fn tangle(root: &dyn Dir, mut random: u64) {
    let mut held = Vec::new();
    for round in 0..4000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick =
            |shift: u32| ["a", "b", "a/a", "a/b", "b/a", "a/b/a", "b/../a", "a/a/../b"][(random >> shift) as usize % 8];
        let (one, two) = (path(pick(40)), path(pick(50)));
        _ = match (random >> 33) % 9 {
            0 | 1 => root.create_dir(one),
            2 => root.remove_dir(one),
            3 => root.unlink(one),
            4 => root.rename(one, root, two),
            5 => root.link(one, Follow::No, root, two),
            6 => put(root, pick(40), &[7; 1000]).map(|_| ()),
            7 => root.open(one, OpenOptions::directory()).map(|node| held.push(node)),
            _ => root.open(one, OpenOptions::read()).and_then(|node| node.metadata()).map(|_| ()),
        };
        if round % 16 == 0 {
            held.clear();
        }
    }
}

fn remove_all(dir: &dyn Dir) {
    for entry in dir.list().unwrap().iter() {
        let name = Path::new(&entry.name).unwrap();
        if let Ok(Node::Dir(below)) = dir.open(name, OpenOptions::directory()) {
            remove_all(&*below);
            dir.remove_dir(name).unwrap();
        } else {
            dir.unlink(name).unwrap();
        }
    }
}

/// Names that come, go and move, among them directories that are not empty; now and then enough lookups that all paths are found out
/// again. What is noted is never wrong, and whole after that.
#[test]
fn paths_lead_where_names_do() {
    let files = Memory::new();
    let root = files.root().unwrap();
    let mut state = 1u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut noted, mut moved) = (0, 0);
    for round in 0..4_000 {
        let mut spell = || {
            let names: Vec<_> = (0..=draw(3)).map(|_| ["a", "b", "c", "d"][draw(4) as usize]).collect();
            names.join("/")
        };
        let (from, to) = (spell(), spell());
        match draw(8) {
            0 | 1 => _ = root.create_dir(path(&from)),
            2 => _ = put(&*root, &from, b"x"),
            3 => _ = root.symlink(b"a/b", path(&from)),
            4 => _ = root.link(path(&from), Follow::No, &*root, path(&to)),
            5 => _ = root.unlink(path(&from)).or_else(|_| root.remove_dir(path(&from))),
            _ => moved += usize::from(root.rename(path(&from), &*root, path(&to)).is_ok()),
        }
        if let Ok(dir) = root.open(path(&from), OpenOptions::directory()).and_then(Node::dir) {
            let by_handle = dir.stat(path("a/b"), Follow::No).map(|it| it.inode);
            let by_path = root.stat(path(&format!("{from}/a/b")), Follow::No).map(|it| it.inode);
            assert_eq!(by_handle, by_path, "{from} in round {round}");
        }
        noted = noted.max(files.root.shared().read().check_paths());
        if draw(50) == 0 {
            let names = files.root.shared().read().names();
            (0..=names).for_each(|_| assert!(root.stat(path("./nowhere"), Follow::No).is_err()));
            assert_eq!(files.root.shared().read().check_paths(), names);
        }
    }
    assert!(noted > 20 && moved > 100, "{noted} names at most, {moved} moves");
}

/// A directory that is gone shares its path with another.
#[test]
fn what_is_gone_has_no_path() {
    let files = Memory::new();
    let root = files.root().unwrap();
    root.create_dir(path("a")).unwrap();
    let gone = root.open(path("a"), OpenOptions::directory()).unwrap().dir().unwrap();
    root.remove_dir(path("a")).unwrap();
    root.create_dir(path("a")).unwrap();
    put(&*root, "a/b", b"x").unwrap();
    assert_eq!(gone.stat(path("b"), Follow::Yes).unwrap_err(), Error::NotFound);
    assert!(root.stat(path("a/b"), Follow::Yes).is_ok());
}
