//! A file system without writing refuses every change, by every road.

use std::io::IoSlice;

use super::{Scene, at, creating, with};
use crate::{Create, Error, Follow, OpenOptions, Result, SetTime, SetTimes};

const TIMES: SetTimes = SetTimes { accessed: SetTime::At(0), modified: SetTime::Now };

/// Changes of names and of their objects.
pub(super) fn names(scene: &mut Scene<'_>) -> Result<()> {
    let dir = std::sync::Arc::clone(&scene.dir);
    let results = [
        ("create_dir", dir.create_dir(at("new"))),
        ("unlink", dir.unlink(at("hello.txt"))),
        ("remove_dir", dir.remove_dir(at(if scene.can.empty_dirs { "hollow" } else { "dir" }))),
        ("symlink", dir.symlink(b"x", at("new"))),
        ("link", dir.link(at("hello.txt"), Follow::No, &*dir, at("new"))),
        ("rename", dir.rename(at("hello.txt"), &*dir, at("new"))),
        ("set_times", dir.set_times(at("hello.txt"), Follow::Yes, TIMES)),
        ("set_times, unfollowed", dir.set_times(at("dir"), Follow::No, TIMES)),
        ("set_own_times", dir.set_own_times(TIMES)),
    ];
    for (what, got) in results {
        scene.same(what, got, Err(Error::ReadOnly));
    }
    for (path, options) in [
        ("hello.txt", with(true, true)),
        ("hello.txt", with(false, true)),
        ("hello.txt", OpenOptions { truncate: true, ..with(false, true) }),
        ("new", creating(Create::IfMissing)),
        ("new", creating(Create::New)),
        ("dir/new", OpenOptions::write()),
    ] {
        let got = scene.dir.open(at(path), options).map(|_| ());
        scene.same(format_args!("open {path} with {options:?}"), got, Err(Error::ReadOnly));
    }
    Ok(())
}

/// Changes by a handle that was opened for reading.
pub(super) fn files(scene: &mut Scene<'_>) -> Result<()> {
    let file = scene.open("hello.txt", OpenOptions::read())?;
    let results = [
        ("write_at", file.write_at(b"x", 0).map(|_| ())),
        ("write_vectored_at", file.write_vectored_at(&[IoSlice::new(b"x")], 0).map(|_| ())),
        ("append", file.append(&[IoSlice::new(b"x")]).map(|_| ())),
        ("set_len", file.set_len(0)),
        ("allocate", file.allocate(0, 1 << 16)),
        ("set_times of a file", file.set_times(TIMES)),
    ];
    for (what, got) in results {
        scene.same(what, got, Err(Error::ReadOnly));
    }
    Ok(())
}
