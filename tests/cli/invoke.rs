//! `--invoke`: exported functions by name.

use super::harness::{guest, scratch, write};

fn call(function: &str, words: &[&str]) -> super::harness::Kitbag {
    let mut all = vec!["--invoke".into(), function.into(), guest("add.wat").into()];
    all.extend(words.iter().map(|word| word.into()));
    super::harness::Kitbag::new(all)
}

#[test]
fn results_are_a_line_each() {
    assert_eq!(call("add", &["2", "40"]).prints(), "42\n");
    assert_eq!(call("add", &["-1", "0xffffffff"]).prints(), "-2\n");
    assert_eq!(call("add64", &["0x7fffffffffffffff", "1"]).prints(), "-9223372036854775808\n");
    assert_eq!(call("half", &["3"]).prints(), "1.5\n");
    assert_eq!(call("root", &["2"]).prints(), "1.4142135623730951\n");
    assert_eq!(call("divide", &["17", "5"]).prints(), "3\n2\n");
    assert_eq!(call("nothing", &[]).prints(), "");
}

#[test]
fn wrong_calls() {
    call("add", &["2"]).fails(2, &["add", "(i32, i32)", "1 argument"]);
    call("add", &["2", "x"]).fails(2, &["add", "`x`", "i32"]);
    call("add", &["2", "4294967296"]).fails(2, &["4294967296"]);
    call("sub", &[]).fails(1, &["sub", "add64"]);
}

#[test]
fn traps_are_traps() {
    let outcome = call("divide", &["1", "0"]).outcome();
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(134), ""));
}

#[test]
fn a_reactor_is_initialized_first() {
    let folder = scratch();
    let text = "(module (global $g (mut i32) (i32.const 1))
        (func (export \"_initialize\") (global.set $g (i32.const 7)))
        (func (export \"get\") (result i32) (global.get $g)))";
    assert_eq!(kitbag!["--invoke", "get", write(folder.path(), "reactor.wat", text)].prints(), "7\n");
}
