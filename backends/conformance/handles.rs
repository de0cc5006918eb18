//! What handles keep, and what the objects say of themselves.

use super::{Scene, at, names_in, text};
use crate::{Create, Error, Follow, Metadata, OpenOptions, Result, SetTime, SetTimes};

/// Files whose names go away.
pub(super) fn files(scene: &mut Scene<'_>) -> Result<()> {
    if !scene.can.handles_after_rename {
        return Ok(());
    }
    let file = scene.put("file", b"contents")?;
    scene.rename("file", "moved")?;
    scene.same("after rename", text(&*file), Ok("contents".into()));
    file.write_at(b"CON", 0)?;
    scene.same("written after rename", scene.get("moved"), Ok("CONtents".into()));
    scene.put("file", b"another")?;
    scene.dir.unlink(at("moved"))?;
    scene.same("after unlink", text(&*file), Ok("CONtents".into()));
    scene.same("links after unlink", file.metadata().map(|it| it.links), Ok(0));
    scene.same("writing after unlink", file.write_at(b"!", 8), Ok(1));
    scene.same("what was written", text(&*file), Ok("CONtents!".into()));
    scene.same("shared bytes after unlink", file.read_all().map(|all| all.to_vec()), Ok(b"CONtents!".to_vec()));
    scene.same("the one of the old name", scene.get("file"), Ok("another".into()));
    Ok(())
}

/// Directories whose names go away.
pub(super) fn directories(scene: &mut Scene<'_>) -> Result<()> {
    scene.mkdir("dir")?;
    scene.put("dir/x", b"x")?;
    let dir = scene.subdir("dir")?;
    let before = dir.list()?;
    scene.put("dir/y", b"y")?;
    scene.same("a snapshot stays", before.len(), 1);
    scene.same("a new one is new", names_in(&*dir), Ok(vec!["x".into(), "y".into()]));
    if !scene.can.handles_after_rename {
        return Ok(());
    }
    scene.mkdir("other")?;
    scene.rename("dir", "other/moved")?;
    let read = |path| dir.open(at(path), OpenOptions::read())?.file().and_then(|file| text(&*file));
    scene.same("a lookup after rename", read("x"), Ok("x".into()));
    dir.open(at("z"), OpenOptions::write())?;
    scene.same("names after rename", scene.names("other/moved"), Ok(vec!["x".into(), "y".into(), "z".into()]));
    scene.same("out of it", dir.stat(at(".."), Follow::Yes).map(|_| ()), Err(Error::NotPermitted));
    for name in ["x", "y", "z"] {
        dir.unlink(at(name))?;
    }
    scene.dir.remove_dir(at("other/moved"))?;
    removed(scene, &*dir);
    Ok(())
}

fn removed(scene: &mut Scene<'_>, dir: &dyn crate::Dir) {
    scene.same("names in a removed directory", names_in(dir), Ok(vec![]));
    scene.same("a lookup in it", dir.stat(at("x"), Follow::Yes).map(|_| ()), Err(Error::NotFound));
    let options = OpenOptions { create: Create::New, ..OpenOptions::write() };
    scene.same("a file made in it", dir.open(at("x"), options).map(|_| ()), Err(Error::NotFound));
    scene.same("a directory made in it", dir.create_dir(at("x")), Err(Error::NotFound));
    scene.holds("its metadata", dir.metadata().is_ok());
    let moved = scene.put("here", b"").and_then(|_| scene.dir.rename(at("here"), dir, at("there")));
    scene.same("a file moved into it", moved, Err(Error::NotFound));
    scene.same("as if it were a directory", scene.dir.rename(at("here"), dir, at("there/")), Err(Error::NotFound));
}

/// Inodes tell objects apart and go with them.
pub(super) fn inodes(scene: &mut Scene<'_>) -> Result<()> {
    if !scene.can.stable_inodes {
        return Ok(());
    }
    scene.put("a", b"")?;
    scene.put("b", b"")?;
    scene.mkdir("dir")?;
    let inode = |it: Result<Metadata>| it.map(|it| (it.inode, it.device));
    let [a, b, dir] = ["a", "b", "dir"].map(|name| inode(scene.stat(name)));
    scene.holds("three objects", a.is_ok() && a != b && b != dir && a != dir);
    scene.rename("a", "dir/a")?;
    scene.same("after rename", inode(scene.stat("dir/a")), a);
    scene.rename("dir", "moved")?;
    scene.same("of a directory after rename", inode(scene.stat("moved")), dir);
    scene.same("by a handle", inode(scene.open("moved/a", OpenOptions::read())?.metadata()), a);
    scene.same("by a handle of a directory", inode(scene.subdir("moved")?.metadata()), dir);
    let listing = scene.subdir("moved")?.list()?;
    scene.same("in a listing", listing.first().map(|entry| entry.inode), a.ok().map(|(inode, _)| inode));
    let device = |path| scene.stat(path).map(|it| it.device);
    let (root, below) = (device("."), device("moved/a"));
    scene.same("the device", root, below);
    Ok(())
}

const LONG_AGO: i128 = 1_000_000_000_000_000_000;
const THEN: i128 = 1_200_000_000_000_000_000;

/// Setting times, and what moves them.
pub(super) fn times(scene: &mut Scene<'_>) -> Result<()> {
    if !scene.can.times {
        return Ok(());
    }
    let both = SetTimes { accessed: SetTime::At(LONG_AGO), modified: SetTime::At(THEN) };
    let old = SetTimes { accessed: SetTime::At(LONG_AGO), modified: SetTime::At(LONG_AGO) };
    let shown = |it: Result<Metadata>| it.map(|it| (it.accessed, it.modified));
    let file = scene.put("file", b"x")?;
    scene.mkdir("dir")?;
    let dir = scene.subdir("dir")?;
    scene.same("by name", scene.dir.set_times(at("file"), Follow::Yes, both), Ok(()));
    scene.same("what was set", shown(scene.stat("file")), Ok((LONG_AGO, THEN)));
    let one = SetTimes { accessed: SetTime::At(THEN), modified: SetTime::Keep };
    scene.same("one of them, by handle", file.set_times(one), Ok(()));
    scene.same("what was set", shown(file.metadata()), Ok((THEN, THEN)));
    scene.same("of a directory by handle", dir.set_own_times(both), Ok(()));
    scene.same("what was set", shown(scene.stat("dir")), Ok((LONG_AGO, THEN)));
    let reader = scene.open("file", OpenOptions::read())?;
    scene.same("by a reader", reader.set_times(old), Ok(()));
    file.write_at(b"y", 0)?;
    scene.holds("writing moves it", file.metadata()?.modified > THEN);
    dir.set_own_times(old)?;
    dir.open(at("new"), OpenOptions::write())?;
    scene.holds("making a name moves the directory's", dir.metadata()?.modified > THEN);
    file.set_times(old)?;
    let now = SetTimes { accessed: SetTime::Keep, modified: SetTime::Now };
    scene.dir.set_times(at("file"), Follow::Yes, now)?;
    let it = file.metadata()?;
    scene.holds("the clock", it.modified > THEN && it.accessed == LONG_AGO && it.changed > THEN);
    scene.same("of nothing", scene.dir.set_times(at("nothing"), Follow::Yes, now), Err(Error::NotFound));
    link_times(scene, both)
}

fn link_times(scene: &mut Scene<'_>, both: SetTimes) -> Result<()> {
    if !scene.can.symlinks {
        return Ok(());
    }
    scene.symlink("file", "link")?;
    let before = scene.stat("file")?.modified;
    scene.same("of a link", scene.dir.set_times(at("link"), Follow::No, both), Ok(()));
    scene.same("what was set", scene.stat("link").map(|it| it.modified), Ok(THEN));
    scene.same("the file's stays", scene.stat("file").map(|it| it.modified), Ok(before));
    scene.dir.set_times(at("link"), Follow::Yes, both)?;
    scene.same("through a link", scene.stat("file").map(|it| it.modified), Ok(THEN));
    Ok(())
}
