//! Removing what is in a lower, and making it again.

use super::*;

fn lower() -> Arc<Memory> {
    memory(&[("dir/a", "a"), ("dir/sub/b", "b"), ("file", "file")])
}

#[test]
fn a_directory_with_lower_entries_is_not_empty() {
    let scene = over(&[lower()]);
    assert_eq!(scene.rmdir("dir"), Err(Error::NotEmpty));
    scene.put("dir/new", "").unwrap();
    scene.unlink("dir/new").unwrap();
    assert_eq!(scene.rmdir("dir"), Err(Error::NotEmpty));
    scene.unlink("dir/a").unwrap();
    scene.unlink("dir/sub/b").unwrap();
    scene.rmdir("dir/sub").unwrap();
    assert_eq!(scene.names("dir"), [""; 0]);
    scene.rmdir("dir").unwrap();
    assert_eq!(scene.names("."), ["file"]);
    assert_eq!(scene.stat("dir").err(), Some(Error::NotFound));
    assert_eq!(scene.rmdir("dir"), Err(Error::NotFound));
}

#[test]
fn a_directory_made_again_is_empty_and_stays_so() {
    let mut scene = over(&[lower(), lower()]);
    for name in ["dir/a", "dir/sub/b"] {
        scene.unlink(name).unwrap();
    }
    scene.rmdir("dir/sub").unwrap();
    scene.rmdir("dir").unwrap();
    scene.mkdir("dir").unwrap();
    for _ in 0..2 {
        assert_eq!(scene.names("dir"), [""; 0]);
        assert_eq!(scene.get("dir/a"), Err(Error::NotFound));
        scene = scene.restart();
    }
    scene.put("dir/a", "again").unwrap();
    assert_eq!(scene.restart().names("dir"), ["a"]);
}

#[test]
fn whiteouts_survive_a_restart_and_can_be_written_over() {
    let scene = over(&[lower()]);
    scene.unlink("file").unwrap();
    assert_eq!(scene.unlink("file"), Err(Error::NotFound));
    let scene = scene.restart();
    assert_eq!(scene.get("file"), Err(Error::NotFound));
    assert_eq!(scene.names("."), ["dir"]);
    scene.open("file", OpenOptions { create: Create::New, ..OpenOptions::write() }).unwrap();
    assert_eq!(scene.get("file"), Ok(String::new()));
    scene.unlink("file").unwrap();
    scene.mkdir("file").unwrap();
    scene.rmdir("file").unwrap();
    scene.root.symlink(b"dir", path("file")).unwrap();
    assert_eq!(scene.names("file"), ["a", "sub"]);
    scene.unlink("file").unwrap();
    assert_eq!(scene.restart().names("."), ["dir"]);
}

#[test]
fn exclusive_creation_sees_lower_files_and_leaves_them_alone() {
    let scene = over(&[memory(&[("file", "kept"), ("link", "-> nowhere"), ("dir/", "")])]);
    for name in ["file", "link", "dir"] {
        let options = OpenOptions { create: Create::New, truncate: true, ..OpenOptions::write() };
        assert_eq!(scene.open(name, options).err(), Some(Error::Exists), "{name}");
        assert_eq!(scene.mkdir(name), Err(Error::Exists), "{name}");
        assert_eq!(scene.root.symlink(b"x", path(name)), Err(Error::Exists), "{name}");
    }
    assert_eq!(scene.get("file"), Ok("kept".into()));
    assert!(scene.upper_is_empty());
}

#[test]
fn creating_through_a_dangling_lower_link_makes_its_target() {
    let scene = over(&[memory(&[("dir/", ""), ("link", "-> dir/made")])]);
    scene.put("link", "text").unwrap();
    assert_eq!(scene.get("dir/made"), Ok("text".into()));
}

#[test]
fn removing_marks_the_directory_as_changed() {
    let scene = over(&[lower()]);
    scene.unlink("dir/a").unwrap();
    assert!(scene.stat("dir").unwrap().modified > LONG_AGO);
    assert_eq!(scene.stat("dir/sub").unwrap().modified, LONG_AGO);
}
