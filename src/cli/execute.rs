//! From a program to its exit status: compile, link, start, and tell its ends apart.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use kitbag::cache;
use kitbag::wasi::{self, Tracer, WasiCtx};
use kitbag::{Engine, Error, ExternType, Func, Instance, Linker, Module, Store, Trap, TrapCode, Val};
use kitbag_fs::mapped;

use super::args::UnknownImports;
use super::program::Program;
use super::progress::Progress;
use super::report::{self, Failure, note};
use super::settings::Settings;
use super::timeout::Watchdog;
use super::values;

/// The first descriptor after the standard streams.
const FIRST_PREOPEN: usize = 3;

/// A program that is compiled and linked and has its files.
pub(super) struct Ready {
    place: String,
    verbose: bool,
    begun: Instant,
    module: Module,
    store: Store<WasiCtx>,
    linker: Linker<WasiCtx>,
    timeout: Option<Duration>,
}

impl Ready {
    /// Runs a command, `_start`, and gives the guest's status.
    ///
    /// # Errors
    /// What kept it from running, a trap, or a limit.
    pub(super) fn start(mut self) -> Result<i32, Failure> {
        if !self.exports("_start") {
            let functions = self.functions();
            let advice = format_args!("it exports no function `_start`; --invoke calls one of {functions}");
            return Err(Failure::new("nothing to start", &self.place, advice));
        }
        let watchdog = self.watch();
        let ended = self.instantiate().and_then(|instance| self.call(&instance, "_start", &[]));
        self.status(ended.map(drop), watchdog)
    }

    /// Calls an exported function and prints its results, a line each. A reactor is initialized before.
    ///
    /// # Errors
    /// As [`Ready::start`]; also an unknown function and arguments that are not of its types.
    pub(super) fn invoke(mut self, function: &str, words: &[OsString]) -> Result<i32, Failure> {
        let args = self.arguments(function, words)?;
        let watchdog = self.watch();
        let ended = self.instantiate().and_then(|instance| {
            if self.exports("_initialize") && function != "_initialize" {
                self.call(&instance, "_initialize", &[])?;
            }
            self.call(&instance, function, &args)
        });
        if let Ok(results) = &ended {
            report::say(results.iter().map(|value| values::show(value) + "\n").collect::<String>())?;
        }
        self.status(ended.map(drop), watchdog)
    }

    /// Compiles the program, links it and opens its files.
    ///
    /// # Errors
    /// What is wrong with the module or with its mounts.
    pub(super) fn new(program: Program, mut settings: Settings) -> Result<Ready, Failure> {
        let place = program.place.clone();
        let engine = Engine::new(&settings.config()).map_err(|error| failure(error, "cannot start", &place))?;
        let module = compile(&engine, &program, &settings)?;
        let mut store = Store::new(&engine, context(program, &mut settings)?);
        if let Some(fuel) = settings.fuel {
            store.set_fuel(fuel).map_err(|error| failure(error, "cannot start", &place))?;
        }
        let linker = link(&mut store, &module, &settings).map_err(|error| failure(error, "cannot link", &place))?;
        Ok(Ready {
            module,
            store,
            linker,
            place,
            verbose: settings.verbose,
            begun: Instant::now(),
            timeout: settings.timeout,
        })
    }

    fn watch(&self) -> Option<Watchdog> {
        self.timeout.map(|limit| Watchdog::new(limit, self.store.interrupt_handle(), &self.place))
    }

    fn instantiate(&mut self) -> Result<Instance, Error> {
        self.linker.instantiate(&mut self.store, &self.module)
    }

    fn exports(&self, name: &str) -> bool {
        self.module.exports().any(|export| export.name == name && matches!(export.ty, ExternType::Func(_)))
    }

    /// The functions that can be called by name, with their types.
    fn functions(&self) -> String {
        let shown = self.module.exports().filter_map(|export| match export.ty {
            ExternType::Func(ty) => Some(format!("{}{ty}", export.name)),
            _ => None,
        });
        let all: Vec<_> = shown.collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    }

    /// The arguments of a function that is to be called by name.
    fn arguments(&self, function: &str, words: &[OsString]) -> Result<Vec<Val>, Failure> {
        let ty = self.module.exports().find_map(|export| match export.ty {
            ExternType::Func(ty) if export.name == function => Some(ty),
            _ => None,
        });
        let Some(ty) = ty else {
            let advice = format_args!("its functions are: {}", self.functions());
            return Err(Failure::new(format_args!("no function `{function}` to invoke"), &self.place, advice));
        };
        values::parse_all(&ty, words)
            .map_err(|what| Failure::usage(format_args!("cannot invoke `{function}`"), &self.place, what))
    }

    fn call(&mut self, instance: &Instance, function: &str, args: &[Val]) -> Result<Vec<Val>, Error> {
        let func: Func =
            instance.get_func(&mut self.store, function).ok_or_else(|| Error::host("the export is gone"))?;
        let mut results: Vec<_> = func.ty(&self.store).results().iter().map(|&ty| Val::default_for(ty)).collect();
        func.call(&mut self.store, args, &mut results)?;
        Ok(results)
    }

    /// What the end of a call means to who started this command.
    fn status(&self, ended: Result<(), Error>, watchdog: Option<Watchdog>) -> Result<i32, Failure> {
        let status = match ended {
            // Nobody else interrupts.
            Err(Error::Trap(Trap { code: TrapCode::Interrupted, .. })) if let Some(watchdog) = &watchdog => {
                return Err(watchdog.failure());
            }
            Ok(()) => 0,
            Err(Error::Exit(status)) => status,
            Err(error @ Error::Link(_)) => return Err(failure(error, "cannot link", &self.place)),
            Err(error) => return Err(failure(error, "cannot run", &self.place)),
        };
        if self.verbose {
            note(format_args!(
                "{} ended with status {status} after {} ms",
                self.place,
                self.begun.elapsed().as_millis()
            ));
        }
        Ok(status)
    }
}

/// The program as native code: out of the cache, or compiled.
fn compile(engine: &Engine, program: &Program, settings: &Settings) -> Result<Module, Failure> {
    let Program { place, module: bytes, .. } = program;
    let begun = Instant::now();
    // What is compiled of bytes that were lost on the way must not get into the cache.
    let whole = || mapped::check(bytes);
    let compile = || {
        let _progress = Progress::of(format!("compiling {}", report::one_line(place)));
        Module::new(engine, bytes).and_then(|module| whole().map(|()| module).map_err(Error::host))
    };
    let said = |words: &str| {
        if settings.verbose {
            note(format_args!("{place}: {words}"));
        }
    };
    let module = match settings.no_cache {
        true => compile(),
        false => cache::module(engine, bytes, compile, said),
    };
    whole().map_err(|error| Failure::new("cannot read", place, error))?;
    let module = module.map_err(|error| match settings.timeout {
        Some(limit) if matches!(error, Error::Limit(_)) && begun.elapsed() >= limit => {
            Failure::timeout(format_args!("compiling it had not ended after {limit:?}"), place)
        }
        _ => failure(error, "cannot load", place),
    })?;
    if settings.verbose {
        note(format_args!("{place}: {} bytes, ready in {} ms", bytes.len(), begun.elapsed().as_millis()));
    }
    Ok(module)
}

/// What the guest sees.
fn context(program: Program, settings: &mut Settings) -> Result<WasiCtx, Failure> {
    let Program { place, argv0, args, env, layout, .. } = program;
    let mut ctx = WasiCtx::builder().arg(argv0.into_vec()).args(args.into_iter().map(OsString::into_vec));
    for (name, value) in env {
        ctx = ctx.env(name.into_vec(), value.into_vec());
    }
    let preopens = layout.preopens().map_err(|error| Failure::new("cannot mount", error.place, error.problem))?;
    let first_socket = FIRST_PREOPEN + preopens.len();
    for (fd, preopen) in (FIRST_PREOPEN..).zip(preopens) {
        if settings.verbose {
            note(format_args!("descriptor {fd} is the folder {}", preopen.name.escape_ascii()));
        }
        ctx = ctx.preopen(preopen.name, preopen.root);
    }
    let ctx = settings.apply(ctx, first_socket).build();
    ctx.map_err(|error| Failure::new("cannot start", place, error))
}

fn link(store: &mut Store<WasiCtx>, module: &Module, settings: &Settings) -> Result<Linker<WasiCtx>, Error> {
    let mut linker = Linker::new(module.engine());
    match settings.trace {
        false => wasi::add_to_linker(&mut linker, |ctx| ctx)?,
        true => wasi::add_to_linker_traced(&mut linker, |ctx| ctx, Tracer::new(print_call))?,
    }
    match settings.unknown_imports {
        UnknownImports::Deny => {}
        UnknownImports::Trap => linker.define_unknown_imports_as_traps(module)?,
        UnknownImports::Zero => linker.define_unknown_imports_as_default_values(store, module)?,
    }
    Ok(linker)
}

/// A line for a call, in one piece, with the seconds it took, as `strace -T` has them.
fn print_call(call: &wasi::Call) {
    let line = format!("{call} <{:.6}>\n", call.elapsed.as_secs_f64());
    _ = io::stderr().write_all(line.as_bytes());
}

/// Tells traps and limits, which have a status of their own, from `what` else there is.
fn failure(error: Error, what: &str, place: &str) -> Failure {
    match error {
        Error::Trap(Trap { code: code @ TrapCode::OutOfFuel, .. }) => {
            Failure::limit(format_args!("{code}; --fuel gives more"), place)
        }
        Error::Exception(exception) => Failure::trap(&exception, place, exception.trap().display_backtrace()),
        Error::Trap(trap) => Failure::trap(&trap, place, trap.display_backtrace()),
        Error::Limit(limit) => Failure::limit(limit, place),
        _ => Failure::new(what, place, error),
    }
}
