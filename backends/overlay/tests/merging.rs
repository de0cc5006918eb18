//! What shows of which layer.

use super::*;

#[test]
fn the_topmost_wins_and_directories_merge() {
    let scene = with_upper(
        memory(&[("file", "upper"), ("dir/u", "u"), ("dir/both", "upper")]),
        &[
            memory(&[("file", "first"), ("dir/both", "first"), ("dir/1", "1")]),
            memory(&[("dir/both", "second"), ("dir/2", "2"), ("only", "second")]),
        ],
    );
    assert_eq!(scene.get("file"), Ok("upper".into()));
    assert_eq!(scene.get("dir/both"), Ok("upper".into()));
    assert_eq!(scene.get("only"), Ok("second".into()));
    assert_eq!(scene.names("."), ["dir", "file", "only"]);
    assert_eq!(scene.names("dir"), ["1", "2", "both", "u"]);
}

#[test]
fn a_file_between_directories_ends_the_merge() {
    let layers = [memory(&[("x/a", "a")]), memory(&[("x", "file")]), memory(&[("x/b", "b")])];
    let scene = over(&layers);
    assert_eq!(scene.names("x"), ["a"]);
    let scene = over(&layers[1..]);
    assert_eq!(scene.get("x"), Ok("file".into()));
    assert_eq!(scene.get("x/b"), Err(Error::NotDirectory));
}

#[test]
fn reading_copies_nothing_up() {
    let scene = over(&[memory(&[("a/b/file", "text"), ("a/link", "-> b/file")])]);
    assert_eq!(scene.get("a/link"), Ok("text".into()));
    assert_eq!(&*scene.root.read_link(path("a/link")).unwrap(), b"b/file");
    scene.open("a/b/file", OpenOptions { create: Create::IfMissing, ..OpenOptions::read() }).unwrap();
    assert_eq!(
        scene.open("a/b/file", OpenOptions { create: Create::New, ..OpenOptions::write() }).err(),
        Some(Error::Exists)
    );
    assert_eq!(scene.names("a"), ["b", "link"]);
    assert_eq!(scene.upper.used(), Used { bytes: 0, inodes: 0 });
}

#[test]
fn copy_up_keeps_times_and_the_inode_of_all_it_touches() {
    let scene = over(&[memory(&[("a/b/file", "text"), ("a/b/link", "-> file")])]);
    let parts = ["a", "a/b", "a/b/file", "a/b/link"];
    let before = parts.map(|part| scene.stat(part).unwrap());
    assert!(before.iter().all(|it| it.modified == LONG_AGO));
    scene.open("a/b/file", OpenOptions::write()).unwrap();
    let both = SetTimes { accessed: SetTime::At(5), modified: SetTime::Keep };
    scene.root.set_times(path("a/b/link"), Follow::No, both).unwrap();
    let after = parts.map(|part| scene.stat(part).unwrap());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.inode, before.device, before.mode), (after.inode, after.device, after.mode));
        assert_eq!((after.modified, after.kind, after.size), (LONG_AGO, before.kind, before.size));
    }
    assert_eq!(after.map(|it| it.accessed), [LONG_AGO, LONG_AGO, LONG_AGO, 5]);
    let upper = scene.upper.root().unwrap();
    assert_eq!(upper.stat(path("a/b/file"), Follow::No).unwrap().size, 4);
    assert_eq!(scene.lowers[0].root().unwrap().stat(path("a/b/link"), Follow::No).unwrap().accessed, LONG_AGO);
}

#[test]
fn listings_and_stat_agree_on_inodes_and_no_two_objects_share_one() {
    let scene = with_upper(
        memory(&[("u", ""), ("d/u", "")]),
        &[memory(&[("d/1", ""), ("e/x", ""), ("f", "")]), memory(&[("d/2", ""), ("e/y", ""), ("g", "")])],
    );
    let check = |scene: &Scene| {
        let mut seen = std::collections::HashMap::new();
        for dir in [".", "d", "e"] {
            for entry in scene.dir(dir).list().unwrap().iter() {
                let name = format!("{dir}/{}", String::from_utf8_lossy(&entry.name));
                assert_eq!(entry.inode, scene.stat(&name).unwrap().inode, "{name}");
                assert_eq!(seen.insert(entry.inode, name.clone()), None, "{name}");
            }
        }
        seen
    };
    let before = check(&scene);
    for name in ["d/1", "d/2", "e/x", "f"] {
        scene.open(name, OpenOptions::write()).unwrap();
    }
    assert_eq!(check(&scene), before);
}

#[test]
fn a_failed_copy_up_leaves_nothing() {
    let upper = Arc::new(Memory::with_limits(Limits { bytes: 10_000, inodes: 100 }));
    let lower = memory(&[("dir/big", &"x".repeat(300_000))]);
    let scene = with_upper(upper, &[lower]);
    assert_eq!(scene.open("dir/big", OpenOptions::write()).err(), Some(Error::NoSpace));
    assert_eq!(scene.stat("dir/big").unwrap().size, 300_000);
    let upper = scene.upper.root().unwrap();
    assert_eq!(upper.stat(path("dir/big"), Follow::No).err(), Some(Error::NotFound));
    assert_eq!(scene.upper.used().bytes, 0);
}

#[test]
fn a_lower_file_that_is_emptied_is_not_copied_first() {
    let upper = Arc::new(Memory::with_limits(Limits { bytes: 10_000, inodes: 100 }));
    let scene = with_upper(upper, &[memory(&[("dir/big", &"x".repeat(300_000))])]);
    let access = Access { read: false, write: true };
    let options = OpenOptions { access, truncate: true, ..OpenOptions::read() };
    let file = scene.open("dir/big", options).unwrap();
    assert_eq!(file.write_at(b"new", 0), Ok(3));
    assert_eq!(scene.get("dir/big"), Ok("new".into()));
}

#[test]
fn holes_are_copied_as_holes() {
    let lower = memory(&[]);
    let file = lower.root().unwrap().open(path("sparse"), OpenOptions::write()).unwrap().file().unwrap();
    file.write_at(b"end", 5_000_000).unwrap();
    let scene = over(&[lower]);
    let copy = scene.open("sparse", OpenOptions::write()).unwrap();
    assert!(scene.upper.used().bytes < 300_000);
    let mut end = [0; 4];
    assert_eq!((copy.read_at(&mut end, 4_999_999), &end), (Ok(4), b"\0end"));
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let upper = memory(&[(".kitbag-overlay/work/7", "half a file"), (".kitbag-overlay/work/8/x", "")]);
    let scene = with_upper(upper, &[memory(&[("a", "a")])]);
    assert_eq!(scene.upper.used().bytes, 0);
    assert_eq!(scene.names("."), ["a"]);
}
