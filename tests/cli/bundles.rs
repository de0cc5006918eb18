//! Bundles: what their manifest says happens; what is wrong with them is said in a line.

use std::path::Path;

use super::harness::{guest, mount, repository, scratch, write, zip};

const HEAD: &str =
    "[bundle]\nname = \"tool\"\nentry = \"bin/args.wat\"\nargs = [\"first\"]\nenv = { A = \"a\", B = \"b\" }\n";

/// A bundle in a folder: the guest `args`, with a manifest.
fn bundle(manifest: &str) -> tempfile::TempDir {
    let folder = scratch();
    write(folder.path(), "kitbag.toml", manifest);
    write(folder.path(), "bin/args.wat", std::fs::read(guest("args.wat")).unwrap());
    write(folder.path(), "data/x", "1");
    folder
}

#[test]
fn arguments_and_environment() {
    let folder = bundle(HEAD);
    assert_eq!(kitbag!["run", folder.path(), "second"].prints(), "tool\nfirst\nsecond\n\nA=a\nB=b\n");
    assert_eq!(kitbag!["--argv0", "me", "--env", "A=c", folder.path()].prints(), "me\nfirst\n\nA=c\nB=b\n");
}

#[test]
fn a_zip_is_told_by_its_contents() {
    let (folder, packed) = (bundle(HEAD), scratch());
    let archive = packed.path().join("tool.bundle.zip");
    let Some(()) = zip(folder.path(), &archive, &[]) else { return };
    let renamed = packed.path().join("tool");
    std::fs::rename(archive, &renamed).unwrap();
    assert_eq!(kitbag!["run", renamed.clone()].prints(), "tool\nfirst\n\nA=a\nB=b\n");
    let after_a_program = [&b"#!/bin/sh\nexit 0\n"[..], &std::fs::read(&renamed).unwrap()].concat();
    assert_eq!(kitbag![write(packed.path(), "self", after_a_program)].prints(), "tool\nfirst\n\nA=a\nB=b\n");
}

/// The same with the module that lists a tree.
fn listing(mounts: &str) -> tempfile::TempDir {
    let folder = bundle(&format!("[bundle]\nname = \"tree\"\nentry = \"treehash.wasm\"\n{mounts}"));
    write(folder.path(), "treehash.wasm", std::fs::read(guest("treehash.wasm")).unwrap());
    folder
}

fn summary(text: &str) -> &str {
    text.lines().last().and_then(|line| line.split(", sha256").next()).unwrap_or_default()
}

#[test]
fn mounts_of_the_manifest() {
    let folder = listing(
        "[[mount]]\nguest = \"/data\"\npath = \"data\"\n[[mount]]\nguest = \"/\"\npath = \".\"\noverlay = true\n\
         [[mount]]\nguest = \"/data/tmp\"\nmemory = true\n",
    );
    assert_eq!(summary(&kitbag![folder.path(), "/data"].prints()), "1 files, 0 links, 1 folders, 1 bytes");
    assert!(summary(&kitbag![folder.path(), "/"].prints()).starts_with("4 files, 0 links, 3 folders"));
}

#[test]
fn options_add_to_the_manifest_and_replace_what_is_at_their_place() {
    let (folder, other) = (listing("[[mount]]\nguest = \"/data\"\npath = \"data\"\noverlay = true\n"), scratch());
    write(other.path(), "longer", "12345");
    let replaced = kitbag!["--dir", mount(other.path(), "::/data"), folder.path(), "/data"];
    assert_eq!(summary(&replaced.prints()), "1 files, 0 links, 0 folders, 5 bytes");
    let added = kitbag!["--dir", mount(other.path(), "::/data/more"), folder.path(), "/data"];
    assert_eq!(summary(&added.prints()), "2 files, 0 links, 1 folders, 6 bytes");
}

#[test]
fn manifests_that_are_wrong() {
    let check = |manifest: &str, words: &[&str]| kitbag!["run", bundle(manifest).path()].fails(1, words);
    check("", &["kitbag.toml", "`bundle`"]);
    check("[bundle", &["kitbag.toml", "line 1"]);
    check("[bundle]\nname = \"a\"\n", &["kitbag.toml", "`entry`"]);
    check(&HEAD.replace("args", "argz"), &["kitbag.toml", "line 4", "`argz`", "`args`"]);
    check(&HEAD.replace("bin/args.wat", "bin/none"), &["bin/none", "no such file"]);
    check(&HEAD.replace("bin/args.wat", "../x"), &["../x"]);
    check(&HEAD.replace("bin/args.wat", "bin"), &["bin", "is a directory"]);
    check(&HEAD.replace("bin/args.wat", "data/x"), &["data/x"]);
    check(&format!("{HEAD}[[mount]]\nguest = \"/x\"\npath = \"none\""), &["none", "no such file"]);
    check(
        &format!("{HEAD}[[mount]]\nguest = \"/x\"\npath = \"data/x\"\noverlay = true"),
        &["data/x", "not a directory"],
    );
    check(&format!("{HEAD}[[mount]]\nguest = \"/../x\"\nmemory = true"), &["/../x", "`..`"]);
    check(&format!("{HEAD}[[mount]]\nguest = \"/x\"\noverlay = true"), &["line 6", "/x", "`path`"]);
    let twice = "[[mount]]\nguest = \"/x\"\nmemory = true\n".repeat(2);
    check(&format!("{HEAD}{twice}"), &["/x", "twice"]);
}

#[test]
fn a_manifest_that_is_no_text() {
    let folder = bundle(HEAD);
    write(folder.path(), "kitbag.toml", b"\xff");
    kitbag!["run", folder.path()].fails(1, &["kitbag.toml"]);
    write(folder.path(), "kitbag.toml", "#".repeat((1 << 20) + 1));
    kitbag!["run", folder.path()].fails(1, &["kitbag.toml", "too large"]);
    std::fs::remove_file(folder.path().join("kitbag.toml")).unwrap();
    std::fs::create_dir(folder.path().join("kitbag.toml")).unwrap();
    kitbag!["run", folder.path()].fails(1, &["kitbag.toml"]);
}

/// The demo's lines around the guest's output begin with this.
const SAYS: &str = "#";

#[test]
fn the_demo() {
    let printed = kitbag!["demo"].prints();
    let guests: String =
        printed.lines().filter(|line| !line.starts_with(SAYS)).map(|line| format!("{line}\n")).collect();
    assert_eq!(guests, expected(&repository("assets/demo")));
    assert!(printed.lines().any(|line| line.starts_with(SAYS)));
}

/// The same bundle in its other forms.
#[test]
fn the_demos_bundle() {
    let folder = repository("assets/demo");
    assert_eq!(kitbag!["run", folder.clone()].prints(), expected(&folder));
    let packed = scratch();
    let archive = packed.path().join("demo.zip");
    let Some(()) = zip(&folder, &archive, &[]) else { return };
    assert_eq!(kitbag!["run", archive].prints(), expected(&folder));
}

fn expected(demo: &Path) -> String {
    std::fs::read_to_string(demo.join("expected.txt")).unwrap()
}

/// The commands that the demo ends with, run as a reader would.
#[test]
fn what_the_demo_says_to_try_next() {
    let printed = kitbag!["demo"].folder(&repository("")).prints();
    let commands: Vec<_> = printed
        .lines()
        .skip_while(|line| !line.contains("To try next"))
        .filter_map(|line| line.strip_prefix("#   "))
        .collect();
    assert_eq!(commands.len(), 4, "{printed}");
    for command in commands {
        let run = std::process::Command::new("sh").args(["-c", command]).current_dir(repository("")).output().unwrap();
        assert!(run.status.success() && run.stderr.is_empty() && !run.stdout.is_empty(), "{command}: {run:?}");
    }
    let elsewhere = kitbag!["demo"].folder(scratch().path()).prints();
    assert!(!elsewhere.contains("assets/demo"), "{elsewhere}");
}
