//! From a program to its exit status: compile, link, start, and tell its ends apart.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use kitbag::wasi::{self, WasiCtx};
use kitbag::{Engine, Error, ExternType, Func, Instance, Linker, Module, Store, Val};

use super::program::Program;
use super::report::{self, Failure};
use super::values;

/// A program that is compiled and linked and has its files.
pub(super) struct Ready {
    place: String,
    module: Module,
    store: Store<WasiCtx>,
    linker: Linker<WasiCtx>,
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
        let ended = self.instantiate().and_then(|instance| self.call(&instance, "_start", &[]));
        self.status(ended.map(drop))
    }

    /// Calls an exported function and prints its results, a line each. A reactor is initialized before.
    ///
    /// # Errors
    /// As [`Ready::start`]; also an unknown function and arguments that are not of its types.
    pub(super) fn invoke(mut self, function: &str, words: &[OsString]) -> Result<i32, Failure> {
        let args = self.arguments(function, words)?;
        let ended = self.instantiate().and_then(|instance| {
            if self.exports("_initialize") && function != "_initialize" {
                self.call(&instance, "_initialize", &[])?;
            }
            self.call(&instance, function, &args)
        });
        if let Ok(results) = &ended {
            report::say(results.iter().map(|value| values::show(value) + "\n").collect::<String>())?;
        }
        self.status(ended.map(drop))
    }

    /// Compiles the program, links it and opens its files.
    ///
    /// # Errors
    /// What is wrong with the module or with its mounts.
    pub(super) fn new(program: Program) -> Result<Ready, Failure> {
        let Program { place, module, argv0, args, env, layout } = program;
        let engine = Engine::default();
        let module = Module::new(&engine, &module).map_err(|error| failure(error, "cannot load", &place))?;
        let mut ctx = WasiCtx::builder().inherit_stdio().arg(argv0.into_vec());
        ctx = ctx.args(args.into_iter().map(OsString::into_vec));
        for (name, value) in env {
            ctx = ctx.env(name.into_vec(), value.into_vec());
        }
        for preopen in layout.preopens().map_err(|error| Failure::new("cannot mount", error.place, error.problem))? {
            ctx = ctx.preopen(preopen.name, preopen.root);
        }
        let ctx = ctx.build().map_err(|error| Failure::new("cannot start", &place, error))?;
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker, |ctx| ctx).map_err(|error| Failure::new("cannot link", &place, error))?;
        Ok(Ready { module, store: Store::new(&engine, ctx), linker, place })
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
    fn status(&self, ended: Result<(), Error>) -> Result<i32, Failure> {
        match ended {
            Ok(()) => Ok(0),
            Err(Error::Exit(status)) => Ok(status),
            Err(error @ Error::Link(_)) => Err(failure(error, "cannot link", &self.place)),
            Err(error) => Err(failure(error, "cannot run", &self.place)),
        }
    }
}

/// Tells traps and limits, which have a status of their own, from `what` else there is.
fn failure(error: Error, what: &str, place: &str) -> Failure {
    match error {
        Error::Trap(trap) => Failure::trap(&trap, place, trap.display_backtrace()),
        Error::Limit(limit) => Failure::limit(limit, place),
        _ => Failure::new(what, place, error),
    }
}
