//! Runs the scripts of WebAssembly's own test suite, through the public API.
//!
//! A [script](https://github.com/WebAssembly/spec/tree/main/interpreter#scripts) is a list of directives: modules, calls, and
//! assertions about both. Each is run and reported on its own, whatever became of those before.

mod values;

use std::collections::HashMap;

use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, Wat};

use self::values::{argument, matches};
use crate::{
    Engine, Error, Global, GlobalType, Instance, Linker, Memory, MemoryType, Module, Mutability, RefType, Store, Table,
    TableType, TrapCode, Val,
};

/// How a directive went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// Runs all directives of a script in one store.
///
/// ```
/// let script = r#"
///     (module (func (export "half") (param i32) (result i32) (i32.shr_u (local.get 0) (i32.const 1))))
///     (assert_return (invoke "half" (i32.const 9)) (i32.const 4))
///     (assert_return (invoke "half" (i32.const 9)) (i32.const 5))"#;
/// let outcomes = kitbag::wast::run(&kitbag::Engine::default(), script)?;
/// let failed: Vec<usize> = outcomes.iter().filter(|o| o.failure.is_some()).map(|o| o.line).collect();
/// assert_eq!(failed, [4]);
/// # Ok::<(), kitbag::Error>(())
/// ```
///
/// # Errors
/// [`Parse`](Error::Parse), where the text is not a script, and [`Limit`](Error::Limit), where there is no memory for
/// what scripts import from `spectest`.
pub fn run(engine: &Engine, script: &str) -> Result<Vec<Outcome>, Error> {
    let parse_error = |error: wast::Error| {
        let (line, column) = error.span().linecol_in(script);
        Error::Parse(format!("{}:{}: {}", line + 1, column + 1, error.message()))
    };
    let mut lexer = Lexer::new(script);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(parse_error)?;
    let wast: Wast<'_> = parser::parse(&buffer).map_err(parse_error)?;
    let mut runner = Runner::new(engine)?;
    let outcome = |directive: WastDirective<'_>| {
        let line = directive.span().linecol_in(script).0 + 1;
        Outcome { line, failure: runner.directive(directive).err() }
    };
    Ok(wast.directives.into_iter().map(outcome).collect())
}

/// Why a directive failed, in words.
type Checked<T = ()> = std::result::Result<T, String>;

struct Runner {
    store: Store<()>,
    linker: Linker<()>,
    definitions: HashMap<String, Module>,
    instances: HashMap<String, Instance>,
    /// What a directive that names no module is about.
    last_definition: Option<Module>,
    last: Option<Instance>,
}

impl Runner {
    fn new(engine: &Engine) -> Result<Runner, Error> {
        let mut store = Store::new(engine, ());
        if engine.config().consume_fuel {
            store.set_fuel(u64::MAX)?;
        }
        let linker = spectest(&mut store)?;
        Ok(Runner {
            store,
            linker,
            definitions: HashMap::new(),
            instances: HashMap::new(),
            last_definition: None,
            last: None,
        })
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Checked {
        match directive {
            WastDirective::Module(module) => self.module(module),
            WastDirective::ModuleDefinition(module) => self.definition(module),
            WastDirective::ModuleInstance { instance, module, .. } => self.instance(instance, module),
            WastDirective::Register { name, module, .. } => self.register(name, module),
            WastDirective::Invoke(call) => self.invoke(call).map(|_| ()).map_err(said),
            WastDirective::AssertReturn { exec, results, .. } => self.assert_return(exec, &results),
            WastDirective::AssertTrap { exec, message, .. } => assert_trap(self.execute(exec), message),
            WastDirective::AssertExhaustion { call, message, .. } => assert_exhaustion(self.invoke(call), message),
            WastDirective::AssertUnlinkable { module, message, .. } => self.assert_unlinkable(module, message),
            WastDirective::AssertInvalid { module, .. } | WastDirective::AssertMalformed { module, .. } => {
                self.assert_rejected(module)
            }
            // A malformed custom section does not make a module malformed.
            WastDirective::AssertInvalidCustom { .. } | WastDirective::AssertMalformedCustom { .. } => Ok(()),
            WastDirective::AssertException { exec, .. } => assert_exception(self.execute(exec)),
            WastDirective::AssertSuspension { .. } | WastDirective::Thread(_) | WastDirective::Wait { .. } => {
                Err("this directive is not supported".into())
            }
        }
    }

    fn compile(&self, mut module: QuoteWat<'_>) -> Result<Module, Error> {
        let bytes = module.encode().map_err(|error| Error::Parse(error.message()))?;
        Module::new(self.store.engine(), bytes)
    }

    fn module(&mut self, module: QuoteWat<'_>) -> Checked {
        let name = module.name();
        // A module that failed is not what later directives are about, and neither is the one before it.
        self.last = None;
        let module = self.compile(module).map_err(said)?;
        self.instantiate(name, &module)
    }

    fn instantiate(&mut self, name: Option<Id<'_>>, module: &Module) -> Checked {
        let instance = self.linker.instantiate(&mut self.store, module).map_err(said)?;
        if let Some(name) = name {
            self.instances.insert(name.name().into(), instance);
        }
        self.last = Some(instance);
        Ok(())
    }

    fn definition(&mut self, module: QuoteWat<'_>) -> Checked {
        let name = module.name();
        let module = self.compile(module).map_err(said)?;
        if let Some(name) = name {
            self.definitions.insert(name.name().into(), module.clone());
        }
        self.last_definition = Some(module);
        Ok(())
    }

    fn instance(&mut self, name: Option<Id<'_>>, module: Option<Id<'_>>) -> Checked {
        let module = match module {
            Some(id) => self.definitions.get(id.name()),
            None => self.last_definition.as_ref(),
        };
        let module = module.ok_or("no such module definition")?.clone();
        self.instantiate(name, &module)
    }

    fn find(&self, name: Option<Id<'_>>) -> Checked<Instance> {
        let found = match name {
            Some(name) => self.instances.get(name.name()).copied(),
            None => self.last,
        };
        found.ok_or_else(|| "no such instance".into())
    }

    fn register(&mut self, name: &str, module: Option<Id<'_>>) -> Checked {
        let instance = self.find(module)?;
        self.linker.instance(&mut self.store, name, instance).map_err(said)?;
        Ok(())
    }

    fn execute(&mut self, exec: WastExecute<'_>) -> Result<Vec<Val>, Error> {
        match exec {
            WastExecute::Invoke(call) => self.invoke(call),
            WastExecute::Wat(module) => {
                let module = self.compile(QuoteWat::Wat(module))?;
                self.linker.instantiate(&mut self.store, &module).map(|_| Vec::new())
            }
            WastExecute::Get { module, global, .. } => {
                let instance = self.find(module).map_err(Error::Type)?;
                let found = instance.get_global(&mut self.store, global);
                let found = found.ok_or_else(|| Error::Type(format!("no exported global {global:?}")))?;
                Ok(vec![found.get(&self.store)])
            }
        }
    }

    fn invoke(&mut self, call: WastInvoke<'_>) -> Result<Vec<Val>, Error> {
        let instance = self.find(call.module).map_err(Error::Type)?;
        let func = instance.get_func(&mut self.store, call.name);
        let func = func.ok_or_else(|| Error::Type(format!("no exported function {:?}", call.name)))?;
        let params: Vec<Val> = call.args.iter().map(|arg| argument(&mut self.store, arg)).collect::<Result<_, _>>()?;
        let mut results: Vec<Val> = func.ty(&self.store).results().iter().map(|&ty| Val::default_for(ty)).collect();
        func.call(&mut self.store, &params, &mut results)?;
        Ok(results)
    }

    fn assert_return(&mut self, exec: WastExecute<'_>, wanted: &[wast::WastRet<'_>]) -> Checked {
        let found = self.execute(exec).map_err(said)?;
        if found.len() != wanted.len() {
            return Err(format!("expected {} results, found {}", wanted.len(), found.len()));
        }
        let mut pairs = found.iter().zip(wanted);
        match pairs.find(|(found, wanted)| !matches(&self.store, found, wanted)) {
            Some((found, wanted)) => Err(format!("expected {wanted:?}, found {found:?}")),
            None => Ok(()),
        }
    }

    fn assert_unlinkable(&mut self, module: Wat<'_>, message: &str) -> Checked {
        let module = self.compile(QuoteWat::Wat(module)).map_err(said)?;
        match self.linker.instantiate(&mut self.store, &module) {
            Err(Error::Link(found)) => compare(&found, message),
            Err(error) => Err(format!("expected a link error {message:?}, found {error}")),
            Ok(_) => Err(format!("expected a link error {message:?}, but it linked")),
        }
    }

    fn assert_rejected(&mut self, module: QuoteWat<'_>) -> Checked {
        match self.compile(module) {
            Err(Error::Parse(_) | Error::Invalid { .. }) => Ok(()),
            Err(error) => Err(format!("expected to be invalid, found {error}")),
            Ok(_) => Err("expected to be invalid, but it compiled".into()),
        }
    }
}

fn said(error: Error) -> String {
    error.to_string()
}

/// Messages count up to where the shorter ends: suites of different years say more or less.
fn compare(found: &str, wanted: &str) -> Checked {
    if found.starts_with(wanted) || wanted.starts_with(found) {
        return Ok(());
    }
    Err(format!("expected {wanted:?}, found {found:?}"))
}

fn assert_trap(found: Result<Vec<Val>, Error>, message: &str) -> Checked {
    match found {
        Err(Error::Trap(trap)) => compare(&trap.to_string(), message),
        Err(error) => Err(format!("expected a trap {message:?}, found {error}")),
        Ok(values) => Err(format!("expected a trap {message:?}, found {values:?}")),
    }
}

fn assert_exception(found: Result<Vec<Val>, Error>) -> Checked {
    match found {
        Err(Error::Exception(_)) => Ok(()),
        Err(error) => Err(format!("expected an exception, found {error}")),
        Ok(values) => Err(format!("expected an exception, found {values:?}")),
    }
}

fn assert_exhaustion(found: Result<Vec<Val>, Error>, message: &str) -> Checked {
    match found {
        Err(Error::Trap(trap)) if trap.code == TrapCode::StackOverflow => Ok(()),
        other => assert_trap(other, message),
    }
}

/// What scripts may import.
fn spectest(store: &mut Store<()>) -> Result<Linker<()>, Error> {
    const MODULE: &str = "spectest";
    let mut linker = Linker::new(store.engine());
    linker.allow_shadowing(true);
    linker.func_wrap(MODULE, "print", || {})?;
    linker.func_wrap(MODULE, "print_i32", |_: i32| {})?;
    linker.func_wrap(MODULE, "print_i64", |_: i64| {})?;
    linker.func_wrap(MODULE, "print_f32", |_: f32| {})?;
    linker.func_wrap(MODULE, "print_f64", |_: f64| {})?;
    linker.func_wrap(MODULE, "print_i32_f32", |_: i32, _: f32| {})?;
    linker.func_wrap(MODULE, "print_f64_f64", |_: f64, _: f64| {})?;
    for (name, value) in [
        ("global_i32", Val::I32(666)),
        ("global_i64", Val::I64(666)),
        ("global_f32", Val::from(666.6_f32)),
        ("global_f64", Val::from(666.6_f64)),
    ] {
        let global = Global::new(&mut *store, GlobalType::new(value.ty(), Mutability::Const), value)?;
        linker.define(&*store, MODULE, name, global)?;
    }
    let table = Table::new(&mut *store, TableType::new(RefType::FUNCREF, 10, Some(20)), Val::FuncRef(None))?;
    linker.define(&*store, MODULE, "table", table)?;
    let memory = Memory::new(&mut *store, MemoryType::new(1, Some(2)))?;
    linker.define(&*store, MODULE, "memory", memory)?;
    Ok(linker)
}
