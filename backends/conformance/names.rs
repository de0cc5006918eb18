//! Making and removing names.

use super::{Scene, at, creating};
use crate::{Create, Error, FileType, Follow, OpenOptions, Result};

/// Every answer of `calls` that is not the one expected.
#[track_caller]
fn all<const N: usize>(
    scene: &mut Scene<'_>,
    what: &str,
    calls: [(&str, Result<()>); N],
    got: impl Fn(&str) -> Result<()>,
) {
    for (path, want) in calls {
        scene.same(format_args!("{what} {path}"), got(path), want);
    }
}

/// `create_dir` and `remove_dir`.
pub(super) fn directories(scene: &mut Scene<'_>) -> Result<()> {
    scene.put("file", b"")?;
    let dir = std::sync::Arc::clone(&scene.dir);
    let calls = [
        ("a", Ok(())),
        ("a", Err(Error::Exists)),
        ("a/", Err(Error::Exists)),
        ("a/b/", Ok(())),
        ("a/b/../c", Ok(())),
        ("x/y", Err(Error::NotFound)),
        ("file", Err(Error::Exists)),
        ("file/x", Err(Error::NotDirectory)),
        (".", Err(Error::Exists)),
        ("a/.", Err(Error::Exists)),
        ("a/..", Err(Error::Exists)),
        ("../x", Err(Error::NotPermitted)),
    ];
    all(scene, "create_dir", calls, |path| dir.create_dir(at(path)));
    scene.same("names", scene.names("a"), Ok(vec!["b".into(), "c".into()]));
    scene.same("a new directory", scene.names("a/b"), Ok(vec![]));
    let calls = [
        ("nothing", Err(Error::NotFound)),
        ("file", Err(Error::NotDirectory)),
        ("file/", Err(Error::NotDirectory)),
        ("a", Err(Error::NotEmpty)),
        ("a/b/.", Err(Error::Invalid)),
        ("a/b/..", Err(Error::NotEmpty)),
        (".", Err(Error::Invalid)),
        ("a/b/", Ok(())),
        ("a/c", Ok(())),
        ("a", Ok(())),
        ("a", Err(Error::NotFound)),
    ];
    all(scene, "remove_dir", calls, |path| dir.remove_dir(at(path)));
    scene.same("names", scene.names("."), Ok(vec!["file".into()]));
    Ok(())
}

/// Opening with creation.
pub(super) fn creating_files(scene: &mut Scene<'_>) -> Result<()> {
    scene.mkdir("dir")?;
    let dir = std::sync::Arc::clone(&scene.dir);
    let calls = [
        ("new", Ok(())),
        ("new", Err(Error::Exists)),
        ("dir", Err(Error::Exists)),
        ("dir/in", Ok(())),
        ("x/new", Err(Error::NotFound)),
        ("new/x", Err(Error::NotDirectory)),
        ("slash/", Err(Error::IsDirectory)),
        ("../out", Err(Error::NotPermitted)),
    ];
    all(scene, "open New", calls, |path| dir.open(at(path), creating(Create::New)).map(|_| ()));
    let calls =
        [("new", Ok(())), ("newer", Ok(())), ("dir", Err(Error::IsDirectory)), ("new/", Err(Error::IsDirectory))];
    all(scene, "open IfMissing", calls, |path| dir.open(at(path), creating(Create::IfMissing)).map(|_| ()));
    scene.same("names", scene.names("."), Ok(vec!["dir".into(), "new".into(), "newer".into()]));
    scene.same("kind", scene.stat("newer").map(|it| (it.kind, it.size, it.links)), Ok((FileType::File, 0, 1)));
    scene.put("new", b"something")?;
    let written = scene.open("new", OpenOptions::write()).and_then(|file| super::text(&*file));
    scene.same("opening for writing keeps contents", written, Ok("something".into()));
    let emptied = scene.open("new", OpenOptions { truncate: true, ..OpenOptions::write() });
    scene.same("truncation", emptied.and_then(|file| super::text(&*file)), Ok(String::new()));
    if scene.can.non_utf8_names {
        let name = crate::Path::new(b"\xc3\x28")?;
        scene.same("a name of bytes", dir.open(name, creating(Create::New)).map(|_| ()), Ok(()));
        scene.holds("a name of bytes, listed", dir.list()?.iter().any(|entry| *entry.name == *b"\xc3\x28"));
    }
    Ok(())
}

/// `unlink`.
pub(super) fn unlinking(scene: &mut Scene<'_>) -> Result<()> {
    scene.mkdir("dir")?;
    scene.put("file", b"x")?;
    scene.put("dir/file", b"x")?;
    let dir = std::sync::Arc::clone(&scene.dir);
    let calls = [
        ("nothing", Err(Error::NotFound)),
        ("nothing/", Err(Error::NotFound)),
        ("dir", Err(Error::IsDirectory)),
        ("dir/", Err(Error::IsDirectory)),
        (".", Err(Error::IsDirectory)),
        ("dir/..", Err(Error::IsDirectory)),
        ("file/", Err(Error::NotDirectory)),
        ("file/x", Err(Error::NotDirectory)),
        ("../file", Err(Error::NotPermitted)),
        ("dir/../file", Ok(())),
        ("file", Err(Error::NotFound)),
        ("dir/file", Ok(())),
    ];
    all(scene, "unlink", calls, |path| dir.unlink(at(path)));
    scene.same("names", scene.names("."), Ok(vec!["dir".into()]));
    scene.same("a name made again", scene.put("file", b"again").and_then(|_| scene.get("file")), Ok("again".into()));
    Ok(())
}

/// `symlink`, and names that are links.
pub(super) fn symlinks(scene: &mut Scene<'_>) -> Result<()> {
    if !scene.can.symlinks {
        return Ok(());
    }
    scene.mkdir("dir")?;
    scene.put("file", b"contents")?;
    let dir = std::sync::Arc::clone(&scene.dir);
    let calls = [
        ("link", Ok(())),
        ("link", Err(Error::Exists)),
        ("file", Err(Error::Exists)),
        ("dir", Err(Error::Exists)),
        ("dir/.", Err(Error::Exists)),
        ("new/", Err(Error::NotFound)),
        ("x/link", Err(Error::NotFound)),
        ("../link", Err(Error::NotPermitted)),
    ];
    all(scene, "symlink", calls, |path| dir.symlink(b"file", at(path)));
    scene.same("an empty target", scene.symlink("", "empty"), Err(Error::NotFound));
    scene.same("through it", scene.get("link"), Ok("contents".into()));
    absolute(scene)?;
    dangling(scene)?;
    scene.symlink("dir", "todir")?;
    let calls = [("todir", Err(Error::NotDirectory)), ("todir/", Err(Error::NotDirectory))];
    all(scene, "remove_dir of a link", calls, |path| dir.remove_dir(at(path)));
    let calls = [("todir/", Err(Error::NotDirectory)), ("todir", Ok(())), ("link", Ok(()))];
    all(scene, "unlink of a link", calls, |path| dir.unlink(at(path)));
    scene.same("what it led to stays", scene.get("file"), Ok("contents".into()));
    Ok(())
}

/// An absolute link is refused, at the latest when it is followed.
fn absolute(scene: &mut Scene<'_>) -> Result<()> {
    match scene.symlink("/file", "absolute") {
        Ok(()) => {
            scene.same("following an absolute link", scene.get("absolute"), Err(Error::NotPermitted));
            scene.same("its target", scene.dir.read_link(at("absolute")), Ok(b"/file"[..].into()));
        }
        refused => scene.same("an absolute link", refused, Err(Error::NotPermitted)),
    }
    scene.symlink("../file", "out")?;
    scene.same("a link out", scene.get("out"), Err(Error::NotPermitted));
    scene.same("its target", scene.dir.read_link(at("out")), Ok(b"../file"[..].into()));
    Ok(())
}

fn dangling(scene: &mut Scene<'_>) -> Result<()> {
    scene.symlink("dir/made", "dangling")?;
    scene.same("create_dir at a dangling link", scene.mkdir("dangling"), Err(Error::Exists));
    let exclusive = scene.open("dangling", creating(Create::New)).map(|_| ());
    scene.same("exclusive creation at one", exclusive, Err(Error::Exists));
    let no_follow = OpenOptions { follow: Follow::No, ..creating(Create::IfMissing) };
    scene.same("unfollowed creation at one", scene.open("dangling", no_follow).map(|_| ()), Err(Error::Loop));
    scene.same("nothing made yet", scene.names("dir"), Ok(vec![]));
    scene.same("creation through one", scene.put("dangling", b"through").map(|_| ()), Ok(()));
    scene.same("what was made", scene.get("dir/made"), Ok("through".into()));
    let long = "x".repeat(crate::NAME_MAX + 1);
    for (link, slash, created) in [("long", "", Error::NameTooLong), ("longer", "/", Error::IsDirectory)] {
        scene.symlink(&format!("{long}{slash}"), link)?;
        scene.same("following one to a long name", scene.get(link), Err(Error::NameTooLong));
        scene.same("creation through one to a long name", scene.put(link, b"").map(|_| ()), Err(created));
    }
    Ok(())
}

/// `link`.
pub(super) fn hard_links(scene: &mut Scene<'_>) -> Result<()> {
    let dir = std::sync::Arc::clone(&scene.dir);
    scene.put("file", b"shared")?;
    if !scene.can.hard_links {
        let got = dir.link(at("file"), Follow::No, &*dir, at("twin"));
        scene.same("link", got, Err(Error::NotSupported));
        return Ok(());
    }
    scene.mkdir("dir")?;
    let calls = [
        ("twin", Ok(())),
        ("twin", Err(Error::Exists)),
        ("dir", Err(Error::Exists)),
        ("dir/..", Err(Error::Exists)),
        ("new/", Err(Error::NotFound)),
        ("x/new", Err(Error::NotFound)),
        ("twin/x", Err(Error::NotDirectory)),
        ("../x", Err(Error::NotPermitted)),
    ];
    all(scene, "link to", calls, |to| dir.link(at("file"), Follow::No, &*dir, at(to)));
    let calls = [
        ("dir", Err(Error::NotPermitted)),
        (".", Err(Error::NotPermitted)),
        ("nothing", Err(Error::NotFound)),
        ("file/", Err(Error::NotDirectory)),
    ];
    all(scene, "link from", calls, |from| dir.link(at(from), Follow::No, &*dir, at("new")));
    let sub = scene.subdir("dir")?;
    scene.same("link to another handle", dir.link(at("file"), Follow::No, &*sub, at("third")), Ok(()));
    scene.same("links", scene.stat("dir/third").map(|it| it.links), Ok(3));
    scene.put("twin", b"through the twin")?;
    scene.same("one file", scene.get("dir/third"), Ok("through the twin".into()));
    dir.unlink(at("file"))?;
    scene.same("links after an unlink", scene.stat("twin").map(|it| it.links), Ok(2));
    if scene.can.symlinks {
        scene.symlink("twin", "soft")?;
        dir.link(at("soft"), Follow::Yes, &*dir, at("followed"))?;
        dir.link(at("soft"), Follow::No, &*dir, at("unfollowed"))?;
        scene.same("followed", scene.stat("followed").map(|it| it.kind), Ok(FileType::File));
        scene.same("unfollowed", scene.stat("unfollowed").map(|it| (it.kind, it.links)), Ok((FileType::Symlink, 2)));
    }
    Ok(())
}
