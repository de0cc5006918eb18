//! Where mounts are, what of them the guest sees, and where its writes go.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::harness::{Kitbag, guest, mount, scratch, write, zip};

/// What `treehash FOLDER` finds under these options: the lines without hashes.
#[track_caller]
fn listing(options: Vec<std::ffi::OsString>, folder: &str) -> Vec<String> {
    let mut words = options;
    words.extend([guest("treehash.wasm").into(), folder.into()]);
    let text = Kitbag::new(words).prints();
    text.lines().filter(|line| !line.contains(" sha256 ")).map(without_hash).collect()
}

fn without_hash(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        ["file", _, size, name] => format!("{name} {size}"),
        _ => line.to_owned(),
    }
}

macro_rules! options {
    ($($word:expr),* $(,)?) => { vec![$(std::ffi::OsString::from($word)),*] };
}

/// `put NAME TEXT` below the first preopen, under these options.
fn put(options: Vec<std::ffi::OsString>, name: &str) -> Kitbag {
    let mut words = options;
    words.extend([guest("put.wat").into(), name.into(), "text".into()]);
    Kitbag::new(words)
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// Threat: the current directory is not visible unless asked for.
#[test]
fn nothing_is_visible_unless_asked_for() {
    let folder = scratch();
    let outcome = kitbag!["run", guest("treehash.wasm"), "."].folder(folder.path()).outcome();
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(1), ""));
    assert_eq!(put(options![], "x").outcome().status, Some(8), "EBADF: there is no descriptor 3");
}

/// Threat: mounts inside mounts.
#[test]
fn mounts_nest_in_any_order() {
    let folder = scratch();
    write(folder.path(), "outer", "1");
    write(folder.path(), "in/hidden", "22");
    let file = write(folder.path(), "in/file", "333");
    let (dir, tmp, single) = (
        options!["--dir", mount(folder.path(), "::/t::ro")],
        options!["--tmp", "/t/in/"],
        options!["--file", mount(&file, "::/t/in/a")],
    );
    for order in [[&dir, &tmp, &single], [&single, &tmp, &dir], [&tmp, &dir, &single]] {
        assert_eq!(listing(order.into_iter().flatten().cloned().collect(), "/t"), ["folder in", "in/a 3", "outer 1"]);
    }
}

/// A mount whose place does not exist in the outer one is there all the same.
#[test]
fn mounts_make_their_places() {
    assert_eq!(listing(options!["--tmp", "/t", "--tmp", "/t/x/y"], "/t"), ["folder x", "folder x/y"]);
}

/// Threat: several file mounts under one parent.
#[test]
fn files_of_one_folder_are_one_preopen() {
    let folder = scratch();
    let (a, b) = (write(folder.path(), "a", "1"), write(folder.path(), "b", "22"));
    write(folder.path(), "beside", "333");
    let files = options!["--file", mount(&a, "::/etc/one"), "--file", mount(&b, "::/etc/two::ro")];
    assert_eq!(listing(files.clone(), "/etc"), ["one 1", "two 2"]);
    assert_eq!(put(files.clone(), "one").outcome().status, Some(0));
    assert_eq!(read(folder.path(), "a"), "text");
    assert_ne!(put(files.clone(), "two").outcome().status, Some(0));
    assert_ne!(put(files, "three").outcome().status, Some(0));
    assert_eq!(read(folder.path(), "b"), "22");
}

#[test]
fn relative_places() {
    let folder = scratch();
    write(folder.path(), "x", "1");
    let here = kitbag!["--dir", ".", guest("treehash.wasm"), "."].folder(folder.path());
    assert!(here.prints().contains(" 1 x\n"));
    assert_eq!(
        listing(options!["--dir", mount(folder.path(), "::.::ro"), "--tmp", "y/z"], "."),
        ["x 1", "folder y", "folder y/z"]
    );
}

#[test]
fn writes_go_where_they_are_meant_to() {
    let folder = scratch();
    write(folder.path(), "old", "was");
    let dir = |rest: &str| options!["--dir", mount(folder.path(), rest)];
    assert_eq!(put(dir("::/t"), "new").outcome().status, Some(0));
    assert_eq!(read(folder.path(), "new"), "text");
    for name in ["old", "newer"] {
        assert_ne!(put(dir("::/t::ro"), name).outcome().status, Some(0));
        let over = [dir("::/t"), options!["--overlay", "/t"]].concat();
        assert_eq!(put(over, name).outcome().status, Some(0));
    }
    assert_eq!(read(folder.path(), "old"), "was");
    assert!(!folder.path().join("newer").exists());
}

#[test]
fn an_overlay_in_a_folder_of_the_host() {
    let (lower, upper) = (scratch(), scratch());
    write(lower.path(), "old", "was");
    let over =
        options!["--dir", mount(lower.path(), "::/t::ro"), "--overlay", format!("/t::{}", upper.path().display())];
    assert_eq!(put(over.clone(), "new").outcome().status, Some(0));
    assert_eq!((read(upper.path(), "new"), lower.path().join("new").exists()), ("text".to_owned(), false));
    assert_eq!(listing(over, "/t"), ["new 4", "old 3"], "a second run finds what the first one wrote");
}

#[test]
fn an_archive_is_read_only_without_an_overlay() {
    let (folder, packed) = (scratch(), scratch());
    write(folder.path(), "old", "was");
    let archive = packed.path().join("a.zip");
    let Some(()) = zip(folder.path(), &archive, &[]) else { return };
    assert_ne!(put(options!["--zip", archive.clone()], "new").outcome().status, Some(0));
    assert_eq!(put(options!["--zip", archive, "--overlay", "/"], "new").outcome().status, Some(0));
}

/// What is mounted inside the place of an overlay is not under it.
#[test]
fn mounts_inside_an_overlay_keep_their_writes() {
    let (outer, inner) = (scratch(), scratch());
    let nested = options!["--overlay", "/", "--dir", mount(inner.path(), "::/in"), "--dir", mount(outer.path(), "::/")];
    assert_eq!(put(nested.clone(), "in/new").outcome().status, Some(0));
    assert_eq!(put(nested, "new").outcome().status, Some(0));
    assert_eq!((read(inner.path(), "new"), outer.path().join("new").exists()), ("text".to_owned(), false));
}

#[test]
fn names_with_colons() {
    let folder = scratch();
    std::fs::create_dir(folder.path().join("a:b")).unwrap();
    write(folder.path(), "a:b/x", "1");
    assert_eq!(listing(options!["--dir", mount(&folder.path().join("a:b"), "::/c:d")], "/c:d"), ["x 1"]);
}

/// Links that the options themselves go through are the host's business; links within a mount are confined to it.
#[test]
fn links_of_the_host() {
    let (folder, elsewhere) = (scratch(), scratch());
    let target = write(elsewhere.path(), "target", "1");
    symlink(&target, folder.path().join("file")).unwrap();
    symlink(elsewhere.path(), folder.path().join("dir")).unwrap();
    assert_eq!(listing(options!["--file", mount(&folder.path().join("file"), "::/t/x")], "/t"), ["x 1"]);
    assert_eq!(listing(options!["--dir", mount(&folder.path().join("dir"), "::/t")], "/t"), ["target 1"]);
    assert_ne!(put(options!["--dir", mount(folder.path(), "::/")], "file").outcome().status, Some(0));
    assert_ne!(put(options!["--dir", mount(folder.path(), "::/")], "dir/target").outcome().status, Some(0));
    assert_eq!(read(elsewhere.path(), "target"), "1");
}
