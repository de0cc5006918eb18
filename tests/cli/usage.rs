//! Words that mean nothing: status 2, one line. And help.

use super::harness::{guest, scratch};

#[test]
fn wrong_words() {
    kitbag![].fails(2, &["<FILE>", "kitbag help run"]);
    kitbag!["run"].fails(2, &["<FILE>"]);
    kitbag!["--overlya", "x", "a.wasm"].fails(2, &["'--overlya'", "'--overlay'"]);
    kitbag!["run", "--dir"].fails(2, &["--dir"]);
    kitbag!["demo", "x"].fails(2, &["'x'"]);
}

#[test]
fn wrong_values() {
    let hello = || guest("hello.wat");
    kitbag!["--dir", "a::/b::rw", hello()].fails(2, &["--dir", "a::/b::rw", "`ro`"]);
    kitbag!["--dir", "::/b", hello()].fails(2, &["--dir", "HOST is empty"]);
    kitbag!["--dir", "../a", hello()].fails(2, &["--dir", "`..`", "HOST::GUEST"]);
    kitbag!["--dir", "a::/b/../c", hello()].fails(2, &["--dir", "`..`"]);
    kitbag!["--file", "a", hello()].fails(2, &["--file", "HOST::GUEST"]);
    kitbag!["--zip", "a::/b::ro", hello()].fails(2, &["--zip", "third part"]);
    kitbag!["--tmp", "", hello()].fails(2, &["--tmp", "empty"]);
    kitbag!["--overlay", "/a::", hello()].fails(2, &["--overlay", "HOST is empty"]);
    kitbag!["--env", "=x", hello()].fails(2, &["--env", "name is empty"]);
    for size in ["", "x", "-1", "1.5G", "1T", "99999999999999999999"] {
        for option in ["--max-memory", "--max-write"] {
            kitbag![format!("{option}={size}"), hello()].fails(2, &[option]);
        }
    }
    for count in ["", "x", "-1", "4294967296"] {
        kitbag![format!("--max-fds={count}"), hello()].fails(2, &["--max-fds"]);
    }
    for address in ["", "x", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:http"] {
        kitbag!["--listen", address, hello()].fails(2, &["--listen", "HOST:PORT"]);
    }
    kitbag!["--unknown-imports", "allow", hello()].fails(2, &["--unknown-imports", "deny, trap, zero"]);
    kitbag!["--trace=on", hello()].fails(2, &["--trace"]);
}

#[test]
fn mounts_that_contradict_each_other() {
    kitbag!["--tmp", "/a", "--tmp", "/a/", guest("hello.wat")].fails(2, &["/a", "twice"]);
    kitbag!["--tmp", "/a", "--overlay", "/b", guest("hello.wat")].fails(1, &["/b", "nothing"]);
}

#[test]
fn help_and_version() {
    let version = kitbag!["--version"].prints();
    assert_eq!(version, format!("kitbag {}\n", env!("CARGO_PKG_VERSION")));
    for help in [kitbag!["--help"], kitbag!["help"], kitbag!["-h"]] {
        let text = help.prints();
        assert!(text.contains("kitbag [run] [OPTIONS] FILE [ARGS]") && text.contains("demo"), "{text}");
    }
    for help in [kitbag!["help", "run"], kitbag!["run", "--help"]] {
        let text = help.prints();
        for option in [
            "--dir",
            "--zip",
            "--file",
            "--tmp",
            "--overlay",
            "--env",
            "--env-inherit",
            "--argv0",
            "--invoke",
            "--listen",
            "--stdin",
            "--stdout",
            "--stderr",
            "--max-memory",
            "--max-fds",
            "--max-write",
            "--trace",
            "--verbose",
            "--unknown-imports",
            "--no-cache",
        ] {
            assert!(text.contains(option), "{option} is missing in {text}");
        }
    }
}

#[test]
fn options_after_file_belong_to_the_guest() {
    let out = kitbag!["--no-cache", guest("args.wat"), "--dir", "x", "--", "-h"].prints();
    assert_eq!(out, "args.wat\n--dir\nx\n--\n-h\n\n");
}

#[test]
fn a_file_named_like_a_command() {
    let folder = scratch();
    std::fs::copy(guest("hello.wat"), folder.path().join("demo")).unwrap();
    assert_eq!(kitbag!["run", "demo"].folder(folder.path()).prints(), "hello, world\n");
    assert_eq!(kitbag!["./demo"].folder(folder.path()).prints(), "hello, world\n");
}
