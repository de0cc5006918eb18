//! `kitbag wast`: the specification's scripts, directive by directive.

use std::path::{Path, PathBuf};

use kitbag::{Engine, wast};

use super::report::{Failure, cause, one_line, say};

/// Runs the scripts one after the other, each in a store of its own, prints a line for each directive that failed and
/// the number of all, and gives 1 if any failed.
///
/// # Errors
/// The first file that cannot be read or is no script.
pub(super) fn run(files: &[PathBuf]) -> Result<i32, Failure> {
    let engine = Engine::default();
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        for outcome in outcomes(&engine, file)? {
            match outcome.failure {
                None => passed += 1,
                Some(why) => {
                    failed += 1;
                    let line = format!("{}:{}: {why}", file.display(), outcome.line);
                    say(one_line(&line) + "\n")?;
                }
            }
        }
    }
    say(format_args!("{passed} passed, {failed} failed\n"))?;
    Ok(i32::from(failed > 0))
}

fn outcomes(engine: &Engine, file: &Path) -> Result<Vec<wast::Outcome>, Failure> {
    let script =
        std::fs::read_to_string(file).map_err(|error| Failure::new("cannot read", file.display(), cause(&error)))?;
    wast::run(engine, &script).map_err(|error| Failure::new("not a script", file.display(), error))
}
