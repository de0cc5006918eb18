//! `--profile=perf`: what is written, and what perf makes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::harness::{scratch, write};

/// Most of its time goes to one function.
const BUSY: &str = r#"(module $m
    (func $burn_the_time (param $n i32) (result i32) (local $x i32)
        (loop $again
            (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $x))
    (func (export "_start") (drop (call $burn_the_time (i32.const 150000000)))))"#;

/// The only file in `folder` whose name ends so.
fn only(folder: &Path, end: &str) -> PathBuf {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found = paths.filter(|path| path.to_string_lossy().ends_with(end));
    let path = found.next().unwrap();
    assert_eq!(found.next(), None);
    path
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn map_and_dump_have_each_function() {
    let folder = scratch();
    write(folder.path(), "a.wat", "(module (func $first (export \"_start\")) (func (result i32) (i32.const 7)))");
    assert_eq!(kitbag!["--profile=perf", "a.wat"].folder(folder.path()).prints(), "");
    let dump_path = only(folder.path(), ".dump");
    let pid = dump_path.file_stem().unwrap().to_str().unwrap().strip_prefix("jit-").unwrap().to_owned();
    let map_path = format!("/tmp/perf-{pid}.map");
    let map = fs::read_to_string(&map_path).unwrap();
    fs::remove_file(map_path).unwrap();
    let names: Vec<_> = map.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap()).collect();
    assert_eq!(names, ["first", "wasm-function[1]", "wasm-adapter"]);

    let dump = fs::read(dump_path).unwrap();
    assert_eq!([word(&dump, 0), word(&dump, 4), word(&dump, 8)], [0x4a69_5444, 1, 40]);
    assert_eq!(word(&dump, 20).to_string(), pid);
    let (mut at, mut loaded) = (40, Vec::new());
    while word(&dump, at) == 0 {
        let size = word(&dump, at + 4) as usize;
        let record = &dump[at..at + size];
        let number = |at: usize| u64::from_ne_bytes(record[at..at + 8].try_into().unwrap());
        let name_end = 56 + record[56..].iter().position(|&byte| byte == 0).unwrap();
        assert_eq!(number(40), (size - name_end - 1) as u64, "the size of the code");
        let name = std::str::from_utf8(&record[56..name_end]).unwrap();
        loaded.push(format!("{:x} {:x} {name}", number(32), number(40)));
        at += size;
    }
    assert_eq!(loaded, map.lines().collect::<Vec<_>>());
    assert_eq!((word(&dump, at), dump.len()), (3, at + 16), "the end");
}

#[test]
fn a_profile_that_cannot_be_written_is_refused() {
    let outcome = kitbag!["--profile=perf", "tests/guests/hello.wat"].env("JITDUMPDIR", "/nowhere/at/all").outcome();
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.stderr.contains("cannot start") && outcome.stderr.lines().count() == 1, "{}", outcome.stderr);
    kitbag!["--profile=gprof", "tests/guests/hello.wat"].fails(2, &["gprof", "perf"]);
}

/// What a run of perf prints; nothing, with a word about it, where there is no perf or it may not look.
fn perf(folder: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("perf").args(args).current_dir(folder).env("JITDUMPDIR", ".").output();
    match output {
        Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        other => {
            eprintln!("SKIPPED: perf {}: {other:?}", args.join(" "));
            None
        }
    }
}

#[test]
fn perf_names_the_function_that_takes_the_time() {
    let folder = scratch();
    let folder = folder.path();
    write(folder, "busy.wat", BUSY);
    let kitbag = env!("CARGO_BIN_EXE_kitbag");
    let record = ["record", "-q", "-k", "mono", "-e", "cpu-clock", "-o", "perf.data", kitbag];
    if perf(folder, &[&record[..8], &["true"]].concat()).is_none() {
        return;
    }
    perf(folder, &[&record[..], &["--profile=perf", "--no-cache", "busy.wat"]].concat())
        .expect("it worked a moment ago");
    let pid = only(folder, ".dump").file_stem().unwrap().to_str().unwrap()["jit-".len()..].to_owned();
    let report = |data: &str| perf(folder, &["report", "--stdio", "-i", data]).unwrap();
    let by_map = report("perf.data");
    fs::remove_file(format!("/tmp/perf-{pid}.map")).unwrap();
    assert!(by_map.contains("burn_the_time"), "{by_map}");
    perf(folder, &["inject", "--jit", "-i", "perf.data", "-o", "perf.jit.data"]).unwrap();
    let by_dump = report("perf.jit.data");
    let line = by_dump.lines().find(|line| line.contains("burn_the_time")).unwrap_or_else(|| panic!("{by_dump}"));
    assert!(line.contains("jitted-"), "{line}");
}
