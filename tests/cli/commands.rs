//! The commands beside `run` and `demo`.

use super::harness::{scratch, write};

const GOOD: &str = r#"(module (func (export "half") (param i32) (result i32) (i32.shr_u (local.get 0) (i32.const 1))))
(assert_return (invoke "half" (i32.const 9)) (i32.const 4))
(assert_invalid (module (func (result i32))) "type mismatch")"#;

const BAD: &str = r#"(module (func (export "f") (result i32) (unreachable)))
(assert_return (invoke "f") (i32.const 4))

(assert_trap (invoke "f") "unreachable")
(assert_trap (invoke "g") "unreachable")"#;

#[test]
fn scripts_that_pass() {
    let folder = scratch();
    let good = write(folder.path(), "good.wast", GOOD);
    assert_eq!(kitbag!["wast", good.clone()].prints(), "3 passed, 0 failed\n");
    assert_eq!(kitbag!["wast", good.clone(), good].prints(), "6 passed, 0 failed\n");
}

#[test]
fn scripts_that_fail() {
    let folder = scratch();
    let (good, bad) = (write(folder.path(), "good.wast", GOOD), write(folder.path(), "bad.wast", BAD));
    let outcome = kitbag!["wast", bad, good].outcome();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(1), ""));
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert!(lines[0].contains("bad.wast:2: ") && lines[0].contains("unreachable"), "{lines:?}");
    assert!(lines[1].contains("bad.wast:5: ") && lines[1].contains("\"g\""), "{lines:?}");
    assert_eq!(lines[2..], ["5 passed, 2 failed"]);
}

#[test]
fn files_that_are_no_scripts() {
    let folder = scratch();
    kitbag!["wast"].fails(2, &["<FILE>"]);
    kitbag!["wast", "missing.wast"].folder(folder.path()).fails(1, &["missing.wast", "no such file"]);
    kitbag!["wast", folder.path()].fails(1, &["is a directory"]);
    kitbag!["wast", write(folder.path(), "a.wast", "(module")].fails(1, &["not a script", "a.wast", "1:8"]);
    kitbag!["wast", write(folder.path(), "b.wast", b"\xff")].fails(1, &["b.wast", "UTF-8"]);
}

#[test]
fn the_code_of_a_module() {
    let all = kitbag!["compile", "--disassemble", "tests/guests/trap_divide.wat"].prints();
    let of_one = kitbag!["compile", "--disassemble", "--func", "divide", "tests/guests/trap_divide.wat"].prints();
    for text in [&all, &of_one] {
        assert!(text.contains("$divide (") && text.contains("i32.div_"), "{text}");
        assert!(text.lines().any(|line| line.ends_with(" ret")), "no instructions in {text}");
    }
    assert!(all.contains("; integer divide by zero\n"), "{all}");
    assert!(all.matches("func ").count() > 1 && of_one.matches("func ").count() == 1, "{all}\n{of_one}");
}

#[test]
fn code_that_is_not_there() {
    let folder = scratch();
    kitbag!["compile", "tests/guests/add.wat"].fails(2, &["--disassemble"]);
    kitbag!["compile", "--disassemble", "--func", "fly", "tests/guests/add.wat"].fails(1, &["`fly`", "index from 0"]);
    kitbag!["compile", "--disassemble", "--func", "99", "tests/guests/add.wat"].fails(1, &["`99`"]);
    let empty = write(folder.path(), "empty.wat", "(module)");
    kitbag!["compile", "--disassemble", "--func", "0", empty.clone()].fails(1, &["it defines none"]);
    assert_eq!(kitbag!["compile", "--disassemble", empty].prints(), "");
    let invalid = write(folder.path(), "invalid.wat", "(module (func (result i32)))");
    kitbag!["compile", "--disassemble", invalid].fails(1, &["cannot load", "invalid.wat"]);
    kitbag!["compile", "--disassemble", "missing.wasm"].fails(1, &["missing.wasm", "no such file"]);
}

#[test]
fn completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let text = kitbag!["completions", shell].prints();
        assert!(text.contains("overlay") && text.contains("wast"), "{shell}: {text}");
    }
    kitbag!["completions"].fails(2, &["<SHELL>"]);
    kitbag!["completions", "csh"].fails(2, &["csh", "bash"]);
}

/// What bash would offer for the last of these words; nothing, with a word about it, where there is no bash.
fn offered(words: &str) -> Option<String> {
    let completions = kitbag!["completions", "bash"].prints();
    let script = format!(
        "{completions}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
         _kitbag kitbag \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; echo \"${{COMPREPLY[@]}}\""
    );
    match std::process::Command::new("bash").args(["--norc", "-c", &script]).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: bash is not installed");
            None
        }
        output => Some(String::from_utf8(output.unwrap().stdout).unwrap().trim_end().to_owned()),
    }
}

#[test]
fn completions_of_bash() {
    for (words, expected) in [
        ("kitbag run --ov", "--overlay"),
        ("kitbag --unk", "--unknown-imports"),
        ("kitbag --unknown-imports t", "trap"),
        ("kitbag compl", "completions"),
        ("kitbag completions z", "zsh"),
    ] {
        let Some(offered) = offered(words) else { return };
        assert_eq!(offered, expected, "{words}");
    }
}

#[test]
fn manual_pages() {
    let whole = kitbag!["man"].prints();
    assert!(whole.contains(".TH kitbag 1") && whole.contains("kitbag\\-run(1)"), "{whole}");
    let run = kitbag!["man", "run"].prints();
    assert!(run.contains(".TH kitbag-run 1") && run.contains("\\-\\-overlay") && run.contains("Exit status"), "{run}");
    kitbag!["man", "fly"].fails(2, &["fly", "kitbag help"]);
}
