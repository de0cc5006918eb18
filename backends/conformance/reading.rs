//! Reading, listing and resolving in the standard tree.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSliceMut;

use super::tree::{self, Item};
use super::{Scene, at, bytes, creating, text, with};
use crate::{Create, Dir, Error, File, FileType, Follow, Metadata, Node, OpenOptions, Opened, Path, Result};

/// Every item is there, is what it should be, and holds what it should hold.
pub(super) fn contents(scene: &mut Scene<'_>) -> Result<()> {
    for (name, item) in tree::items(scene.can) {
        let shown = String::from_utf8_lossy(&name).into_owned();
        let path = Path::new(&name)?;
        let stat = scene.dir.stat(path, Follow::No);
        match item {
            Item::Dir => scene.same(format_args!("stat {shown}"), stat.map(|it| it.kind), Ok(FileType::Directory)),
            Item::File(contents) => file(scene, &shown, path, &contents, stat),
            Item::HardLink(target) => twins(scene, &shown, target, stat),
            Item::Symlink(target) if missing_by_leave(scene, target, stat) => {}
            Item::Symlink(target) => {
                let it = stat.map(|it| (it.kind, it.size));
                scene.same(format_args!("stat {shown}"), it, Ok((FileType::Symlink, target.len() as u64)));
                scene.same(format_args!("read_link {shown}"), scene.dir.read_link(path), Ok(target.as_bytes().into()));
            }
        }
    }
    Ok(())
}

/// An absolute link that the backend refused to hold.
fn missing_by_leave(scene: &Scene<'_>, target: &str, stat: Result<Metadata>) -> bool {
    scene.can.writing && target.starts_with('/') && stat == Err(Error::NotFound)
}

fn file(scene: &mut Scene<'_>, shown: &str, path: &Path, contents: &[u8], stat: Result<Metadata>) {
    let size = contents.len() as u64;
    scene.same(format_args!("stat {shown}"), stat.map(|it| (it.kind, it.size)), Ok((FileType::File, size)));
    scene.holds(format_args!("links of {shown}"), stat.is_ok_and(|it| it.links >= 1));
    let open = || scene.dir.open(path, OpenOptions::read())?.file();
    let read = open().and_then(|file| bytes(&*file));
    let shared = open().and_then(|file| file.read_all()).map(|all| all.to_vec());
    let fstat = open().and_then(|file| file.metadata());
    scene.holds(format_args!("reading {shown}: {}", outcome(&read)), read.as_deref() == Ok(contents));
    scene.holds(format_args!("read_all of {shown}: {}", outcome(&shared)), shared.as_deref() == Ok(contents));
    if scene.can.stable_inodes {
        let it = |it: Result<Metadata>| it.map(|it| (it.inode, it.device, it.size, it.links));
        scene.same(format_args!("metadata of the handle on {shown}"), it(fstat), it(stat));
    }
}

fn outcome(read: &Result<Vec<u8>>) -> String {
    read.as_ref().map_or_else(ToString::to_string, |bytes| format!("{} bytes, or others", bytes.len()))
}

fn twins(scene: &mut Scene<'_>, shown: &str, target: &str, stat: Result<Metadata>) {
    let it = |it: Result<Metadata>| it.map(|it| (it.kind, it.inode, it.links));
    let other = it(scene.stat(target));
    scene.same(format_args!("stat {shown}, a hard link"), it(stat), other);
    scene.same("number of links", stat.map(|it| it.links), Ok(2));
}

/// Reading at offsets, in parts, and past the end.
pub(super) fn positions(scene: &mut Scene<'_>) -> Result<()> {
    let big = tree::big();
    let file = scene.open("big.bin", OpenOptions::read())?;
    let mut buffer = vec![0; 70_000];
    for (offset, length) in [(0, 1), (1, 70_000), (65_535, 3), (131_072, 65_537), (299_990, 70_000), (150_000, 0)] {
        let want = &big[offset..big.len().min(offset + length)];
        let got = file.read_at(&mut buffer[..length], offset as u64);
        scene.same(format_args!("read {length} at {offset}"), got, Ok(want.len()));
        scene.holds(format_args!("bytes of {length} at {offset}"), buffer[..want.len()] == *want);
    }
    for offset in [300_000, 300_001, 1 << 40, i64::MAX as u64, u64::MAX] {
        scene.same(format_args!("read at {offset}, past the end"), file.read_at(&mut buffer, offset), Ok(0));
    }
    vectored(scene, &*file, &big);
    let blind = scene.open("hello.txt", with(false, false))?;
    scene.same("reading without that access", blind.read_at(&mut buffer, 0), Err(Error::BadHandle));
    scene.same("metadata without any access", blind.metadata().map(|it| it.size), Ok(13));
    Ok(())
}

fn vectored(scene: &mut Scene<'_>, file: &dyn File, big: &[u8]) {
    let (mut a, mut b, mut c) = ([0; 10], [0; 0], [0; 100]);
    let got = file.read_vectored_at(&mut [&mut a[..], &mut b, &mut c].map(IoSliceMut::new), 299_950);
    scene.same("vectored read", got, Ok(50));
    scene.holds("vectored bytes", a == big[299_950..299_960] && c[..40] == big[299_960..]);
    let got = file.read_vectored_at(&mut [IoSliceMut::new(&mut a)], u64::MAX);
    scene.same("vectored read past the end", got, Ok(0));
    scene.same("vectored read into nothing", file.read_vectored_at(&mut [], 0), Ok(0));
}

/// Each directory lists exactly its children, as what they are.
pub(super) fn listings(scene: &mut Scene<'_>) -> Result<()> {
    for (path, mut want) in expected(scene) {
        let shown = String::from_utf8_lossy(&path).into_owned();
        let dir = scene.dir.open(Path::new(&path)?, OpenOptions::directory())?.dir()?;
        let listing = dir.list()?;
        if scene.can.writing && path == b"links" && dir.stat(at("absolute"), Follow::No) == Err(Error::NotFound) {
            want.retain(|name| name != b"absolute");
        }
        let got: BTreeSet<_> = listing.iter().map(|entry| entry.name.to_vec()).collect();
        scene.same(format_args!("names twice in {shown}"), listing.len(), got.len());
        scene.holds(format_args!("names of {shown}: {got:?}"), got == want);
        for entry in listing.iter() {
            let stat = dir.stat(Path::new(&entry.name)?, Follow::No)?;
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            scene.same(format_args!("kind listed for {shown}/{name}"), entry.kind, stat.kind);
            if scene.can.stable_inodes {
                scene.same(format_args!("inode listed for {shown}/{name}"), entry.inode, stat.inode);
            }
        }
    }
    Ok(())
}

/// The names in each directory of the tree.
fn expected(scene: &Scene<'_>) -> BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> {
    let mut dirs = BTreeMap::from([(b".".to_vec(), BTreeSet::new())]);
    for (path, item) in tree::items(scene.can) {
        let (parent, name) = Path::new(&path).ok().and_then(Path::split_last).expect("items have names");
        dirs.entry(parent.as_bytes().to_vec()).or_insert_with(BTreeSet::new).insert(name.to_vec());
        if item == Item::Dir {
            dirs.entry(path.into_owned()).or_default();
        }
    }
    dirs
}

/// What opening answers.
pub(super) fn opening(scene: &mut Scene<'_>) -> Result<()> {
    let write_only = with(false, true);
    for (path, options, want) in [
        ("nothing", OpenOptions::read(), Error::NotFound),
        ("nothing/", OpenOptions::read(), Error::NotFound),
        ("nothing/x", OpenOptions::read(), Error::NotFound),
        ("nothing/x", OpenOptions::write(), Error::NotFound),
        ("hello.txt/", OpenOptions::read(), Error::NotDirectory),
        ("hello.txt/x", OpenOptions::read(), Error::NotDirectory),
        ("hello.txt/x", OpenOptions::write(), Error::NotDirectory),
        ("hello.txt/.", OpenOptions::read(), Error::NotDirectory),
        ("hello.txt/..", OpenOptions::read(), Error::NotDirectory),
        ("hello.txt", OpenOptions::directory(), Error::NotDirectory),
        ("hello.txt", creating(Create::New), Error::Exists),
        ("dir", creating(Create::New), Error::Exists),
        (".", creating(Create::New), Error::Exists),
        ("dir", creating(Create::IfMissing), Error::IsDirectory),
        ("dir", write_only, Error::IsDirectory),
        (".", write_only, Error::IsDirectory),
        ("dir/", OpenOptions::write(), Error::IsDirectory),
        ("new/", OpenOptions::write(), Error::IsDirectory),
        ("hello.txt", OpenOptions { truncate: true, ..OpenOptions::read() }, Error::Invalid),
        ("dir", OpenOptions { create: Create::IfMissing, ..OpenOptions::directory() }, Error::Invalid),
    ] {
        let got = scene.dir.open(at(path), options).map(|_| ());
        scene.same(format_args!("open {path} with {options:?}"), got, Err(want));
        let lazily = scene.dir.open_lazily(at(path), options).and_then(Opened::decide).map(|_| ());
        scene.same(format_args!("open {path} lazily with {options:?}"), lazily, Err(want));
    }
    let there = scene.open("hello.txt", creating(Create::IfMissing)).and_then(|file| text(&*file));
    scene.same("creating what is there, without writing", there, Ok("hello, world\n".into()));
    for path in ["dir", "dir/", "dir/.", ".", "dir/.."] {
        let got = scene.dir.open(at(path), OpenOptions::read()).and_then(|node| node.dir()).map(|_| ());
        scene.same(format_args!("open {path} as what it is"), got, Ok(()));
        let lazily = scene.dir.open_lazily(at(path), OpenOptions::read())?.decide().and_then(Node::dir).map(|_| ());
        scene.same(format_args!("open {path} lazily as what it is"), lazily, Ok(()));
    }
    if let Opened::Undecided(open) = scene.dir.open_lazily(at("hello.txt"), OpenOptions::read())? {
        let told = open.decide_by_metadata().map(|(node, it)| (matches!(node, Node::File(_)), it.kind, it.size));
        scene.same("opening a file lazily, and asking what it is", told, Ok((true, FileType::File, 13)));
    }
    let lazily = scene.dir.open_lazily(at("hello.txt"), OpenOptions::read())?.decide()?.file();
    scene.same("opening a file lazily", lazily.and_then(|file| text(&*file)), Ok("hello, world\n".into()));
    scene.same("read_link of a file", scene.dir.read_link(at("hello.txt")), Err(Error::Invalid));
    scene.same("read_link of a directory", scene.dir.read_link(at("dir")), Err(Error::Invalid));
    scene.same("read_link of nothing", scene.dir.read_link(at("nothing")), Err(Error::NotFound));
    Ok(())
}

/// Dots, slashes and the top.
pub(super) fn resolution(scene: &mut Scene<'_>) -> Result<()> {
    for path in
        ["dir/one", "dir//one", "./dir/./one", "dir/nested/../one", "dir/nested/deep/../../one", "many/../dir/one"]
    {
        scene.same(path, scene.get(path), Ok("1".into()));
    }
    let nested = scene.subdir("dir/nested")?;
    let leaf = |dir: &dyn Dir, path| dir.open(at(path), OpenOptions::read())?.file().and_then(|file| text(&*file));
    scene.same("beneath a handle", leaf(&*nested, "deep/leaf"), Ok("leaf".into()));
    scene.same("beneath a handle, with ..", leaf(&*nested, "deep/../deep/leaf"), Ok("leaf".into()));
    for out in ["..", "../one", "deep/../..", "deep/../../one", "../nested/deep/leaf", "../../dir"] {
        let opened = nested.open(at(out), OpenOptions::read()).map(|_| ());
        scene.same(format_args!("open {out} out of a handle"), opened, Err(Error::NotPermitted));
        let stat = nested.stat(at(out), Follow::No).map(|_| ());
        scene.same(format_args!("stat {out} out of a handle"), stat, Err(Error::NotPermitted));
    }
    for (path, want) in [
        ("nothing/..", Error::NotFound),
        ("hello.txt/..", Error::NotDirectory),
        ("hello.txt/", Error::NotDirectory),
        ("dir/one/x", Error::NotDirectory),
        ("..", Error::NotPermitted),
    ] {
        scene.same(format_args!("stat {path}"), scene.stat(path).map(|_| ()), Err(want));
    }
    if scene.can.stable_inodes {
        let inode = |stat: Result<Metadata>| stat.map(|it| (it.inode, it.device));
        let dir = inode(scene.stat("dir"));
        for path in ["dir/", "dir/.", "dir/nested/..", "./dir"] {
            scene.same(format_args!("inode of {path}"), inode(scene.stat(path)), dir);
        }
        scene.same("inode of a handle", inode(scene.subdir("dir")?.metadata()), dir);
    }
    Ok(())
}

/// Where links lead, and where they do not.
pub(super) fn links(scene: &mut Scene<'_>) -> Result<()> {
    if !scene.can.symlinks {
        return Ok(());
    }
    for path in ["links/file", "links/chain", "links/hop", "links/dir/../hello.txt", "links/dot/dot/file"] {
        scene.same(path, scene.get(path), Ok("hello, world\n".into()));
    }
    for path in ["links/dir/one", "links/slashed/one", "links/dir//one"] {
        scene.same(path, scene.get(path), Ok("1".into()));
    }
    for (path, want) in [
        ("links/dangling", Error::NotFound),
        ("links/dangling/", Error::NotFound),
        ("links/absolute", Error::NotPermitted),
        ("links/loop", Error::Loop),
        ("links/ping", Error::Loop),
        ("links/loop/x", Error::Loop),
        ("links/file/", Error::NotDirectory),
        ("links/file/x", Error::NotDirectory),
    ] {
        if path != "links/absolute" || scene.stat(path).is_ok() {
            scene.same(format_args!("open {path}"), scene.get(path).map(|_| ()), Err(want));
            let stat = scene.dir.stat(at(path), Follow::Yes).map(|_| ());
            scene.same(format_args!("stat {path}, followed"), stat, Err(want));
        }
    }
    unfollowed(scene)?;
    let inside = scene.subdir("links")?;
    for path in ["file", "dir", "dir/one", "chain", "out"] {
        let got = inside.open(at(path), OpenOptions::read()).map(|_| ());
        scene.same(format_args!("{path}, a link out of a handle"), got, Err(Error::NotPermitted));
    }
    Ok(())
}

fn unfollowed(scene: &mut Scene<'_>) -> Result<()> {
    let no_follow = OpenOptions { follow: Follow::No, ..OpenOptions::read() };
    for (path, options, want) in [
        ("links/file", no_follow, Error::Loop),
        ("links/dir", no_follow, Error::Loop),
        ("links/dangling", no_follow, Error::Loop),
        ("links/dir", OpenOptions { directory: true, ..no_follow }, Error::NotDirectory),
        ("links/dangling", creating(Create::New), Error::Exists),
        ("links/file", creating(Create::New), Error::Exists),
    ] {
        let got = scene.dir.open(at(path), options).map(|_| ());
        scene.same(format_args!("open {path} with {options:?}"), got, Err(want));
        let lazily = scene.dir.open_lazily(at(path), options).and_then(Opened::decide).map(|_| ());
        scene.same(format_args!("open {path} lazily with {options:?}"), lazily, Err(want));
    }
    scene.same("a slash follows", scene.stat("links/dir/").map(|it| it.kind), Ok(FileType::Directory));
    let opened = scene.dir.open(at("links/dir/"), no_follow).and_then(|node| node.dir()).map(|_| ());
    scene.same("a slash follows when opening", opened, Ok(()));
    scene.same("read_link with a slash", scene.dir.read_link(at("links/dir/")), Err(Error::Invalid));
    let followed = scene.dir.stat(at("links/file"), Follow::Yes).map(|it| (it.kind, it.size));
    scene.same("stat of a link, followed", followed, Ok((FileType::File, 13)));
    Ok(())
}
