//! What the command ends with: the guest's own status, or what a trap or a limit gives.

use super::harness::{Kitbag, guest, scratch, write};

#[test]
fn backtraces_have_lines_where_there_is_dwarf() {
    let outcome = kitbag!["run", guest("lines.wasm")].outcome();
    assert_eq!(outcome.status, Some(134));
    let expected = "   0: quotient (inlined)
        at lines.c:7:19
      mean (inlined)
        at lines.c:13:10
      summarize
        at lines.c:18:16
   1: divide (inlined)
        at lines.c:25:10
      start
        at lines.c:34:3
";
    assert_eq!(outcome.stderr.split_once('\n').unwrap().1, expected);
    // A fault of the machine, beside an instruction that checks.
    let fault = kitbag!["--invoke", "load", guest("lines.wasm"), "4000000000"].outcome();
    assert!(fault.stderr.ends_with("   0: load\n        at lines.c:30:10\n"), "{}", fault.stderr);
}

#[test]
fn the_guests_own() {
    assert_eq!(kitbag!["run", guest("hello.wat")].prints(), "hello, world\n");
    for status in [0, 1, 7, 134, 255] {
        let outcome = kitbag!["run", guest("exit.wat"), status.to_string()].outcome();
        assert_eq!((outcome.status, outcome.stdout, outcome.stderr), (Some(status), String::new(), String::new()));
    }
}

#[test]
fn streams_are_the_commands_own() {
    let lines = "a line\nand one without an end".repeat(10_000);
    assert_eq!(kitbag!["run", guest("cat.wat")].stdin(lines.as_bytes()).prints(), lines);
}

/// A trap says what and where, then its frames, innermost first.
#[track_caller]
fn traps(run: Kitbag, cause: &str, frames: &[&str]) {
    let outcome = run.outcome();
    assert_eq!(outcome.status, Some(134), "{outcome:?}");
    let mut lines = outcome.stderr.lines();
    let first = lines.next().unwrap();
    assert!(first.starts_with("kitbag: trap: ") && first.contains(cause), "{outcome:?}");
    let mut backtrace = lines;
    for frame in frames {
        assert!(backtrace.any(|line| line.contains(frame)), "{frame} is missing or out of order in {outcome:?}");
    }
}

#[test]
fn traps_have_a_cause_and_a_backtrace() {
    traps(kitbag!["run", guest("trap_unreachable.wat")], "unreachable", &["inner", "outer", "_start"]);
    traps(kitbag!["run", guest("trap_bounds.wat")], "out of bounds memory access", &["peek"]);
    traps(kitbag!["run", guest("trap_far.wat")], "out of bounds memory access", &["peek"]);
    traps(kitbag!["run", guest("trap_divide.wat")], "integer divide by zero", &["divide"]);
    traps(kitbag!["run", guest("trap_overflow.wat")], "integer overflow", &["divide"]);
    traps(kitbag!["run", guest("trap_indirect.wat"), "null"], "uninitialized element", &["call"]);
    traps(kitbag!["run", guest("trap_indirect.wat"), "type"], "indirect call type mismatch", &["call"]);
    traps(kitbag!["run", guest("trap_indirect.wat"), "end"], "undefined element", &["call"]);
    traps(kitbag!["run", guest("trap_stack.wat")], "call stack exhausted", &["down", "down"]);
}

#[test]
fn what_was_written_before_a_trap_is_there() {
    assert_eq!(kitbag!["run", guest("trap_unreachable.wat")].outcome().stdout, "before\n");
}

#[test]
fn a_trap_in_a_start_function() {
    let folder = scratch();
    let path =
        write(folder.path(), "start.wat", "(module (func $boom unreachable) (start $boom) (func (export \"_start\")))");
    traps(kitbag!["run", path], "unreachable", &["boom"]);
}

#[test]
fn limits() {
    let folder = scratch();
    let path = write(folder.path(), "table.wat", "(module (table 4000000000 funcref) (func (export \"_start\")))");
    kitbag!["run", path].fails(137, &["limit reached", "table.wat", "table"]);
}

/// Threat: a guest that closes its standard streams. They are the guest's own: the command still has its own to say what became of it.
#[test]
fn a_guest_that_closes_its_streams() {
    let folder = scratch();
    let program = |end: &str| {
        let text = format!(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
                (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (memory (export "memory") 1)
                (func (export "_start")
                    (br_if 0 (call $close (i32.const 0)))
                    (br_if 0 (call $close (i32.const 1)))
                    (br_if 0 (call $close (i32.const 2)))
                    {end}))"#
        );
        kitbag!["run", write(folder.path(), "closes.wat", text)].outcome()
    };
    let exited = program("(call $exit (i32.add (i32.const 40) (call $close (i32.const 1))))");
    assert_eq!((exited.status, exited.stderr.as_str()), (Some(48), ""), "the second time it is EBADF, 8");
    let trapped = program("unreachable");
    assert_eq!(trapped.status, Some(134));
    assert!(trapped.stderr.contains("unreachable"), "{trapped:?}");
}

/// A reader that goes away ends the command as it ends any other tool, and with no word about it.
#[cfg(unix)]
#[test]
fn a_closed_standard_output() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    let hello = guest("hello.wat");
    for words in [&["--help"][..], &["run", "--help"], &["run", hello.to_str().unwrap()]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = Command::new(env!("CARGO_BIN_EXE_kitbag"))
            .args(words)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(run.status.signal(), Some(13), "{run:?}");
        assert!(run.stderr.is_empty(), "{run:?}");
    }
}

/// A disk that is full is an error and no panic.
#[cfg(target_os = "linux")]
#[test]
fn a_standard_output_that_cannot_be_written() {
    use std::process::{Command, Stdio};
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let run =
        Command::new(env!("CARGO_BIN_EXE_kitbag")).arg("--help").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(run.stderr).unwrap(),
        "kitbag: cannot write: standard output: no space left on device\n"
    );
}
