//! The cache of native code, from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::harness::{Kitbag, repository, scratch};

/// SQLite, which is large enough for the cache.
fn sqlite(cache: &Path, option: &str) -> Kitbag {
    kitbag!["--verbose", option, repository("assets/demo/sqlite.wasm"), ":memory:"]
        .env("XDG_CACHE_HOME", cache.to_str().unwrap())
        .stdin(b"SELECT 6 * 7;")
}

/// What was said about the cache.
#[track_caller]
fn said(run: Kitbag) -> String {
    let outcome = run.outcome();
    assert!(outcome.status == Some(0) && outcome.stdout.contains("42"), "{outcome:?}");
    outcome.stderr
}

fn files(cache: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(cache.join("kitbag")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_second_run_does_not_compile() {
    let cache = scratch();
    assert!(said(sqlite(cache.path(), "--max-fds=99")).contains("is in the cache now"));
    assert!(said(sqlite(cache.path(), "--max-fds=99")).contains("was in the cache"));
    let show = || kitbag!["cache"].env("XDG_CACHE_HOME", cache.path().to_str().unwrap()).prints();
    assert!(show().contains("of 1 modules in "), "{}", show());
    let mode = fs::metadata(cache.path().join("kitbag")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    kitbag!["cache", "clear"].env("XDG_CACHE_HOME", cache.path().to_str().unwrap()).prints();
    assert!(show().contains("of 0 modules in ") && files(cache.path()).is_empty());
}

#[test]
fn no_cache_means_none() {
    let cache = scratch();
    assert!(!said(sqlite(cache.path(), "--no-cache")).contains("cache"));
    assert!(!cache.path().join("kitbag").exists());
    said(sqlite(cache.path(), "--max-fds=99"));
    // Were it looked at, this would be said.
    fs::write(&files(cache.path())[0], "damaged").unwrap();
    assert!(!said(sqlite(cache.path(), "--no-cache")).contains("cache"));
    assert!(said(sqlite(cache.path(), "--max-fds=99")).contains("entry is not used"));
    assert!(said(sqlite(cache.path(), "--max-fds=99")).contains("was in the cache"));
}

#[test]
fn a_cache_that_others_can_write_to_is_left_alone() {
    let cache = scratch();
    fs::create_dir(cache.path().join("kitbag")).unwrap();
    fs::set_permissions(cache.path().join("kitbag"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(said(sqlite(cache.path(), "--max-fds=99")).contains("no cache: "));
    assert!(files(cache.path()).is_empty());
    kitbag!["cache"].env("XDG_CACHE_HOME", cache.path().to_str().unwrap()).fails(1, &["cannot use the cache", "alone"]);
}

/// A full disk costs the entry and nothing else.
#[test]
fn where_nothing_can_be_written_the_program_runs() {
    assert!(said(sqlite(Path::new("/dev/null"), "--max-fds=99")).contains("no cache: "));
    let run = "ulimit -f 8; trap '' XFSZ; exec \"$0\" --verbose \"$1\" :memory:";
    let cache = scratch();
    let limited = std::process::Command::new("sh")
        .args(["-c", run, env!("CARGO_BIN_EXE_kitbag")])
        .arg(repository("assets/demo/sqlite.wasm"))
        .env("XDG_CACHE_HOME", cache.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8(limited.stderr).unwrap();
    assert!(limited.status.success() && stderr.contains("is not in the cache: "), "{stderr}");
    assert!(files(cache.path()).is_empty());
}
