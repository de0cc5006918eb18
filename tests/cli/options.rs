//! What the options do beside mounts, arguments and environment: streams, sockets, limits, traces, missing imports.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use super::harness::{Kitbag, guest, scratch, write};

/// Writes `out` and then `err`, each with a line break, to the streams of these names.
const BOTH: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\04\00\00\00\14\00\00\00\04\00\00\00out\nerr\n")
    (func (export "_start")
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
        (drop (call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 32)))))"#;

#[test]
fn standard_input_from_a_file() {
    let folder = scratch();
    let input = write(folder.path(), "in", "from a file\n".repeat(1000));
    assert_eq!(kitbag!["--stdin", input, guest("cat.wat")].stdin(b"other").prints(), "from a file\n".repeat(1000));
    kitbag!["--stdin", "missing", guest("cat.wat")]
        .folder(folder.path())
        .fails(1, &["--stdin missing", "no such file"]);
    kitbag!["--stdin", folder.path(), guest("cat.wat")].fails(1, &["--stdin", "is a directory"]);
}

#[test]
fn output_to_files() {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name);
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let both = write(folder.path(), "both.wat", BOTH);
    write(folder.path(), "out", "what was there before, and longer");
    assert_eq!(kitbag!["--stdout", path("out"), "--stderr", path("err"), both.clone()].prints(), "");
    assert_eq!((read("out").as_str(), read("err").as_str()), ("out\n", "err\n"));
    assert_eq!(kitbag!["--stdout", path("one"), "--stderr", path("one"), both.clone()].prints(), "");
    assert_eq!(read("one"), "out\nerr\n");
    assert_eq!(kitbag!["--stderr", "/dev/null", both.clone()].prints(), "out\n");
    kitbag!["--stdout", folder.path(), both.clone()].fails(1, &["--stdout", "is a directory"]);
    kitbag!["--stderr", "missing/x", both].folder(folder.path()).fails(1, &["--stderr missing/x", "no such file"]);
}

#[test]
fn messages_of_kitbag_do_not_go_to_the_guests_files() {
    let folder = scratch();
    let file = folder.path().join("err");
    let outcome = kitbag!["--stderr", file.clone(), guest("trap_unreachable.wat")].outcome();
    assert!(outcome.stderr.contains("unreachable"), "{outcome:?}");
    assert_eq!(std::fs::read(file).unwrap(), b"");
}

/// Takes a connection at the socket that its argument-less start finds at `FD`, and sends back what it reads there.
const ANSWER: &str = r#"(module
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\40\00\00\00")
    (func $check (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
    (func (export "_start")
        (call $check (call $accept (i32.const FD) (i32.const 0) (i32.const 32)))
        (call $check (call $read (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 4)))
        (call $check (call $write (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// Connects to what `kitbag --verbose` says that descriptor `fd` listens on, and gets an answer.
#[track_caller]
fn answers(options: &[&str], fd: u32) {
    let folder = scratch();
    let program = write(folder.path(), "answer.wat", ANSWER.replace("FD", &fd.to_string()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_kitbag"));
    command.arg("--verbose").args(options).arg(program).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let listens = format!("kitbag: descriptor {fd} listens on ");
    let address = said.find_map(|line| line.strip_prefix(&listens).map(str::to_owned)).expect("it listens");
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(b"hello").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "hello");
    assert!(child.wait().unwrap().success());
    assert!(said.any(|line| line.contains("ended with status 0")));
}

#[test]
fn sockets() {
    answers(&["--listen", "127.0.0.1:0"], 3);
    answers(&["--listen", "127.0.0.1:0", "--listen", "localhost:0", "--tmp", "/a"], 5);
}

#[test]
fn an_address_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    kitbag!["--listen", address.clone(), guest("hello.wat")].fails(1, &["cannot listen", &address, "in use"]);
}

fn put(options: &[&str]) -> Option<i32> {
    let words = options.iter().copied().chain(["--tmp", "/"]).map(Into::into);
    let put = [guest("put.wat").into(), "file".into(), "text".into()];
    Kitbag::new(words.chain(put).collect()).outcome().status
}

#[test]
fn descriptors() {
    assert_eq!((put(&["--max-fds", "5"]), put(&["--max-fds", "4"])), (Some(0), Some(33)));
    kitbag!["--max-fds", "3", "--tmp", "/", guest("hello.wat")].fails(1, &["3 descriptors are too few"]);
}

#[test]
fn bytes_written() {
    assert_eq!((put(&["--max-write", "4"]), put(&["--max-write", "3"])), (Some(0), Some(19)));
    assert_eq!(put(&["--max-write", "1K"]), Some(0));
}

#[test]
fn bytes_of_memory() {
    let folder = scratch();
    let text = "(module (memory 1) (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0))))";
    let grow = write(folder.path(), "grow.wat", text);
    for (size, pages, result) in
        [("128K", "1", "1\n"), ("128K", "2", "-1\n"), ("2M", "31", "1\n"), ("2M", "32", "-1\n")]
    {
        let run = kitbag!["--max-memory", size, "--invoke", "grow", grow.clone(), pages];
        assert_eq!(run.prints(), result, "{size} {pages}");
    }
    kitbag!["--max-memory", "65535", "--invoke", "grow", grow, "0"]
        .fails(137, &["limit reached", "grow.wat", "memory"]);
}

/// The lines on standard error, with the time that each ends with made `<T>`.
fn traced(run: Kitbag) -> (Option<i32>, Vec<String>) {
    let outcome = run.outcome();
    let line = |line: &str| match line.rsplit_once(" <") {
        Some((call, time)) if time.trim_end_matches('>').parse::<f64>().is_ok() => format!("{call} <T>"),
        _ => line.to_owned(),
    };
    (outcome.status, outcome.stderr.lines().map(line).collect())
}

#[test]
fn a_trace() {
    let (status, lines) = traced(kitbag!["--trace", "--tmp", "/", guest("put.wat"), "a", "text"]);
    assert_eq!(status, Some(0), "{lines:?}");
    assert!(lines.iter().all(|line| line.ends_with(" <T>")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("path_open(3, ") && line.contains("\"a\"")), "{lines:?}");
    assert!(lines.iter().any(|line| line == "fd_write(4, [4]) = 4 <T>"), "{lines:?}");
    let (status, lines) = traced(kitbag!["--trace", guest("exit.wat"), "7"]);
    assert_eq!((status, lines.last().map(String::as_str)), (Some(7), Some("proc_exit(7) <T>")));
}

#[test]
fn a_word_about_everything() {
    let outcome = kitbag!["--verbose", "--tmp", "/a", guest("hello.wat")].outcome();
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "hello, world\n"));
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert!(lines.iter().all(|line| line.starts_with("kitbag: ")), "{lines:?}");
    for (line, words) in lines.iter().zip(["ready in", "descriptor 3 is the folder /a", "ended with status 0"]) {
        assert!(line.contains(words), "{lines:?}");
    }
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn missing_imports() {
    let program = || guest("import_unknown.wat");
    kitbag!["--unknown-imports", "deny", program()].fails(1, &["nobody", "has_this"]);
    let outcome = kitbag!["--unknown-imports", "trap", program()].outcome();
    assert_eq!(outcome.status, Some(134), "{outcome:?}");
    let expected = "unknown import called: \"nobody\" \"has_this\"\n   0: _start\n";
    assert!(outcome.stderr.ends_with(expected), "{outcome:?}");
    assert_eq!(kitbag!["--unknown-imports", "zero", program()].prints(), "");
}

#[test]
fn missing_imports_that_are_never_called() {
    let folder = scratch();
    let text = "(module (import \"a\" \"b\" (func)) (func (export \"_start\")))";
    let unused = write(folder.path(), "unused.wat", text);
    assert_eq!(kitbag!["--unknown-imports", "trap", unused].prints(), "");
    let text = "(module (import \"a\" \"g\" (global i32)) (func (export \"_start\")))";
    let global = write(folder.path(), "global.wat", text);
    kitbag!["--unknown-imports", "trap", global.clone()].fails(1, &["\"a\" \"g\"", "global"]);
    assert_eq!(kitbag!["--unknown-imports", "zero", global].prints(), "");
}

/// Whatever a guest does for ever, it does until its time is up.
#[test]
fn time_that_runs_out_elsewhere() {
    let folder = scratch();
    let sleep = r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#;
    let random = r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    for (name, import, body) in [
        ("fill", "", "(memory.fill (i32.const 0) (i32.const 0) (i32.const -1))"),
        ("grow", "", "(drop (memory.grow (i32.const 1)))"),
        ("throw", "(tag $e)", "(try_table (catch $e $again) (throw $e))"),
        ("sleep", sleep, "(drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))"),
        ("random", random, "(drop (call $random (i32.const 0) (i32.const -1)))"),
    ] {
        // At 0 is a subscription to the clock, for a time some centuries away.
        let text = format!(
            r#"(module {import} (memory (export "memory") 65536)
                (data (i32.const 16) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\70")
                (func (export "_start") (loop $again {body} (br $again))))"#
        );
        let path = write(folder.path(), &format!("{name}.wat"), &text);
        kitbag!["--timeout", "100ms", path].fails(124, &["timeout", name]);
    }
}

#[test]
fn time_that_runs_out_before_the_guest_is_compiled() {
    let folder = scratch();
    let function = format!("(func (result i32) (i32.const 0) {})", "(i32.add (i32.const 1))".repeat(1000));
    let text = format!(r#"(module {} (func (export "_start")))"#, function.repeat(500));
    let path = write(folder.path(), "large.wat", &text);
    kitbag!["--timeout", "1ms", "--no-cache", path.clone()].fails(124, &["timeout", "large.wat", "compiling"]);
    assert_eq!(kitbag!["--timeout", "1h", "--no-cache", path].prints(), "");
}

#[test]
fn fuel() {
    let outcome = kitbag!["--fuel", "100000", guest("loop.wat")].outcome();
    assert_eq!((outcome.status, &outcome.stdout[..]), (Some(137), "looping\n"), "{outcome:?}");
    assert!(outcome.stderr.starts_with("kitbag: limit reached: ") && outcome.stderr.contains("fuel"), "{outcome:?}");
    assert_eq!(kitbag!["--fuel", "1000", guest("hello.wat")].prints(), "hello, world\n");
    kitbag!["--fuel", "1", guest("hello.wat")].fails(137, &["limit reached"]);
    kitbag!["--fuel", "much", guest("hello.wat")].fails(2, &["--fuel"]);
}

#[test]
fn time_that_runs_out() {
    // Long enough for it to begin, wherever that takes its time.
    let outcome = kitbag!["--timeout", "2s", guest("loop.wat")].outcome();
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(124), "looping\n"));
    assert!(outcome.stderr.starts_with("kitbag: timeout: ") && outcome.stderr.lines().count() == 1, "{outcome:?}");
    assert!(outcome.stderr.ends_with("loop.wat: it had not ended after 2s\n"), "{outcome:?}");
    assert_eq!(kitbag!["--timeout", "1h", guest("hello.wat")].prints(), "hello, world\n");
    assert_eq!(kitbag!["--timeout", "1h", guest("trap_divide.wat")].outcome().status, Some(134));
    kitbag!["--timeout", "soon", guest("hello.wat")].fails(2, &["--timeout", "write a number with ms, s, m or h"]);
}

/// A guest in a host function that does not return: a read from a pipe that nobody writes to.
#[test]
fn time_that_runs_out_in_a_read() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kitbag"))
        .args(["--timeout", "50ms"])
        .arg(guest("cat.wat"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(124));
    drop(input);
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(errors.starts_with("kitbag: timeout: ") && errors.lines().count() == 1, "{errors}");
}
