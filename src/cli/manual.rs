//! `kitbag completions` and `kitbag man`: what shells and readers want to know of the grammar, made from it.

use clap::{Args as _, CommandFactory as _};
use clap_complete::Shell;

use super::args::{Cli, Run};
use super::report::{Failure, say};

/// Prints a shell's completions. `run` can be left out, so that its options are completed without it, too.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn completions(shell: Shell) -> Result<i32, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Run::augment_args(Cli::command()), "kitbag", &mut text);
    print(&text)
}

/// Prints the manual page of a command, or that of `kitbag` itself.
///
/// # Errors
/// An unknown command, and where standard output cannot be written.
pub(super) fn page(command: Option<&str>) -> Result<i32, Failure> {
    let mut root = Cli::command();
    root.build();
    let found = command.map_or(Some(&root), |name| root.find_subcommand(name));
    let Some(found) = found else {
        let advice = "`kitbag help` lists them";
        return Err(Failure::usage("no such command", command.unwrap_or_default(), advice));
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(found.clone())
        .render(&mut text)
        .map_err(|error| Failure::new("cannot write", "the manual page", error))?;
    print(&text)
}

fn print(text: &[u8]) -> Result<i32, Failure> {
    say(String::from_utf8_lossy(text)).map(|()| 0)
}
