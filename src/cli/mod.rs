//! The command: what its words mean, what it does, and what it says when that fails.
//!
//! | | |
//! |---|---|
//! | [`args`] | the grammar of the command line |
//! | [`run`], [`serve`], [`demo`], [`compile`], [`cache`], [`pack`], [`inspect`], [`script`], [`manual`] | the subcommands |
//! | [`mounts`] | options as file systems |
//! | [`settings`] | options as streams, sockets and limits |
//! | [`program`] | FILE: module, text or bundle |
//! | [`execute`] | from a program to its exit status |
//! | [`values`] | arguments and results of `--invoke` |
//! | [`progress`] | a sign that long work goes on |
//! | [`report`] | errors in one line, exit statuses |
//! | [`pipe`] | what a closed standard output means |
//! | [`mapping`] | archives and modules as memory |
//! | `heap` | how malloc is to behave in a server |

mod args;
mod cache;
mod compile;
mod demo;
mod execute;
#[cfg(target_env = "gnu")]
mod heap;
mod inspect;
mod manual;
mod mapping;
mod mounts;
mod pack;
mod pipe;
mod program;
mod progress;
mod report;
mod run;
mod script;
mod serve;
mod settings;
mod timeout;
mod values;

use std::ffi::OsString;

use args::Command;
use report::Failure;

/// Does what the words ask for and gives the status to exit with.
pub(crate) fn main(words: impl IntoIterator<Item = OsString>) -> i32 {
    pipe::end_with_reader();
    mapping::enable();
    done(words).unwrap_or_else(|failure| failure.print())
}

fn done(words: impl IntoIterator<Item = OsString>) -> Result<i32, Failure> {
    match args::parse(words) {
        Ok(cli) => match cli.command {
            Command::Run(options) => run::run(&options),
            Command::Serve(options) => serve::serve(&options),
            Command::Demo => demo::run(),
            Command::Compile(options) => compile::run(&options),
            Command::Cache { what } => cache::run(what),
            Command::Pack(options) => pack::run(&options),
            Command::Inspect { file, json } => inspect::inspect(&file, json),
            Command::Unpack { bundle, output } => inspect::unpack(&bundle, &output),
            Command::Ls { bundle, path } => inspect::list(&bundle, &path),
            Command::Cat { bundle, path } => inspect::print(&bundle, &path),
            Command::Manifest { bundle, .. } => inspect::manifest(bundle.as_deref()),
            Command::Wast { files } => script::run(&files),
            Command::Completions { shell } => manual::completions(shell),
            Command::Man { command } => manual::page(command.as_deref()),
        },
        Err(help) if help.exit_code() == 0 => report::say(help).map(|()| 0),
        Err(error) => Err(error.into()),
    }
}
