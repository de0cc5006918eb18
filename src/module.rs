//! Modules: validated, compiled, shared by any number of instances.
//!
//! # Safety
//! [`Module::entry_stub`] gives an address in the module's own code as the function that the compiler put there. Native code is
//! loaded from where the caller vouches for.

#![allow(unsafe_code, reason = "gives compiled code a type; see the module's Safety section")]

#[cfg(feature = "dwarf")]
mod debug;
#[cfg(feature = "dwarf")]
mod dwarf;
mod features;
mod images;
mod info;
mod kept;
mod names;
mod parse;
mod serialize;
mod text;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use kitbag_fs::Bytes;

pub(crate) use self::info::{ConstOp, Elements, Import, Item, Mode, ModuleInfo};
pub(crate) use self::names::Names;
pub(crate) use self::parse::parse;
pub(crate) use self::text::to_binary;
use crate::code::{CodeInfo, CodeMemory, Registration};
use crate::jit::abi::{EntryStub, Layout};
use crate::jit::{self, CompileError, FunctionCode};
use crate::memory::image::Image;
use crate::profile::Loaded;
use crate::trap::{Source, Symbol};
use crate::{Engine, Error, ExportType, ExternType, Frame, FuncType, ImportType, MemoryType, Result};

/// A compiled module. Cheap to clone.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    engine: Engine,
    info: ModuleInfo,
    /// What `info` was read from.
    kept: Bytes,
    layout: Layout,
    /// A type index for each canonical id.
    types: HashMap<u32, u32>,
    processor_features: u64,
    entry_stubs: Vec<Option<u32>>,
    adapters: Vec<Option<u32>>,
    code: Registration,
    names: OnceLock<Names>,
    /// Of the memories defined here; none at all where none of them has one. Made for the first instance.
    images: OnceLock<Box<[Option<Image>]>>,
    /// Of the functions that can be referred to, by place.
    references: Box<[Reference]>,
    #[cfg(feature = "dwarf")]
    debug: Option<debug::Debug>,
}

/// What is the same in every instance of a function that can be referred to.
#[derive(Clone, Copy)]
pub(crate) struct Reference {
    /// Offset of the code that calls from elsewhere enter.
    pub(crate) entry: u32,
    /// Offset of the function.
    pub(crate) code: u32,
    pub(crate) signature: u32,
}

/// A module's code, compiled or loaded.
struct Code {
    processor_features: u64,
    entry_stubs: Vec<Option<u32>>,
    adapters: Vec<Option<u32>>,
    info: CodeInfo,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Module {
    /// Compiles a module, binary or in the text format.
    ///
    /// # Errors
    /// [`Parse`](Error::Parse), [`Invalid`](Error::Invalid), [`Unsupported`](Error::Unsupported), and
    /// [`Limit`](Error::Limit) where a function is too large for the compiler or the system gives no memory.
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Module> {
        Module::from_binary(engine, &to_binary(bytes.as_ref())?)
    }

    /// Compiles the module in a file, binary or in the text format.
    ///
    /// # Errors
    /// As for [`Module::new`], and [`Host`](Error::Host) for a file that cannot be read.
    pub fn from_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Module> {
        Module::new(engine, std::fs::read(path)?)
    }

    /// The type of an export, by name.
    #[must_use]
    pub fn get_export(&self, name: &str) -> Option<ExternType> {
        self.0.info.export(name).map(|item| self.0.info.item_type(item))
    }

    /// Compiles a module in the binary format.
    ///
    /// # Errors
    /// As for [`Module::new`].
    pub fn from_binary(engine: &Engine, bytes: &[u8]) -> Result<Module> {
        let (info, functions, kept) = parse(engine, bytes)?;
        let env = info.env(engine);
        let code = jit::compile(&env, engine.target(), functions, engine.config().threads())?;
        let memory = CodeMemory::new(code.text)?;
        let parts = Code {
            processor_features: code.processor_features,
            entry_stubs: code.entry_stubs,
            adapters: code.adapters,
            info: CodeInfo {
                memory,
                functions: code.functions.into(),
                stubs: code.stubs.into(),
                unwind: code.unwind,
                trap_exit: code.trap_exit,
            },
        };
        Ok(Module::with_code(engine, info, kept, parts))
    }

    fn with_code(engine: &Engine, info: ModuleInfo, kept: Bytes, code: Code) -> Module {
        let types = info.signatures.iter().zip(0..).map(|(&id, index)| (id, index)).collect();
        let references = references(&info, &code);
        let module = Module(Arc::new(Inner {
            engine: engine.clone(),
            layout: info.layout(),
            info,
            #[cfg(feature = "dwarf")]
            debug: debug::Debug::new(&kept),
            kept,
            types,
            processor_features: code.processor_features,
            entry_stubs: code.entry_stubs,
            adapters: code.adapters,
            code: Registration::new(code.info),
            names: OnceLock::new(),
            images: OnceLock::new(),
            references,
        }));
        if let Some(profile) = engine.profile() {
            profile.load(module.loaded());
        }
        module
    }

    /// Its functions, and the code between instances, as a profile shows them.
    fn loaded(&self) -> impl Iterator<Item = Loaded<'_>> {
        let (code, names) = (self.code(), self.names());
        let loaded = |name, place: FunctionCode| Loaded {
            name,
            address: code.memory.base() + place.start as usize,
            code: &code.memory.bytes()[place.start as usize..place.end as usize],
        };
        let name = move |index: u32| match names.functions.get(&index) {
            Some(name) => name.to_string(),
            None => format!("wasm-function[{index}]"),
        };
        let functions = (self.0.info.imported_functions as u32..).zip(code.functions.iter());
        let stubs = code.stubs.iter().map(move |&place| loaded("wasm-adapter".to_owned(), place));
        functions.map(move |(index, &place)| loaded(name(index), place)).chain(stubs)
    }

    /// Whether `bytes` are a valid module for the engine, without compiling it.
    ///
    /// # Errors
    /// As for [`Module::new`].
    pub fn validate(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<()> {
        let bytes = to_binary(bytes.as_ref())?;
        let (_, functions, _) = parse(engine, &bytes)?;
        let mut allocations = Default::default();
        for (function, body) in functions {
            let mut validator = function.into_validator(allocations);
            validator.validate(&body)?;
            allocations = validator.into_allocations();
        }
        Ok(())
    }

    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// What it imports, in order.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = ImportType<'_>> {
        self.0.info.imports.iter().map(|import| ImportType {
            module: &import.module,
            name: &import.name,
            ty: import.ty.clone(),
        })
    }

    /// The memories that it has of its own.
    pub fn memories(&self) -> impl ExactSizeIterator<Item = MemoryType> {
        let info = &self.0.info;
        info.memories[info.imported_memories..].iter().cloned()
    }

    /// What it exports, in order.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = ExportType<'_>> {
        let info = &self.0.info;
        info.exports.iter().map(|(name, item)| ExportType { name, ty: info.item_type(*item) })
    }

    /// Its name, if its name section has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.names().module.as_deref()
    }

    fn names(&self) -> &Names {
        self.0.names.get_or_init(|| self.0.info.names.as_deref().map(Names::parse).unwrap_or_default())
    }

    #[inline]
    pub(crate) fn info(&self) -> &ModuleInfo {
        &self.0.info
    }

    #[inline]
    pub(crate) fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// Canonical signature ids by type index.
    pub(crate) fn signatures(&self) -> &[u32] {
        &self.0.info.signatures
    }

    fn code(&self) -> &CodeInfo {
        self.0.code.info()
    }

    fn type_index(&self, signature: u32) -> usize {
        *self.0.types.get(&signature).expect("a function's signature is one of its module's types") as usize
    }

    pub(crate) fn type_by_signature(&self, signature: u32) -> &FuncType {
        &self.0.info.types[self.type_index(signature)]
    }

    /// What enters functions of this signature.
    pub(crate) fn entry_stub(&self, signature: u32) -> EntryStub {
        let wanted = |(&id, &stub): (&u32, &Option<u32>)| stub.filter(|_| id == signature);
        let offset = self.0.info.signatures.iter().zip(&self.0.entry_stubs).find_map(wanted);
        let address = self.code().memory.at(offset.expect("a function that can be referred to has an entry stub"));
        // SAFETY: the compiler put an entry stub there, and the code is executable as long as the module lives.
        unsafe { std::mem::transmute::<*const u8, EntryStub>(address) }
    }

    /// What instances know of the functions that can be referred to, by place.
    pub(crate) fn references(&self) -> &[Reference] {
        &self.0.references
    }

    pub(crate) fn code_memory(&self) -> &CodeMemory {
        &self.code().memory
    }

    /// The image that a memory defined here begins with, if it has one.
    pub(crate) fn image(&self, defined: usize) -> Option<&Image> {
        self.0.images.get_or_init(|| self.0.info.images()).get(defined)?.as_ref()
    }

    /// The function that `pc` is in, if it is this module's.
    pub(crate) fn frame_at(&self, pc: usize) -> Option<Frame> {
        let (defined, pc_offset) = self.code().function_at(pc)?;
        let func_index = (defined + self.0.info.imported_functions) as u32;
        Some(Frame {
            func_index,
            func_name: self.names().functions.get(&func_index).map(|name| name.to_string()),
            module_name: self.name().map(String::from),
            pc_offset,
            source: Source(Some(self.clone())),
        })
    }

    /// What the source has at a place in a function's machine code, if the module says.
    pub(crate) fn symbols(&self, func_index: u32, pc_offset: u32) -> Arc<[Symbol]> {
        #[cfg(feature = "dwarf")]
        if let Some(debug) = &self.0.debug {
            let place = func_index as usize - self.0.info.imported_functions;
            let code = self.code().functions[place];
            let bytes = &self.code().memory.bytes()[code.start as usize..code.end as usize];
            return debug.symbols(&self.0.engine, place, pc_offset, bytes);
        }
        _ = (func_index, pc_offset);
        Arc::new([])
    }
}

fn references(info: &ModuleInfo, code: &Code) -> Box<[Reference]> {
    let mut references = vec![Reference { entry: 0, code: 0, signature: 0 }; info.escaping.iter().flatten().count()];
    for (function, place) in
        info.escaping.iter().enumerate().filter_map(|(function, place)| Some((function, (*place)?)))
    {
        let ty = info.functions[function] as usize;
        references[place as usize] = Reference {
            entry: code.adapters[ty].expect("a function that can be referred to has an adapter"),
            code: code.info.functions[function - info.imported_functions].start,
            signature: info.signatures[ty],
        };
    }
    references.into()
}

impl From<CompileError> for Error {
    fn from(error: CompileError) -> Error {
        match error {
            CompileError::Invalid(error) => error.into(),
            CompileError::Limit(function, what) => Error::Limit(format!("function {function}: {what}")),
            CompileError::Unsupported(function, what) => {
                let operator = what.trim_start_matches("visit_");
                Error::Unsupported(format!("function {function}: the operator {operator} of garbage collection"))
            }
            CompileError::Processor(what) => Error::Unsupported(what.into()),
        }
    }
}
