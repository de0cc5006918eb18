//! `kitbag compile`: a module's code, without running it.

use std::io::{self, BufWriter, Write as _};

use kitbag::disassemble::Disassembly;
use kitbag::jit::Target;
use kitbag::{Engine, Error};

use super::args::Compile;
use super::program::Program;
use super::report::{Failure, cause};

/// Shows the functions' code and gives 0.
///
/// # Errors
/// What is wrong with the module, a function that it does not have, and where standard output cannot be written.
pub(super) fn run(options: &Compile) -> Result<i32, Failure> {
    let Program { place, module, .. } = Program::open(&options.file, None, &mut Vec::new())?;
    let engine = Engine::default();
    let target = options.target.as_deref().and_then(Target::newest).unwrap_or_default();
    let disassembly = Disassembly::new(&engine, &module, target);
    let disassembly = disassembly.map_err(|error| Failure::new("cannot load", &place, error))?;
    let functions = match &options.func {
        None => disassembly.functions(),
        Some(name) => match disassembly.find(name) {
            Some(function) => function..function + 1,
            None => return Err(no_function(name, &place, &disassembly)),
        },
    };
    let mut out = BufWriter::new(io::stdout().lock());
    disassembly.write(&engine, functions, &mut out).map_err(failed)?;
    out.flush().map_err(|error| failed(error.into()))?;
    Ok(0)
}

fn no_function(name: &str, place: &str, disassembly: &Disassembly) -> Failure {
    let all = disassembly.functions();
    let advice = match all.is_empty() {
        true => "it defines none".to_owned(),
        false => format!("give a name, or an index from {} to {}", all.start, all.end - 1),
    };
    Failure::new(format_args!("no function `{name}` with code"), place, advice)
}

fn failed(error: Error) -> Failure {
    let what = match &error {
        Error::Host(host) => host.downcast_ref::<io::Error>().map(cause),
        _ => None,
    };
    Failure::new("cannot write", "standard output", what.unwrap_or_else(|| error.to_string()))
}
