//! `rename`, with the answers and the precedence that Linux has.

use super::{Scene, at};
use crate::{Error, FileType, Result};

/// Files over files.
pub(super) fn files(scene: &mut Scene<'_>) -> Result<()> {
    scene.put("a", b"a")?;
    scene.put("b", b"b")?;
    scene.mkdir("dir")?;
    scene.same("a name nobody has", scene.rename("a", "c"), Ok(()));
    scene.same("its old name", scene.get("a"), Err(Error::NotFound));
    let replaced = scene.open("b", crate::OpenOptions::read())?;
    scene.same("over a file", scene.rename("c", "b"), Ok(()));
    scene.same("the new contents", scene.get("b"), Ok("a".into()));
    if scene.can.handles_after_rename {
        scene.same("the replaced file's handle", super::text(&*replaced), Ok("b".into()));
        scene.same("its links", replaced.metadata().map(|it| it.links), Ok(0));
    }
    scene.same("onto itself", scene.rename("b", "b"), Ok(()));
    scene.same("what is not there", scene.rename("nothing", "x"), Err(Error::NotFound));
    scene.same("into nothing", scene.rename("b", "nothing/x"), Err(Error::NotFound));
    scene.same("into a file", scene.rename("b", "b/x"), Err(Error::NotDirectory));
    scene.same("over a directory", scene.rename("b", "dir"), Err(Error::IsDirectory));
    scene.same("into a directory", scene.rename("b", "dir/b"), Ok(()));
    let sub = scene.subdir("dir")?;
    scene.same("from another handle", sub.rename(at("b"), &*scene.dir, at("back")), Ok(()));
    scene.same("names", scene.names("."), Ok(vec!["back".into(), "dir".into()]));
    scene.same("names", scene.names("dir"), Ok(vec![]));
    linked(scene)
}

fn linked(scene: &mut Scene<'_>) -> Result<()> {
    let dir = std::sync::Arc::clone(&scene.dir);
    if scene.can.hard_links {
        dir.link(at("back"), crate::Follow::No, &*dir, at("twin"))?;
        scene.same("over another name of the same file", scene.rename("back", "twin"), Ok(()));
        scene.holds("both names stay", scene.get("back").is_ok() && scene.get("twin").is_ok());
    }
    if scene.can.symlinks {
        scene.symlink("back", "link")?;
        scene.same("a link moves itself", scene.rename("link", "moved"), Ok(()));
        scene.same("its kind", scene.stat("moved").map(|it| it.kind), Ok(FileType::Symlink));
        scene.put("plain", b"plain")?;
        scene.same("over a link", scene.rename("plain", "moved"), Ok(()));
        scene.same("the link is replaced", scene.stat("moved").map(|it| it.kind), Ok(FileType::File));
        scene.same("what it led to stays", scene.get("back"), Ok("a".into()));
    }
    Ok(())
}

/// Directories over directories, and into themselves.
pub(super) fn directories(scene: &mut Scene<'_>) -> Result<()> {
    for dir in ["a", "a/b", "a/b/c", "empty", "full"] {
        scene.mkdir(dir)?;
    }
    scene.put("full/x", b"x")?;
    scene.put("a/b/leaf", b"leaf")?;
    scene.put("file", b"file")?;
    for (from, to, want) in [
        ("a", "a/b/new", Err(Error::Invalid)),
        ("a", "a/b", Err(Error::Invalid)),
        ("a", "a/new", Err(Error::Invalid)),
        ("a/b/c", "a", Err(Error::NotEmpty)),
        ("a/b", "a", Err(Error::NotEmpty)),
        ("file", "a", Err(Error::IsDirectory)),
        ("a/b/leaf", "a", Err(Error::NotEmpty)),
        ("a", "file", Err(Error::NotDirectory)),
        ("a", "full", Err(Error::NotEmpty)),
        ("a", "a", Ok(())),
        ("a/b", "empty", Ok(())),
        ("empty/", "a/moved/", Ok(())),
    ] {
        scene.same(format_args!("{from} to {to}"), scene.rename(from, to), want);
    }
    scene.same("what moved along", scene.get("a/moved/leaf"), Ok("leaf".into()));
    scene.same("..", scene.get("a/moved/c/../leaf"), Ok("leaf".into()));
    scene.same("names", scene.names("."), Ok(vec!["a".into(), "file".into(), "full".into()]));
    scene.same("names", scene.names("a"), Ok(vec!["moved".into()]));
    scene.same("now it fits below", scene.rename("full", "a/moved/c/full"), Ok(()));
    scene.same("names", scene.names("a/moved/c"), Ok(vec!["full".into()]));
    Ok(())
}

/// Names that are none.
pub(super) fn dots_and_slashes(scene: &mut Scene<'_>) -> Result<()> {
    scene.mkdir("dir")?;
    scene.mkdir("dir/sub")?;
    scene.put("file", b"file")?;
    for (from, to, want) in [
        (".", "x", Error::Busy),
        ("dir/.", "x", Error::Busy),
        ("dir/..", "x", Error::Busy),
        ("file", ".", Error::Busy),
        ("file", "dir/..", Error::Busy),
        ("file", "dir/.", Error::Busy),
        ("file/", "x", Error::NotDirectory),
        ("file", "x/", Error::NotDirectory),
        ("file", "dir/", Error::NotDirectory),
        ("nothing", "x/", Error::NotFound),
        ("../file", "x", Error::NotPermitted),
        ("file", "../x", Error::NotPermitted),
        ("file", "dir/../../x", Error::NotPermitted),
    ] {
        scene.same(format_args!("{from} to {to}"), scene.rename(from, to), Err(want));
    }
    scene.same("a directory to a name with a slash", scene.rename("dir/sub", "new/"), Ok(()));
    scene.same("names", scene.names("."), Ok(vec!["dir".into(), "file".into(), "new".into()]));
    Ok(())
}
