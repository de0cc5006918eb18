//! One tree, many ways to give it to a guest, one answer: that of an oracle which walks it natively.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use kitbag::wasi::{self, Capture, WasiCtx};
use kitbag::{Engine, Linker, Module, Store};
use kitbag_fs::embedded::Embedded;
use kitbag_fs::memory::Memory;
use kitbag_fs::{Dir, FileSystem, OpenOptions};
use sha2::{Digest, Sha256};

use super::harness::{Kitbag, guest, mount, repository, scratch, write, zip};

/// What `treehash` prints of a folder, worked out here.
#[derive(Default)]
struct Oracle {
    lines: String,
    files: usize,
    links: usize,
    folders: usize,
    bytes: usize,
}

impl Oracle {
    fn of(folder: &Path) -> String {
        let mut oracle = Oracle::default();
        oracle.walk(folder, "");
        let Oracle { lines, files, links, folders, bytes } = oracle;
        let hash = hex(lines.as_bytes());
        format!("{lines}{files} files, {links} links, {folders} folders, {bytes} bytes, sha256 {hash}\n")
    }

    fn walk(&mut self, folder: &Path, below: &str) {
        let mut names: Vec<_> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        for name in names {
            self.visit(&folder.join(&name), &format!("{below}{name}"));
        }
    }

    fn visit(&mut self, path: &Path, name: &str) {
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_symlink() {
            self.links += 1;
            writeln!(self.lines, "link {} {name}", path.read_link().unwrap().display()).unwrap();
        } else if kind.is_dir() {
            self.folders += 1;
            writeln!(self.lines, "folder {name}").unwrap();
            self.walk(path, &format!("{name}/"));
        } else {
            let contents = std::fs::read(path).unwrap();
            (self.files, self.bytes) = (self.files + 1, self.bytes + contents.len());
            writeln!(self.lines, "file {} {} {name}", hex(&contents), contents.len()).unwrap();
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A tree with what trees have: depth, an empty file and an empty folder, names of all sorts, a file of more than
/// one buffer, links.
fn tree() -> tempfile::TempDir {
    let tree = scratch();
    write(tree.path(), "empty", "");
    write(tree.path(), "with space/ünïcödé/-dash", "x");
    write(tree.path(), "a/b/c/d/e/f/deep.txt", "deep".repeat(1000));
    write(
        tree.path(),
        "a/b.bin",
        (0..300_001u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()).collect::<Vec<_>>(),
    );
    (0..300).for_each(|n| _ = write(tree.path(), &format!("many/{n}"), n.to_string()));
    std::fs::create_dir(tree.path().join("nothing")).unwrap();
    symlink("b/c", tree.path().join("a/link")).unwrap();
    symlink("nowhere", tree.path().join("dangling")).unwrap();
    tree
}

/// Both ways of `treehash` to look names up agree with the oracle.
#[track_caller]
fn check(expected: &str, options: &[std::ffi::OsString]) {
    for flag in [None, Some("-p")] {
        let mut words = options.to_vec();
        words.push(guest("treehash.wasm").into());
        words.extend(flag.map(Into::into));
        words.push("/t".into());
        let printed = Kitbag::new(words).prints();
        assert!(printed == expected, "{options:?} {flag:?}: {}", difference(expected, &printed));
    }
}

fn difference(expected: &str, printed: &str) -> String {
    let mut pairs = expected.lines().zip(printed.lines());
    pairs.find(|(a, b)| a != b).map_or("one is cut off".to_owned(), |(a, b)| format!("expected {a}, found {b}"))
}

#[test]
fn a_folder() {
    let tree = tree();
    let expected = Oracle::of(tree.path());
    check(&expected, &["--dir".into(), mount(tree.path(), "::/t")]);
    check(&expected, &["--dir".into(), mount(tree.path(), "::/t::ro")]);
    check(&expected, &["--dir".into(), mount(tree.path(), "::/t"), "--tmp".into(), "/".into()]);
}

#[test]
fn an_overlay() {
    let tree = tree();
    let upper = scratch();
    let expected = Oracle::of(tree.path());
    check(&expected, &["--dir".into(), mount(tree.path(), "::/t::ro"), "--overlay".into(), "/t".into()]);
    let mut over = std::ffi::OsString::from("/t::");
    over.push(upper.path());
    check(&expected, &["--dir".into(), mount(tree.path(), "::/t"), "--overlay".into(), over]);
}

#[test]
fn archives_of_it() {
    let (tree, packed) = (tree(), scratch());
    let expected = Oracle::of(tree.path());
    for (name, level) in [("stored.zip", "-0"), ("deflated.zip", "-9")] {
        let archive = packed.path().join(name);
        let Some(()) = zip(tree.path(), &archive, &["-y", level]) else { return };
        check(&expected, &["--zip".into(), mount(&archive, "::/t")]);
        check(&expected, &["--zip".into(), mount(&archive, "::/t"), "--overlay".into(), "/t".into()]);
    }
}

#[test]
fn the_demos_files() {
    let expected = Oracle::of(&repository("assets/demo"));
    check(&expected, &["--dir".into(), mount(&repository("assets/demo"), "::/t::ro")]);
}

/// A part of a mount, seen through an overlay at a place inside it.
#[test]
fn an_overlay_on_a_part_of_a_mount() {
    let tree = tree();
    let around = scratch();
    std::fs::rename(tree.path(), around.path().join("t")).unwrap();
    let expected = Oracle::of(&around.path().join("t"));
    check(&expected, &["--dir".into(), mount(around.path(), "::/"), "--overlay".into(), "/t".into()]);
}

/// `treehash /t` in this process, by the library.
fn by_the_library(files: &dyn FileSystem) -> String {
    let engine = Engine::default();
    let module = Module::new(&engine, std::fs::read(guest("treehash.wasm")).unwrap()).unwrap();
    let output = Capture::new(1 << 20);
    let ctx =
        WasiCtx::builder().args(["treehash", "/t"]).stdout(output.clone()).mount("/t", files).unwrap().build().unwrap();
    let mut linker = Linker::new(&engine);
    wasi::add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).unwrap();
    let mut store = Store::new(&engine, ctx);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap().call(&mut store, ()).unwrap();
    String::from_utf8(output.take()).unwrap()
}

/// The demo's folder in this test's binary.
#[derive(rust_embed::Embed)]
#[folder = "assets/demo"]
struct Assets;

#[test]
fn an_embedded_copy() {
    let expected = Oracle::of(&repository("assets/demo"));
    let printed = by_the_library(&Embedded::new::<Assets>().unwrap());
    assert!(printed == expected, "{}", difference(&expected, &printed));
}

#[test]
fn a_copy_in_memory() {
    let (tree, memory) = (tree(), Memory::new());
    copy(tree.path(), &*memory.root().unwrap());
    let (expected, printed) = (Oracle::of(tree.path()), by_the_library(&memory));
    assert!(printed == expected, "{}", difference(&expected, &printed));
}

fn copy(from: &Path, to: &dyn Dir) {
    for entry in from.read_dir().unwrap() {
        let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
        let name = kitbag_fs::Path::new(name.as_encoded_bytes()).unwrap();
        if path.is_symlink() {
            to.symlink(path.read_link().unwrap().as_os_str().as_encoded_bytes(), name).unwrap();
        } else if path.is_dir() {
            to.create_dir(name).unwrap();
            copy(&path, &*to.open(name, OpenOptions::directory()).unwrap().dir().unwrap());
        } else {
            let contents = std::fs::read(path).unwrap();
            let file = to.open(name, OpenOptions::write()).unwrap().file().unwrap();
            assert_eq!(file.write_at(&contents, 0).unwrap(), contents.len());
        }
    }
}
