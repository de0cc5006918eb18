//! The README's tour: its `console` blocks are run, and their output is compared.
//!
//! A block is a session of `sh` in a folder that has the repository's `assets` and `tests` in it and that all blocks
//! share. `$ ` begins a command and `> ` continues it; what follows is its output, both streams, where a line `...`
//! stands for any number of lines. (Blocks of Rust are documentation tests.)

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../README.md");

/// What the shell prints before each command, so that outputs can be told apart.
const MARK: char = '\u{1}';

/// A command of a block, and what it prints.
#[derive(Debug, Default, PartialEq)]
struct Step {
    command: String,
    output: Vec<String>,
}

fn blocks(text: &str) -> Vec<Vec<Step>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while lines.any(|line| line == "```console") {
        blocks.push(steps(lines.by_ref().take_while(|line| *line != "```")));
    }
    blocks
}

fn steps<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), line.strip_prefix('>'), steps.last_mut()) {
            (Some(command), ..) => steps.push(Step { command: command.to_owned(), output: Vec::new() }),
            (_, Some(more), Some(step)) if step.output.is_empty() => {
                step.command += "\n";
                step.command += more.strip_prefix(' ').unwrap_or(more);
            }
            (_, _, Some(step)) => step.output.push(line.to_owned()),
            (.., None) => panic!("{line} comes before any command"),
        }
    }
    steps
}

/// What each step prints in one session.
fn run(steps: &[Step], folder: &Path) -> Vec<Vec<String>> {
    let script: String = steps.iter().map(|step| format!("printf '{MARK}'\n{}\n", step.command)).collect();
    let bin = Path::new(env!("CARGO_BIN_EXE_kitbag")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    let output = shell
        .arg("-c")
        .arg(format!("exec 2>&1\n{script}"))
        .env("PATH", path)
        .env("XDG_CACHE_HOME", folder.join(".cache"))
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split(MARK).skip(1).map(|part| part.lines().map(str::to_owned).collect()).collect()
}

/// Whether lines are as expected, where `...` is any number of them.
fn matches(expected: &[String], found: &[String]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((any, rest)) if any == "..." => (0..=found.len()).any(|skipped| matches(rest, &found[skipped..])),
        Some((line, rest)) => found.split_first().is_some_and(|(first, others)| first == line && matches(rest, others)),
    }
}

#[test]
fn the_tour() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for name in ["assets", "tests"] {
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), folder.path().join(name)).unwrap();
    }
    let can_zip = Command::new("zip").arg("-v").output().is_ok();
    let mut wrong = String::new();
    for steps in blocks(README) {
        if !can_zip && steps.iter().any(|step| step.command.contains("zip -")) {
            eprintln!("SKIPPED: the command `zip` is not installed: {}", steps[0].command);
            continue;
        }
        let found = run(&steps, folder.path());
        assert_eq!(found.len(), steps.len(), "{steps:?} {found:?}");
        for (step, found) in steps.iter().zip(found).filter(|(step, found)| !matches(&step.output, found)) {
            wrong += &format!("$ {}\n{}\n", step.command, found.join("\n"));
        }
    }
    assert!(wrong.is_empty(), "the README is wrong about these, which print:\n{wrong}");
}

/// The two commands that a newcomer needs.
#[test]
fn the_two_commands_are_there() {
    assert!(README.contains("cargo run --release -- demo") && README.contains("\ncargo test"));
}

#[test]
fn blocks_are_read_as_they_are_meant() {
    let text = "```console\n$ a <<END\n> b\n>\n> END\nout\n\n$ c\n```\n```sh\n$ d\n```\n";
    let step = |command: &str, output: &[&str]| Step {
        command: command.to_owned(),
        output: output.iter().map(|&line| line.to_owned()).collect(),
    };
    assert_eq!(blocks(text), [[step("a <<END\nb\n\nEND", &["out", ""]), step("c", &[])]]);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a\n...\nz"), &lines("a\nb\nc\nz")) && matches(&lines("..."), &[]));
    assert!(!matches(&lines("a\n...\nz"), &lines("a\nb")) && !matches(&lines("a"), &lines("a\nb")));
}
