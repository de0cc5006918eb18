//! The standard tree that a read-only backend has to hold at its root to be checked.
//!
//! [`items`] says what is in it, parents before children; a test that has to make, say, an archive goes by that.

use std::borrow::Cow;
use std::io;

use super::Capabilities;
use crate::{Dir, Error, OpenOptions, Path, Result};

/// What an item of the tree is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A directory.
    Dir,
    /// A file with these contents.
    File(Vec<u8>),
    /// A symbolic link with this target.
    Symlink(&'static str),
    /// A further name of the file at this path.
    HardLink(&'static str),
}

/// The path from the root.
pub type Name = Cow<'static, [u8]>;

/// How many files `many` holds.
pub const MANY: usize = 300;

/// The contents of `big.bin`, whose every part is recognisable.
#[must_use]
pub fn big() -> Vec<u8> {
    (0..75_000_u32).flat_map(|number| number.wrapping_mul(0x9E37_79B1).to_le_bytes()).collect()
}

/// The tree, as far as `can` allows, parents before children.
#[must_use]
pub fn items(can: Capabilities) -> Vec<(Name, Item)> {
    let mut items = files();
    items.extend(names(can));
    if can.empty_dirs {
        items.push(named("hollow", Item::Dir));
    }
    if can.symlinks {
        items.extend(links());
    }
    if can.hard_links {
        items.push(named("twins", Item::Dir));
        items.push(named("twins/a", file("twin")));
        items.push(named("twins/b", Item::HardLink("twins/a")));
    }
    items
}

fn named(path: &'static str, item: Item) -> (Name, Item) {
    (Cow::Borrowed(path.as_bytes()), item)
}

fn file(contents: &str) -> Item {
    Item::File(contents.as_bytes().to_vec())
}

fn files() -> Vec<(Name, Item)> {
    let mut items = vec![
        named("empty", file("")),
        named("hello.txt", file("hello, world\n")),
        named("big.bin", Item::File(big())),
        named("dir", Item::Dir),
        named("dir/one", file("1")),
        named("dir/two", file("22")),
        named("dir/nested", Item::Dir),
        named("dir/nested/deep", Item::Dir),
        named("dir/nested/deep/leaf", file("leaf")),
        named("many", Item::Dir),
    ];
    items.extend((0..MANY).map(|number| (format!("many/{number:03}").into_bytes().into(), file(&number.to_string()))));
    items
}

fn names(can: Capabilities) -> Vec<(Name, Item)> {
    let mut items = vec![
        named("names", Item::Dir),
        named("names/.hidden", file("hidden")),
        named("names/...", file("dots")),
        named("names/with space", file("space")),
        named("names/back\\slash", file("backslash")),
        named("names/a:b*?\"<>|", file("punctuation")),
        named("names/\u{e9}t\u{e9}", file("letters")),
        named("names/UPPER", file("upper")),
        named("names/upper", file("lower")),
    ];
    items.push(([&b"names/"[..], &[b'n'; 255]].concat().into(), file("longest")));
    if can.non_utf8_names {
        items.push((Cow::Borrowed(b"names/\xff\xfe\x80"), file("bytes")));
    }
    items
}

fn links() -> Vec<(Name, Item)> {
    let mut items = vec![named("links", Item::Dir)];
    items.extend(
        [
            ("links/file", "../hello.txt"),
            ("links/dir", "../dir"),
            ("links/slashed", "../dir/"),
            ("links/dangling", "nowhere"),
            ("links/absolute", "/hello.txt"),
            ("links/out", "../../hello.txt"),
            ("links/loop", "loop"),
            ("links/ping", "pong"),
            ("links/pong", "ping"),
            ("links/chain", "dir/../links/hop"),
            ("links/hop", "file"),
            ("links/dot", "."),
        ]
        .map(|(path, target)| named(path, Item::Symlink(target))),
    );
    items
}

/// Makes the tree in an empty directory. An absolute link is left out where the backend refuses to hold one.
///
/// # Errors
/// What the backend answers.
pub fn write_into(dir: &dyn Dir, can: Capabilities) -> Result<()> {
    for (name, item) in items(can) {
        let path = Path::new(&name)?;
        match item {
            Item::Dir => dir.create_dir(path)?,
            Item::File(contents) => write_file(dir, path, &contents)?,
            Item::HardLink(target) => dir.link(super::at(target), crate::Follow::No, dir, path)?,
            Item::Symlink(target) => match dir.symlink(target.as_bytes(), path) {
                Err(Error::NotPermitted) if target.starts_with('/') => {}
                other => other?,
            },
        }
    }
    Ok(())
}

fn write_file(dir: &dyn Dir, path: &Path, contents: &[u8]) -> Result<()> {
    let file = dir.open(path, OpenOptions::write())?.file()?;
    let mut done = 0;
    while done < contents.len() {
        done += file.write_at(&contents[done..], done as u64)?;
    }
    Ok(())
}

/// Makes the tree in an empty directory of the host.
///
/// # Errors
/// What the host answers.
#[cfg(unix)]
pub fn write_to_host(dir: &std::path::Path, can: Capabilities) -> io::Result<()> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    for (name, item) in items(can) {
        let path = dir.join(OsStr::from_bytes(&name));
        match item {
            Item::Dir => std::fs::create_dir(path)?,
            Item::File(contents) => std::fs::write(path, contents)?,
            Item::Symlink(target) => std::os::unix::fs::symlink(target, path)?,
            Item::HardLink(target) => std::fs::hard_link(dir.join(target), path)?,
        }
    }
    Ok(())
}
