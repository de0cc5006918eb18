//! Traps: what they are to the host. How they happen is in [`signals`], how the guest is left in [`activation`].

mod activation;
#[cfg_attr(target_arch = "aarch64", path = "trap/aarch64.rs")]
#[cfg_attr(target_arch = "x86_64", path = "trap/x86_64.rs")]
mod machine;
mod signals;
mod thread;
mod unwind;

use std::fmt;
use std::sync::Arc;

pub(crate) use self::activation::{Captured, enter, running_interrupt};
pub(crate) use self::machine::unwind;
pub(crate) use self::signals::{can_interrupt, install_handlers};
pub(crate) use self::unwind::search_stack;
use crate::Module;
pub use crate::jit::abi::TrapCode;

/// Why and where a guest trapped. Displays as the message, or else the cause, in one line.
///
/// ```
/// use kitbag::{Engine, Linker, Module, Store, TrapCode};
///
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, ());
/// let module = Module::new(&engine, r#"(module
///     (func $divide (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
///     (func $main (export "main") (drop (call $divide (i32.const 1) (i32.const 0)))))"#)?;
/// let instance = Linker::new(&engine).instantiate(&mut store, &module)?;
/// let main = instance.get_typed_func::<(), ()>(&mut store, "main")?;
/// let error = main.call(&mut store, ()).unwrap_err();
/// let trap = error.trap().expect("it divides by zero");
/// assert_eq!(trap.code, TrapCode::IntegerDivisionByZero);
/// assert_eq!(trap.to_string(), "integer divide by zero");
/// assert_eq!(trap.display_backtrace().to_string(), "   0: divide\n   1: main\n");
/// # Ok::<(), kitbag::Error>(())
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .message.as_deref().unwrap_or(.code.words()))]
#[non_exhaustive]
pub struct Trap {
    /// The cause.
    pub code: TrapCode,
    /// What a host function has to say about it.
    pub message: Option<String>,
    /// The guest's functions that were running, innermost first; as many as are kept of a deep stack.
    pub backtrace: Vec<Frame>,
}

/// A guest's function that was running.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// The function's index in its module.
    pub func_index: u32,
    /// Its name, if the module has it in its name section.
    pub func_name: Option<String>,
    /// The module's name, if it has one.
    pub module_name: Option<String>,
    /// Where in the function's machine code.
    pub pc_offset: u32,
    pub(crate) source: Source,
}

/// Where a frame's source is known from. Frames are the same whatever that is.
#[derive(Clone, Default)]
pub(crate) struct Source(pub(crate) Option<Module>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Source {
    fn eq(&self, _: &Source) -> bool {
        true
    }
}

impl Eq for Source {}

/// A place in a guest's source, as its DWARF has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Symbol {
    /// The function there, which the compiler may have inlined.
    pub name: Option<String>,
    /// Its file: an absolute path, or as much as is known of it.
    pub file: Option<String>,
    /// The line, from 1 on.
    pub line: Option<u32>,
    /// The column, from 1 on.
    pub column: Option<u32>,
}

impl Frame {
    /// The places in the guest's source that this is, if the module has DWARF: those of functions that were inlined here,
    /// innermost first, and that of the function itself. They are looked for now, not when the guest traps.
    #[must_use]
    pub fn symbols(&self) -> Arc<[Symbol]> {
        self.source
            .0
            .as_ref()
            .map_or_else(|| Arc::new([]) as Arc<[Symbol]>, |module| module.symbols(self.func_index, self.pc_offset))
    }
}

impl Trap {
    /// A trap without a backtrace, as a host function may give.
    #[must_use]
    pub fn new(code: TrapCode) -> Trap {
        Trap { code, message: None, backtrace: Vec::new() }
    }

    /// A trap of a host function's own, [`TrapCode::Host`], with its cause in words.
    #[must_use]
    pub fn host(message: impl Into<String>) -> Trap {
        Trap { message: Some(message.into()), ..Trap::new(TrapCode::Host) }
    }

    /// The backtrace as text: a line for each function, or nothing.
    #[must_use]
    pub fn display_backtrace(&self) -> impl fmt::Display + '_ {
        Backtrace(&self.backtrace)
    }

    /// Adds what was running outside of what is known already.
    pub(crate) fn with_frames(mut self, frames: impl IntoIterator<Item = Frame>) -> Trap {
        self.backtrace.extend(frames);
        self
    }
}

impl TrapCode {
    /// The specification's own words, where it has some.
    fn words(self) -> &'static str {
        match self {
            TrapCode::Host => "failure of the host",
            TrapCode::Unreachable => "unreachable",
            TrapCode::MemoryOutOfBounds => "out of bounds memory access",
            TrapCode::TableOutOfBounds => "out of bounds table access",
            TrapCode::UndefinedElement => "undefined element",
            TrapCode::UninitializedElement => "uninitialized element",
            TrapCode::IndirectCallTypeMismatch => "indirect call type mismatch",
            TrapCode::NullReference => "null reference",
            TrapCode::NullFunctionReference => "null function reference",
            TrapCode::IntegerDivisionByZero => "integer divide by zero",
            TrapCode::IntegerOverflow => "integer overflow",
            TrapCode::InvalidConversionToInteger => "invalid conversion to integer",
            TrapCode::StackOverflow => "call stack exhausted",
            TrapCode::Interrupted => "interrupted",
            TrapCode::OutOfFuel => "all fuel consumed",
            TrapCode::UncaughtException => "uncaught exception",
        }
    }
}

impl fmt::Display for TrapCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(module) = &self.module_name {
            write!(f, "{module}!")?;
        }
        match &self.func_name {
            Some(name) => f.write_str(name),
            None => write!(f, "<wasm function {}>", self.func_index),
        }
    }
}

struct Backtrace<'a>(&'a [Frame]);

impl fmt::Display for Backtrace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(number, frame)| show(f, number, frame))
    }
}

/// The function, after those that were inlined in it, each with its place.
fn show(f: &mut fmt::Formatter<'_>, number: usize, frame: &Frame) -> fmt::Result {
    write!(f, "{number:>4}: ")?;
    let symbols = frame.symbols();
    let Some((own, inlined)) = symbols.split_last() else { return writeln!(f, "{frame}") };
    for symbol in inlined {
        let name = symbol.name.as_deref().unwrap_or("<unknown>");
        write!(f, "{name} (inlined)\n{symbol}      ")?;
    }
    match (&frame.func_name, &own.name) {
        (None, Some(name)) => writeln!(f, "{name}")?,
        _ => writeln!(f, "{frame}")?,
    }
    write!(f, "{own}")
}

/// The place, on a line of its own; nothing where it is not known.
impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(file) = &self.file else { return Ok(()) };
        write!(f, "        at {file}")?;
        for number in [self.line, self.column].into_iter().map_while(|number| number) {
            write!(f, ":{number}")?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtrace_names_what_it_can() {
        let frame = |func_name: Option<&str>, module_name: Option<&str>| Frame {
            func_index: 7,
            func_name: func_name.map(String::from),
            module_name: module_name.map(String::from),
            pc_offset: 0,
            source: Source::default(),
        };
        let trap = Trap::new(TrapCode::Unreachable).with_frames([frame(Some("f"), Some("m")), frame(None, None)]);
        assert_eq!(trap.to_string(), "unreachable");
        assert_eq!(Trap::host("no such thing").to_string(), "no such thing");
        assert_eq!(trap.display_backtrace().to_string(), "   0: m!f\n   1: <wasm function 7>\n");
    }
}
