//! What handles see of copy-up, rename and removal.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

fn scene() -> Scene {
    over(&[memory(&[("dir/file", "lower"), ("dir/other", "other")])])
}

#[test]
fn a_handle_opened_before_a_copy_up_sees_what_is_written_after() {
    let scene = scene();
    let reader = scene.open("dir/file", OpenOptions::read()).unwrap();
    let before = reader.metadata().unwrap();
    let plain = scene.open("dir/file", OpenOptions { access: Access::default(), ..OpenOptions::read() }).unwrap();
    let writer = scene.open("dir/file", OpenOptions::write()).unwrap();
    writer.write_at(b"LOW", 0).unwrap();
    assert_eq!(text(&*reader), Ok("LOWer".into()));
    writer.append(&[std::io::IoSlice::new(b"!")]).unwrap();
    assert_eq!(reader.read_all().unwrap(), "LOWer!");
    assert_eq!(plain.metadata().unwrap().size, 6);
    assert_eq!(text(&*plain), Err(Error::BadHandle));
    let after = reader.metadata().unwrap();
    assert_eq!((before.inode, before.links, after.size), (after.inode, after.links, 6));
    assert_eq!(reader.write_at(b"x", 0), Err(Error::BadHandle));
    assert_eq!(reader.set_len(0), Err(Error::BadHandle));
}

#[test]
fn a_handle_opened_before_sees_truncation_rename_and_removal() {
    let scene = scene();
    let reader = scene.open("dir/file", OpenOptions::read()).unwrap();
    scene.put("dir/file", "new").unwrap();
    assert_eq!(text(&*reader), Ok("new".into()));
    scene.rename("dir/file", "moved").unwrap();
    scene.put("moved", "newer").unwrap();
    assert_eq!(text(&*reader), Ok("newer".into()));
    scene.unlink("moved").unwrap();
    scene.put("moved", "another").unwrap();
    assert_eq!((text(&*reader), reader.metadata().unwrap().links), (Ok("newer".into()), 0));
}

#[test]
fn a_handle_on_a_removed_lower_file() {
    let scene = scene();
    let reader = scene.open("dir/file", OpenOptions::read()).unwrap();
    scene.unlink("dir/file").unwrap();
    assert_eq!((text(&*reader), reader.metadata().unwrap().links), (Ok("lower".into()), 0));
    reader.set_times(SetTimes { accessed: SetTime::At(1), modified: SetTime::At(2) }).unwrap();
    let it = reader.metadata().unwrap();
    assert_eq!((it.accessed, it.modified, it.links, text(&*reader)), (1, 2, 0, Ok("lower".into())));
    assert_eq!(scene.names("dir"), ["other"]);
    let replaced = scene.open("dir/other", OpenOptions::read()).unwrap();
    scene.put("x", "x").unwrap();
    scene.rename("x", "dir/other").unwrap();
    assert_eq!((text(&*replaced), replaced.metadata().unwrap().links), (Ok("other".into()), 0));
}

#[test]
fn times_set_through_a_reading_handle_copy_up() {
    let scene = scene();
    let reader = scene.open("dir/file", OpenOptions::read()).unwrap();
    scene.rename("dir", "elsewhere").unwrap();
    reader.set_times(SetTimes { accessed: SetTime::Keep, modified: SetTime::At(7) }).unwrap();
    let it = scene.stat("elsewhere/file").unwrap();
    assert_eq!((it.accessed, it.modified, reader.metadata().unwrap().modified), (LONG_AGO, 7, 7));
    assert_eq!(scene.get("elsewhere/file"), Ok("lower".into()));
}

#[test]
fn directory_handles_follow_copy_up_and_rename() {
    let scene = scene();
    let dir = scene.dir("dir");
    let inode = dir.metadata().unwrap().inode;
    dir.open(path("new"), OpenOptions::write()).unwrap();
    assert_eq!(scene.names("dir"), ["file", "new", "other"]);
    scene.rename("dir", "moved").unwrap();
    scene.mkdir("dir").unwrap();
    dir.unlink(path("new")).unwrap();
    assert_eq!((scene.names("moved"), scene.names("dir").len()), (vec!["file".into(), "other".into()], 0));
    assert_eq!((dir.metadata().unwrap().inode, scene.stat("moved").unwrap().inode), (inode, inode));
    assert_eq!(dir.stat(path("../file"), Follow::No).err(), Some(Error::NotPermitted));
}

#[test]
fn a_handle_on_a_removed_lower_directory() {
    let scene = over(&[memory(&[("dir/", "")])]);
    let dir = scene.dir("dir");
    scene.rmdir("dir").unwrap();
    scene.mkdir("dir").unwrap();
    assert_eq!(dir.open(path("x"), OpenOptions::write()).err(), Some(Error::NotFound));
    assert_eq!((names(&*dir), dir.metadata().unwrap().links), (vec![], 0));
    dir.set_own_times(SetTimes { accessed: SetTime::At(1), modified: SetTime::At(2) }).unwrap();
    assert_eq!((dir.metadata().unwrap().modified, dir.metadata().unwrap().links), (2, 0));
    assert!(scene.stat("dir").unwrap().modified > LONG_AGO);
}

#[test]
fn a_tree_of_any_depth_is_let_go_of() {
    let scene = over(&[]);
    let mut dir = scene.root.clone();
    for _ in 0..50_000 {
        dir.create_dir(path("d")).unwrap();
        dir = dir.open(path("d"), OpenOptions::directory()).unwrap().dir().unwrap();
    }
    drop((dir, scene.root, scene.overlay));
}

#[test]
fn readers_see_a_file_whole_while_it_is_copied_up_and_replaced() {
    let scene = over(&[memory(&[("dir/file", &"a".repeat(9_000)), ("dir/next", &"b".repeat(9_000))])]);
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let all = scene.get("dir/file").unwrap();
                    assert!(all.len() == 9_000 && all.bytes().all(|byte| byte == all.as_bytes()[0]));
                    assert!(scene.names("dir").contains(&"file".to_string()));
                }
            });
        }
        for round in 0..100_u8 {
            scene.rename("dir/next", "dir/file").unwrap();
            let next = char::from(b'a' + round % 26).to_string();
            scene.put("dir/next", &next.repeat(9_000)).unwrap();
            if round % 2 == 0 {
                scene.open("dir/file", OpenOptions::write()).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// Threads that do anything at all, on a tree of two lowers. Whatever comes out is one tree, now and after a restart.
#[test]
fn many_threads_leave_one_tree() {
    let lower =
        || memory(&[("a/a/a", "1"), ("a/b", "2"), ("b/a", "3"), ("b/c/a", "4"), ("c/b/a", "5"), ("c/c", "-> b")]);
    let twins = lower();
    let root = twins.root().unwrap();
    root.link(path("a/b"), Follow::No, &*root, path("b/twin")).unwrap();
    let scene = over(&[twins, lower()]);
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let scene = &scene;
            threads.spawn(move || oracle::anything(&*scene.root, thread, 1_500));
        }
    });
    let unnumbered = |mut lines: Vec<oracle::Line>| {
        lines.iter_mut().for_each(|line| line.inode = 0);
        lines
    };
    let before = unnumbered(oracle::tree(&*scene.root));
    let scene = scene.restart();
    assert_eq!(unnumbered(oracle::tree(&*scene.root)), before);
}
