//! Rename, and hard links.

use super::*;

fn lower() -> Arc<Memory> {
    memory(&[("dir/a", "a"), ("dir/sub/b", "b"), ("file", "file"), ("other", "other"), ("empty/", "")])
}

/// Every file there is, with its contents.
fn tree(dir: &dyn Dir, prefix: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for name in names(dir) {
        match dir.open(path(&name), OpenOptions::read()).unwrap() {
            crate::Node::Dir(inner) => {
                lines.push(format!("{prefix}{name}/"));
                lines.extend(tree(&*inner, &format!("{prefix}{name}/")));
            }
            crate::Node::File(file) => lines.push(format!("{prefix}{name} {}", text(&*file).unwrap())),
        }
    }
    lines
}

#[test]
fn a_lower_directory_moves_without_its_contents_being_copied() {
    let scene = over(&[lower(), memory(&[("dir/second", "2")])]);
    let inode = scene.stat("dir/sub/b").unwrap().inode;
    scene.rename("dir", "moved").unwrap();
    assert_eq!(scene.upper.used().bytes, 3, "the redirect alone");
    let moved =
        ["empty/", "file file", "moved/", "moved/a a", "moved/second 2", "moved/sub/", "moved/sub/b b", "other other"];
    assert_eq!(tree(&*scene.root, ""), moved);
    let scene = scene.restart();
    assert_eq!(tree(&*scene.root, ""), moved);
    assert_eq!(scene.stat("moved/sub/b").unwrap().inode, inode);
    scene.put("moved/sub/b", "B").unwrap();
    scene.rename("moved/sub", "empty/sub").unwrap();
    scene.rename("moved", "dir").unwrap();
    scene.unlink("dir/a").unwrap();
    let scene = scene.restart();
    assert_eq!(
        tree(&*scene.root, ""),
        ["dir/", "dir/second 2", "empty/", "empty/sub/", "empty/sub/b B", "file file", "other other"]
    );
}

#[test]
fn a_directory_takes_the_place_of_an_empty_one_and_merges_with_nothing_there() {
    let scene = over(&[memory(&[("full/x", "x"), ("target/y", "y"), ("new-lower/z", "z")])]);
    assert_eq!(scene.rename("full", "target"), Err(Error::NotEmpty));
    scene.unlink("target/y").unwrap();
    scene.rename("full", "target").unwrap();
    scene.mkdir("fresh").unwrap();
    scene.unlink("new-lower/z").unwrap();
    scene.rename("fresh", "new-lower").unwrap();
    let scene = scene.restart();
    assert_eq!(tree(&*scene.root, ""), ["new-lower/", "target/", "target/x x"]);
}

#[test]
fn a_lower_file_moves_onto_another() {
    let scene = over(&[lower()]);
    let inode = scene.stat("file").unwrap().inode;
    scene.rename("file", "other").unwrap();
    assert_eq!(scene.get("file"), Err(Error::NotFound));
    assert_eq!(scene.get("other"), Ok("file".into()));
    assert_eq!(scene.stat("other").unwrap().inode, inode);
    assert_eq!(scene.stat("other").unwrap().modified, LONG_AGO);
    let scene = scene.restart();
    assert_eq!(scene.get("other"), Ok("file".into()));
    scene.unlink("other").unwrap();
    assert_eq!(scene.restart().get("other"), Err(Error::NotFound));
}

#[test]
fn refusals() {
    let scene = over(&[lower()]);
    for (from, to, error) in [
        ("dir", "file", Error::NotDirectory),
        ("file", "dir", Error::IsDirectory),
        ("file", "empty", Error::IsDirectory),
        ("dir", "dir/sub/inside", Error::Invalid),
        ("dir/sub", "dir", Error::NotEmpty),
        ("dir/a", "dir", Error::NotEmpty),
        ("empty", "dir", Error::NotEmpty),
        ("nothing", "x", Error::NotFound),
        ("file/", "x", Error::NotDirectory),
        ("file", "x/", Error::NotDirectory),
        ("dir/.", "x", Error::Busy),
        ("dir", "empty/..", Error::Busy),
    ] {
        assert_eq!(scene.rename(from, to), Err(error), "{from} to {to}");
    }
    scene.rename("dir", "dir").unwrap();
    scene.rename("dir/", "new/").unwrap();
    let elsewhere = over(&[]);
    assert_eq!(scene.root.rename(path("file"), &*elsewhere.root, path("x")), Err(Error::CrossDevice));
    assert_eq!(scene.root.link(path("file"), Follow::No, &*elsewhere.root, path("x")), Err(Error::CrossDevice));
}

fn twins() -> Arc<Memory> {
    let lower = memory(&[("a", "twin"), ("dir/", "")]);
    let root = lower.root().unwrap();
    root.link(path("a"), Follow::No, &*root, path("dir/b")).unwrap();
    root.link(path("a"), Follow::No, &*root, path("c")).unwrap();
    lower
}

fn links(scene: &Scene, name: &str) -> (u64, u64) {
    let it = scene.stat(name).unwrap();
    (it.inode, it.links)
}

#[test]
fn lower_hard_links_survive_copy_up_and_a_restart() {
    let mut scene = over(&[twins()]);
    let (inode, _) = links(&scene, "a");
    for round in 0..2 {
        scene.put("a", &format!("written {round}")).unwrap();
        for name in ["a", "dir/b", "c"] {
            assert_eq!(scene.get(name), Ok(format!("written {round}")), "{name}");
            assert_eq!(links(&scene, name), (inode, 3), "{name}");
        }
        scene = scene.restart();
    }
    scene.put("dir/b", "by the second name").unwrap();
    assert_eq!(scene.get("c"), Ok("by the second name".into()));
    scene.unlink("a").unwrap();
    scene.link("c", "d").unwrap();
    scene.link("d", "e").unwrap();
    scene.put("e", "by a new name").unwrap();
    let scene = scene.restart();
    for name in ["dir/b", "c", "d", "e"] {
        assert_eq!(links(&scene, name), (inode, 4), "{name}");
        assert_eq!(scene.get(name), Ok("by a new name".into()), "{name}");
    }
}

#[test]
fn names_of_lower_hard_links_are_counted_without_copy_up_too() {
    let scene = over(&[twins()]);
    let open = scene.open("c", OpenOptions::read()).unwrap();
    scene.unlink("a").unwrap();
    assert_eq!(links(&scene, "c").1, 2);
    scene.put("file", "").unwrap();
    scene.rename("file", "dir/b").unwrap();
    assert_eq!((links(&scene, "c").1, open.metadata().unwrap().links), (1, 1));
    assert_eq!(scene.get("c"), Ok("twin".into()));
    let scene = scene.restart();
    assert_eq!(links(&scene, "c").1, 1);
    scene.unlink("c").unwrap();
    assert_eq!(
        names(
            &*scene
                .upper
                .root()
                .unwrap()
                .open(path(".kitbag-overlay/index"), OpenOptions::directory())
                .unwrap()
                .dir()
                .unwrap()
        ),
        [""; 0]
    );
}

#[test]
fn two_names_of_one_lower_file_do_not_replace_each_other() {
    let scene = over(&[twins()]);
    scene.rename("a", "dir/b").unwrap();
    assert_eq!((links(&scene, "a").1, scene.get("dir/b")), (3, Ok("twin".into())));
    scene.put("a", "up").unwrap();
    scene.rename("a", "dir/b").unwrap();
    assert_eq!((links(&scene, "a").1, scene.get("dir/b")), (3, Ok("up".into())));
}

#[test]
fn a_new_link_to_a_lower_file() {
    let scene = over(&[lower()]);
    let (inode, _) = links(&scene, "file");
    scene.link("file", "dir/link").unwrap();
    assert_eq!((links(&scene, "file"), links(&scene, "dir/link")), ((inode, 2), (inode, 2)));
    scene.put("dir/link", "both").unwrap();
    assert_eq!(scene.get("file"), Ok("both".into()));
    assert_eq!(scene.link("file", "other"), Err(Error::Exists));
    assert_eq!(scene.link("dir", "x"), Err(Error::NotPermitted));
    assert_eq!(scene.link("file", "x/"), Err(Error::NotFound));
    scene.unlink("file").unwrap();
    assert_eq!(links(&scene, "dir/link"), (inode, 1));
}

#[test]
fn an_upper_without_hard_links_parts_the_names() {
    let lower: Arc<dyn FileSystem> = twins();
    let overlay = Overlay::new(Arc::new(faulty::Faulty::without_links(Arc::new(Memory::new()))), [lower]).unwrap();
    let root = overlay.root().unwrap();
    let stat = |name| root.stat(path(name), Follow::No).unwrap();
    root.open(path("a"), OpenOptions::write()).unwrap().file().unwrap().write_at(b"A", 0).unwrap();
    assert_eq!(text(&*root.open(path("c"), OpenOptions::read()).unwrap().file().unwrap()), Ok("twin".into()));
    assert!(stat("a").inode != stat("c").inode);
    root.rename(path("a"), &*root, path("c")).unwrap();
    assert_eq!(text(&*root.open(path("c"), OpenOptions::read()).unwrap().file().unwrap()), Ok("Awin".into()));
}
