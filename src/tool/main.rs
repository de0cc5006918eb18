//! `kitbag-tool`: the runtime of self-contained executables. It runs the bundle at the end of its own file and does nothing else.
//!
//! All arguments belong to the program, so that nothing of the command line is read here. For whoever wants to know what goes on there
//! are variables of the environment:
//!
//! | | |
//! |---|---|
//! | `KITBAG_VERBOSE=1` | says on standard error where native code comes from, and how long things took |
//! | `KITBAG_NO_CACHE=1` | where the module has to be compiled, neither looks into the cache nor writes to it |
//!
//! (`kitbag run EXECUTABLE` runs the same bundle with all options of the full command.)

#[path = "../cli/pipe.rs"]
mod pipe;
mod report;
mod run;

fn main() {
    pipe::end_with_reader();
    let mut words = std::env::args_os();
    let argv0 = words.next();
    let status = run::run(argv0.as_deref(), words.collect()).unwrap_or_else(|failure| failure.print(argv0.as_deref()));
    std::process::exit(status);
}
