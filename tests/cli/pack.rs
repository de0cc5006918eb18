//! Packing: what comes out is what went in, the same each time, and other programs read it, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::harness::{guest, mount, scratch, write};

/// A bundle in a folder, with files of several kinds.
fn bundle() -> tempfile::TempDir {
    let folder = scratch();
    let manifest = "[bundle]\nname = \"tree\"\nentry = \"treehash.wasm\"\n[[mount]]\nguest = \"/d\"\npath = \"data\"\n";
    write(folder.path(), "kitbag.toml", manifest);
    write(folder.path(), "treehash.wasm", fs::read(guest("treehash.wasm")).unwrap());
    write(folder.path(), "data/text", "all work and no play ".repeat(500));
    write(folder.path(), "data/small", "1");
    write(folder.path(), "data/noise", noise(40_000));
    write(folder.path(), "data/image.png", [&b"\x89PNG\r\n\x1a\n"[..], &[0; 2000]].concat());
    write(folder.path(), "data/skip.o", "object");
    std::os::unix::fs::symlink("text", folder.path().join("data/link")).unwrap();
    fs::create_dir(folder.path().join("data/empty")).unwrap();
    folder
}

/// Bytes that no method makes shorter.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let step = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

/// Packs it, and gives the archive.
fn packed(folder: &Path, to: &Path, options: &[&str]) -> PathBuf {
    let archive = to.join("out.zip");
    let mut words = vec!["pack".into(), folder.join("kitbag.toml").into(), "-o".into(), archive.clone().into()];
    words.extend(options.iter().map(Into::into));
    super::harness::Kitbag::new(words).prints();
    archive
}

fn entries(archive: &Path) -> Vec<(String, String)> {
    let report: Value = serde_json::from_str(&kitbag!["inspect", "--json", archive].prints()).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = report["entries"].as_array().unwrap().iter();
    entries.map(|entry| (text(&entry["path"]), text(&entry["stored"]))).collect()
}

fn stored(archive: &Path, path: &str) -> String {
    entries(archive).into_iter().find(|(name, _)| name == path).map(|(_, stored)| stored).unwrap()
}

#[test]
fn a_packed_bundle_is_the_same_program_with_the_same_files() {
    let (folder, to) = (bundle(), scratch());
    let archive = packed(folder.path(), to.path(), &[]);
    let printed = kitbag!["run", folder.path(), "/d"].prints();
    assert_eq!(kitbag!["run", archive.clone(), "/d"].prints(), printed);
    let unpacked = to.path().join("unpacked");
    kitbag!["unpack", archive.clone(), "-o", unpacked.clone()].prints();
    assert_eq!(kitbag!["run", unpacked, "/d"].prints(), printed);
    assert!(kitbag!["ls", archive.clone(), "data"].prints().contains("     10500 text\n"));
    assert_eq!(kitbag!["cat", archive.clone(), "/data/link"].prints(), "all work and no play ".repeat(500));
    assert!(kitbag!["manifest", archive].prints().contains("name = \"tree\""));
}

#[test]
fn the_bytes_depend_on_the_contents_alone() {
    let (folder, to, again) = (bundle(), scratch(), scratch());
    let first = fs::read(packed(folder.path(), to.path(), &[])).unwrap();
    let file = fs::File::options().write(true).open(folder.path().join("data/text")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(first == fs::read(packed(folder.path(), again.path(), &[])).unwrap());
    // The output may lie in the folder, too.
    packed(folder.path(), folder.path(), &[]);
    assert!(first == fs::read(packed(folder.path(), folder.path(), &[])).unwrap());
}

#[test]
fn each_file_is_packed_by_what_it_is_or_as_it_is_told() {
    let (folder, to) = (bundle(), scratch());
    let archive = packed(folder.path(), to.path(), &["--exclude", "*.o"]);
    for (path, wanted) in [
        ("data/text", "deflate"),
        ("data/small", "stored"),
        ("data/noise", "stored"),
        ("data/image.png", "stored"),
        ("treehash.wasm", "stored"),
    ] {
        assert_eq!(stored(&archive, path), wanted, "{path}");
    }
    assert!(!entries(&archive).iter().any(|(path, _)| path == "data/skip.o"));
    let told = packed(
        folder.path(),
        to.path(),
        &["--compress", "zstd", "--compress", "data/no*=deflate", "--exclude", "data/sm*"],
    );
    assert_eq!((stored(&told, "data/text"), stored(&told, "data/noise")), ("zstd".to_owned(), "deflate".to_owned()));
    assert!(!entries(&told).iter().any(|(path, _)| path == "data/small"));
    assert_eq!(kitbag!["cat", told, "data/text"].prints(), "all work and no play ".repeat(500));
}

#[test]
fn large_stored_files_begin_at_a_page() {
    let (folder, to) = (bundle(), scratch());
    let archive = packed(folder.path(), to.path(), &[]);
    let mut zip = zip::ZipArchive::new(fs::File::open(archive).unwrap()).unwrap();
    for name in ["data/noise", "treehash.wasm"] {
        assert_eq!(zip.by_name(name).unwrap().data_start().unwrap() % 4096, 0, "{name}");
    }
}

#[test]
fn what_is_added_is_mounted() {
    let (to, added) = (scratch(), scratch());
    write(added.path(), "a", "1");
    write(added.path(), "b.tmp", "2");
    let archive = to.path().join("t.zip");
    let words = |more: &str| mount(added.path(), more);
    kitbag![
        "pack",
        guest("treehash.wasm"),
        "-o",
        archive.clone(),
        "--add",
        words("::/x::ro"),
        "--add",
        words("/a::/y/one"),
        "--exclude",
        "*.tmp"
    ]
    .prints();
    assert!(kitbag!["run", archive.clone(), "/x"].prints().contains("1 files, 0 links, 0 folders, 1 bytes"));
    assert!(kitbag!["run", archive, "/y"].prints().contains(" 1 one\n"));
    let put = to.path().join("p.zip");
    kitbag!["pack", guest("put.wat"), "-o", put.clone(), "--add", words("::/")].prints();
    kitbag!["run", put.clone(), "new", "text"].prints();
    assert!(!added.path().join("new").exists());
}

/// Three readers that others wrote.
#[test]
fn other_programs_read_it() {
    let (folder, to) = (bundle(), scratch());
    let archive = packed(folder.path(), to.path(), &[]);
    for (program, args) in [
        ("unzip", &["-tq"][..]),
        (
            "python3",
            &[
                "-c",
                "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; assert z.read('data/small') == b'1'",
            ],
        ),
        ("bsdtar", &["-tf"]),
    ] {
        match Command::new(program).args(args).arg(&archive).output() {
            Err(_) => eprintln!("SKIPPED: {program} is not installed"),
            Ok(done) => {
                assert!(done.status.success(), "{program}: {done:?}");
                let listed = String::from_utf8(done.stdout).unwrap();
                let names = || {
                    entries(&archive).into_iter().filter(|(path, stored)| !stored.is_empty() || path.ends_with("link"))
                };
                if program == "bsdtar" {
                    names().for_each(|(path, _)| assert!(listed.lines().any(|line| line == path), "{path}: {listed}"));
                }
            }
        }
    }
    let unzipped = to.path().join("unzipped");
    match Command::new("unzip").arg("-q").arg(&archive).arg("-d").arg(&unzipped).status() {
        Err(_) => eprintln!("SKIPPED: unzip is not installed"),
        Ok(status) => {
            assert!(status.success());
            assert_eq!(kitbag!["run", unzipped, "/d"].prints(), kitbag!["run", folder.path(), "/d"].prints());
        }
    }
}

/// The process may not write more than 4 KiB to a file: what was there stays, and nothing else does.
#[test]
fn where_the_disk_is_full_nothing_is_left() {
    let (folder, to) = (bundle(), scratch());
    let out = write(to.path(), "out.zip", "what was there");
    let script = "ulimit -f 8; trap '' XFSZ; exec \"$0\" pack \"$1\" -o \"$2\"";
    let done = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_kitbag")])
        .arg(folder.path())
        .arg(&out)
        .output()
        .unwrap();
    let stderr = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.code() == Some(1) && stderr.starts_with("kitbag: cannot pack: "), "{stderr}");
    assert_eq!(fs::read(&out).unwrap(), b"what was there");
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_packed_is_named() {
    let to = scratch();
    let out = to.path().join("out");
    let missing = to.path().join("none");
    kitbag!["pack", missing.clone(), "-o", out.clone()].fails(1, &["none", "no such file"]);
    kitbag!["pack", guest("hello.wat"), "-o", out.clone(), "--add", mount(&missing, "::/x")].fails(1, &["none"]);
    kitbag!["pack", guest("hello.wat"), "-o", out.clone(), "--compress", "lzma"].fails(2, &["stored, deflate, zstd"]);
    kitbag!["pack", guest("hello.wat"), "-o", out.clone(), "--runtime", missing.clone()].fails(2, &["--exe"]);
    kitbag!["pack", guest("hello.wat"), "-o", out.clone(), "--exe", "--runtime", "/bin/sh"]
        .fails(1, &["not a runtime", "same build"]);
    let folder = bundle();
    write(folder.path(), "treehash.wasm", b"\0asm\x01\0\0\0\x01\x01");
    kitbag!["pack", folder.path(), "-o", out.clone()].fails(1, &["cannot pack", "treehash.wasm"]);
    assert!(!out.exists());
}

#[test]
fn the_grammar_of_manifests() {
    let schema: Value = serde_json::from_str(&kitbag!["manifest", "--schema"].prints()).unwrap();
    assert_eq!(schema["title"], "kitbag.toml");
}

#[test]
fn a_module_inspected() {
    let report: Value = serde_json::from_str(&kitbag!["inspect", "--json", guest("treehash.wasm")].prints()).unwrap();
    assert_eq!((&report["kind"], &report["memories"][0]), (&"module".into(), &"memory 6".into()));
    assert!(report["imports"].as_array().unwrap().iter().any(|import| import["name"] == "path_open"));
    let text = kitbag!["inspect", guest("treehash.wasm")].prints();
    assert!(text.contains("wasi_snapshot_preview1  path_open  func ") && text.starts_with("kind: module\n"), "{text}");
}
