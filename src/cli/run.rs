//! `kitbag run`: the program of a file, with what the options give it.

use std::os::unix::ffi::OsStrExt;

use super::args::{Run, Variable};
use super::execute::Ready;
use super::mounts;
use super::program::Program;
use super::report::Failure;
use super::settings::Settings;

/// Runs it and gives the guest's status.
///
/// # Errors
/// What kept it from running or ended it.
pub(super) fn run(options: &Run) -> Result<i32, Failure> {
    let mut args = options.guest_args().to_vec();
    let mut program = Program::open(&options.file(), options.argv0.as_deref(), &mut args)?;
    program.layout.replace_with(mounts::layout(options)?);
    program.mount_host(options.grant)?;
    set_environment(&mut program, options);
    if let Some(name) = &options.argv0 {
        program.argv0.clone_from(name);
    }
    let mut settings = Settings::open(options)?;
    if let Some(bundle) = &program.bundle {
        settings.add(bundle.manifest());
    }
    match &options.invoke {
        None => {
            program.args.extend(args);
            Ready::new(program, settings)?.start()
        }
        Some(function) => Ready::new(program, settings)?.invoke(function, &args),
    }
}

/// The options' variables after those of the bundle, the inherited ones first. A variable that is to be inherited and
/// not set here is not set there either, and one whose name the guest could not read (`=C:`) is left out.
fn set_environment(program: &mut Program, options: &Run) {
    if options.env_inherit {
        program.env.extend(std::env::vars_os().filter(|(name, _)| !name.as_bytes().contains(&b'=')));
    }
    program.env.extend(options.env.iter().filter_map(|variable| match variable {
        Variable::Set(name, value) => Some((name.clone(), value.clone())),
        Variable::Inherit(name) => Some((name.clone(), std::env::var_os(name)?)),
    }));
}
