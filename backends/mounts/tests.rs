use super::*;
use crate::conformance::{Capabilities, check, tree};
use crate::memory::Memory;
use crate::{Bytes, Create, Node, OpenOptions, SetTime, SetTimes};

fn path(text: &str) -> &Path {
    Path::new(text.as_bytes()).unwrap()
}

/// A file system with these files, each holding its own path and then `tag`.
fn files(names: &[&str], tag: &str) -> Arc<Memory> {
    let memory = Memory::new();
    for name in names {
        memory.insert(path(name), Bytes::from(format!("{name}{tag}"))).unwrap();
    }
    Arc::new(memory)
}

fn build(mounts: &[(&str, &Arc<Memory>)]) -> Mounts {
    let mounts =
        mounts.iter().try_fold(Mounts::builder(), |it, (at, files)| it.mount(path(at), Arc::clone(files) as _));
    mounts.unwrap().build()
}

fn read(dir: &dyn Dir, at: &str) -> Result<String> {
    let bytes = dir.open(path(at), OpenOptions::read())?.file()?.read_all()?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

fn subdir(dir: &dyn Dir, at: &str) -> Arc<dyn Dir> {
    dir.open(path(at), OpenOptions::directory()).and_then(Node::dir).unwrap()
}

/// A directory that was made and removed and is still open.
fn removed(dir: &dyn Dir, at: &str) -> Arc<dyn Dir> {
    dir.create_dir(path(at)).unwrap();
    let removed = subdir(dir, at);
    dir.remove_dir(path(at)).unwrap();
    removed
}

fn names(dir: &dyn Dir, at: &str) -> Vec<String> {
    let listing = subdir(dir, at).list().unwrap();
    let mut names: Vec<_> = listing.iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect();
    names.sort();
    names
}

#[test]
fn one_mount_conforms() {
    assert_eq!(check(&build(&[(".", &files(&[], ""))]), Capabilities::ALL), []);
}

#[test]
fn beside_other_mounts_conforms() {
    let (outer, inner, deep) = (files(&[], ""), files(&[], ""), files(&[], ""));
    assert_eq!(check(&build(&[("z/y/x", &deep), (".", &outer), ("z/inner", &inner)]), Capabilities::ALL), []);
    let tree = build(&[(".", &files(&[], "")), ("z/y/x", &files(&[], "")), ("z/y/x/w/v", &files(&[], ""))]);
    assert_eq!(check(&Beneath(tree), Capabilities::ALL), []);
}

/// The root of a mount with another beneath it.
struct Beneath(Mounts);

impl FileSystem for Beneath {
    fn root(&self) -> Result<Arc<dyn Dir>> {
        self.0.root()?.open(path("z/y/x"), OpenOptions::directory())?.dir()
    }
}

#[test]
fn walking_conforms() {
    let mut builder = Mounts::builder();
    builder.0.always_walk = true;
    let tree = builder.mount(Path::DOT, files(&[], "")).unwrap().mount(path("z/y"), files(&[], "")).unwrap().build();
    assert_eq!(check(&tree, Capabilities::ALL), []);
}

#[test]
fn reading_conforms() {
    let memory = files(&[], "");
    tree::write_into(&*memory.root().unwrap(), Capabilities::ALL).unwrap();
    let view = Arc::new(crate::readonly::ReadOnly::new(memory));
    let tree = Mounts::builder().mount(path("at/some/place"), view).unwrap().build();
    let place = crate::subtree::Subtree::new(&tree, path("at/some/place")).unwrap();
    assert_eq!(check(&place, Capabilities::READ_ONLY), []);
}

#[test]
fn a_mount_hides_what_it_covers() {
    let outer = files(&["a/b/hidden", "a/seen", "top"], "");
    let tree = build(&[("a/b", &files(&["shown"], "!")), (".", &outer), ("made/up", &files(&["f"], ""))]);
    let root = tree.root().unwrap();
    assert_eq!(read(&*root, "a/b/shown"), Ok("shown!".into()));
    assert_eq!(read(&*root, "a/b/hidden"), Err(Error::NotFound));
    assert_eq!(read(&*root, "a/seen"), Ok("a/seen".into()));
    assert_eq!(read(&*root, "made/up/f"), Ok("f".into()));
    assert_eq!(names(&*root, "."), ["a", "made", "top"]);
    assert_eq!(names(&*root, "a"), ["b", "seen"]);
    assert_eq!(names(&*root, "a/b"), ["shown"]);
    assert_eq!(names(&*root, "made"), ["up"]);
}

#[test]
fn dots_lead_through_mounts_and_never_above_the_handle() {
    let tree = build(&[
        (".", &files(&["top", "a/side"], "")),
        ("a/b", &files(&["f", "d/g"], "")),
        ("x/y", &files(&["f"], "")),
    ]);
    let root = tree.root().unwrap();
    assert_eq!(read(&*root, "a/b/../side"), Ok("a/side".into()));
    assert_eq!(read(&*root, "a/b/d/../../../top"), Ok("top".into()));
    assert_eq!(read(&*root, "a/../x/y/../../a/b/d/g"), Ok("d/g".into()));
    assert_eq!(read(&*root, "a/b/../../../top"), Err(Error::NotPermitted));
    let a = subdir(&*root, "a");
    assert_eq!(read(&*a, "b/../side"), Ok("a/side".into()));
    assert_eq!(read(&*a, "../top"), Err(Error::NotPermitted));
    assert_eq!(read(&*a, "b/d/../../../top"), Err(Error::NotPermitted));
    let b = subdir(&*a, "b");
    assert_eq!(read(&*b, "d/../f"), Ok("f".into()));
    assert_eq!(read(&*b, "../side"), Err(Error::NotPermitted));
    assert_eq!(read(&*b, "d/../../side"), Err(Error::NotPermitted));
}

#[test]
fn links_mean_what_they_say_in_the_whole_tree() {
    let (outer, inner) = (files(&["m/hidden", "d/x"], ""), files(&["f"], ""));
    for (target, at) in [("m/f", "into"), ("../m", "d/dir"), ("../m/hidden", "d/covered"), ("/m/f", "absolute")] {
        outer.root().unwrap().symlink(target.as_bytes(), path(at)).unwrap();
    }
    inner.root().unwrap().symlink(b"../d/x", path("out")).unwrap();
    let root = build(&[("m", &inner), (".", &outer)]).root().unwrap();
    assert_eq!(read(&*root, "into"), Ok("f".into()));
    assert_eq!(read(&*root, "d/dir/f"), Ok("f".into()));
    assert_eq!(read(&*root, "d/covered"), Err(Error::NotFound));
    assert_eq!(read(&*root, "m/out"), Ok("d/x".into()));
    assert_eq!(read(&*root, "absolute"), Err(Error::NotPermitted));
    assert_eq!(read(&*subdir(&*root, "m"), "out"), Err(Error::NotPermitted));
    assert_eq!(read(&*subdir(&*root, "d"), "dir/f"), Err(Error::NotPermitted));
    assert_eq!(root.stat(path("into"), Follow::No).unwrap().kind, FileType::Symlink);
    assert_eq!(root.stat(path("into"), Follow::Yes).unwrap().size, 1);
    assert_eq!(root.read_link(path("d/dir")), Ok(b"../m"[..].into()));
    let made = root.open(path("d/dir/new"), OpenOptions::write()).unwrap().file().unwrap();
    made.write_at(b"new", 0).unwrap();
    assert_eq!(read(&*inner.root().unwrap(), "new"), Ok("new".into()));
    root.unlink(path("d/dir/new")).unwrap();
    assert_eq!(read(&*inner.root().unwrap(), "new"), Err(Error::NotFound));
}

#[test]
fn mount_points_stay() {
    let outer = files(&["a/b/hidden", "f"], "");
    let tree = build(&[(".", &outer), ("a/b", &files(&[], "")), ("made/up", &files(&[], ""))]);
    let root = tree.root().unwrap();
    for point in ["a", "made", "made/"] {
        assert_eq!(root.rename(path(point), &*root, path("new")), Err(Error::Busy), "{point}");
    }
    for point in ["a/b", "a", "made", "made/up", "a/b/"] {
        assert_eq!(root.remove_dir(path(point)), Err(Error::Busy), "{point}");
        assert_eq!(root.unlink(path(point)), Err(Error::IsDirectory), "{point}");
        assert_eq!(root.create_dir(path(point)), Err(Error::Exists), "{point}");
        assert!(root.rename(path(point), &*root, path("new")).is_err(), "{point}");
        assert!(root.rename(path("f"), &*root, path(point)).is_err(), "{point}");
    }
    let gone = removed(&*root, "gone");
    assert_eq!(root.rename(path("a"), &*gone, path("new")), Err(Error::NotFound));
    assert_eq!(root.create_dir(path("made/new")), Err(Error::ReadOnly));
    assert_eq!(root.open(path("made/new"), OpenOptions::write()).map(|_| ()), Err(Error::ReadOnly));
    assert_eq!(root.unlink(path("made/new")), Err(Error::NotFound));
    assert_eq!(subdir(&*root, "made").set_own_times(SetTimes::default()), Err(Error::ReadOnly));
}

#[test]
fn between_mounts_nothing_moves() {
    let shared = files(&["f", "d/g"], "");
    let root = build(&[(".", &files(&["f"], "")), ("a", &shared), ("b", &shared)]).root().unwrap();
    for (from, to) in [("f", "a/new"), ("a/f", "new"), ("a/f", "b/new"), ("a/d", "b/d2")] {
        assert_eq!(root.rename(path(from), &*root, path(to)), Err(Error::CrossDevice), "{from} {to}");
    }
    assert_eq!(root.link(path("a/f"), Follow::No, &*root, path("b/new")), Err(Error::CrossDevice));
    let (a, b) = (subdir(&*root, "a"), subdir(&*root, "b"));
    assert_eq!(a.rename(path("f"), &*b, path("new")), Err(Error::CrossDevice));
    assert_eq!(a.link(path("f"), Follow::No, &*b, path("new")), Err(Error::CrossDevice));
    // As in the kernel, a new name is looked for before a link is judged, and after a rename is.
    let gone = removed(&*root, "b/gone");
    assert_eq!(a.link(path("f"), Follow::No, &*gone, path("new")), Err(Error::NotFound));
    assert_eq!(a.rename(path("f"), &*gone, path("new")), Err(Error::CrossDevice));
    assert_eq!(a.rename(path("f"), &*root, path("a/new")), Ok(()));
    assert_eq!(root.rename(path("a/new"), &*subdir(&*a, "d"), path("f")), Ok(()));
    assert_eq!(read(&*root, "a/d/f"), Ok("f".into()));
}

#[test]
fn inodes_agree() {
    let memory = files(&["f"], "");
    let tree = build(&[(".", &files(&["x/y"], "")), ("a/b/c", &memory), ("x/z", &memory)]);
    let root = tree.root().unwrap();
    for at in [".", "a", "a/b", "x"] {
        let dir = subdir(&*root, at);
        for entry in dir.list().unwrap().iter() {
            let stat = dir.stat(Path::new(&entry.name).unwrap(), Follow::No).unwrap();
            assert_eq!((entry.inode, entry.kind), (stat.inode, stat.kind), "{at}");
        }
        let (own, named) = (dir.metadata().unwrap(), root.stat(path(at), Follow::No).unwrap());
        assert_eq!((own.inode, own.device), (named.inode, named.device), "{at}");
    }
    let inode = |at| root.stat(path(at), Follow::No).map(|it| (it.device, it.inode));
    assert_eq!(inode("a/b/c"), memory.root().unwrap().metadata().map(|it| (it.device, it.inode)));
    assert_ne!(inode("a"), inode("a/b"));
    assert_eq!(inode("a/b/c/.."), inode("a/b"));
}

#[test]
fn files_are_mounted_one_by_one() {
    let folder = files(&["motd", "secret"], "");
    let dir = folder.root().unwrap();
    dir.symlink(b"motd", path("link")).unwrap();
    let mounts = Mounts::builder().mount_file(path("etc/motd"), Arc::clone(&dir), b"motd").unwrap();
    let mounts = mounts.mount_file(path("etc/link"), Arc::clone(&dir), b"link").unwrap();
    let tree = mounts.mount_file(path("etc/later"), Arc::clone(&dir), b"later").unwrap().build();
    let root = tree.root().unwrap();
    assert_eq!(names(&*root, "etc"), ["link", "motd"]);
    assert_eq!(read(&*root, "etc/motd"), Ok("motd".into()));
    assert_eq!(read(&*root, "etc/link"), Ok("motd".into()));
    assert_eq!(root.stat(path("etc/link"), Follow::No).unwrap().kind, FileType::File);
    assert_eq!(read(&*root, "etc/secret"), Err(Error::NotFound));
    assert_eq!(read(&*root, "etc/motd/../secret"), Err(Error::NotDirectory));
    assert_eq!(root.unlink(path("etc/motd")), Err(Error::Busy));
    assert_eq!(root.rename(path("etc/motd"), &*root, path("etc/new")), Err(Error::Busy));
    let times = SetTimes { accessed: SetTime::Keep, modified: SetTime::At(1_000_000_000) };
    assert_eq!(root.set_times(path("etc/motd"), Follow::No, times), Ok(()));
    assert_eq!(dir.stat(path("motd"), Follow::No).unwrap().modified, 1_000_000_000);
    let exclusive = OpenOptions { create: Create::New, ..OpenOptions::write() };
    assert_eq!(root.open(path("etc/motd"), exclusive).map(|_| ()), Err(Error::Exists));
    assert_eq!(read(&*root, "etc/later"), Err(Error::NotFound));
    root.open(path("etc/later"), OpenOptions::write()).unwrap();
    assert_eq!(names(&*root, "etc"), ["later", "link", "motd"]);
}

#[test]
fn contradictions() {
    let mounted = || Mounts::builder().mount(path("a/b"), files(&[], "")).unwrap();
    let folder = files(&["f"], "").root().unwrap();
    let refused = |it: Result<Builder>| it.err();
    assert_eq!(refused(mounted().mount(path("a//./b/"), files(&[], ""))), Some(Error::Exists));
    assert_eq!(refused(mounted().mount(path("a/../c"), files(&[], ""))), Some(Error::Invalid));
    assert_eq!(refused(mounted().mount_file(path("a"), Arc::clone(&folder), b"f")), Some(Error::IsDirectory));
    assert_eq!(refused(mounted().mount_file(Path::DOT, Arc::clone(&folder), b"f")), Some(Error::IsDirectory));
    assert_eq!(refused(mounted().mount_file(path("f"), Arc::clone(&folder), b"../f")), Some(Error::Invalid));
    assert_eq!(refused(mounted().mount_file(path("f"), Arc::clone(&folder), b"f/")), Some(Error::Invalid));
    let file = mounted().mount_file(path("f"), Arc::clone(&folder), b"f").unwrap();
    assert_eq!(refused(file.mount(path("f/x"), files(&[], ""))), Some(Error::NotDirectory));
}

/// Each link leads deeper, and the last one further than a stack reaches if it is walked or dropped recursively.
#[test]
fn as_deep_as_links_lead() {
    let memory = files(&[], "");
    let mut dir = memory.root().unwrap();
    let step = "a/".repeat(2000);
    for link in 0..36 {
        let target = format!("{step}l{}", link + 1);
        dir.symlink(target.as_bytes(), path(&format!("l{link}"))).unwrap();
        for _ in 0..2000 {
            dir.create_dir(path("a")).unwrap();
            dir = subdir(&*dir, "a");
        }
    }
    dir.create_dir(path("l36")).unwrap();
    let mut builder = Mounts::builder();
    builder.0.always_walk = true;
    let root = builder.mount(Path::DOT, memory).unwrap().build().root().unwrap();
    assert_eq!(root.stat(path("l0"), Follow::Yes).unwrap().kind, FileType::Directory);
}
