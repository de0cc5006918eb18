//! Modules as native code in files, and back.
//!
//! # Safety
//! Who loads native code vouches that it is what [`Module::serialize`] gave, wherever it was meanwhile, and that the file that
//! it is mapped from is not changed in place.

#![allow(unsafe_code, reason = "runs code that comes from elsewhere; see the module's Safety section")]

use std::fs::File;
use std::path::Path;

use kitbag_fs::Bytes;

use super::{Code, Module, parse, text};
use crate::code::{CodeInfo, CodeMemory, FileMapping};
use crate::jit::{self, Buffer, Target};
use crate::native::{Contents, ModuleId, Native, NativeProblem};
use crate::{Engine, Error, Result};

impl Module {
    /// The module as native code, to be loaded by the same build of kitbag on a machine that can do what this one can.
    ///
    /// ```
    /// use kitbag::{Engine, Module};
    ///
    /// let engine = Engine::default();
    /// let bytes = Module::new(&engine, "(module (func (export \"f\")))")?.serialize()?;
    /// // SAFETY: these bytes are what `serialize` gave.
    /// let module = unsafe { Module::deserialize(&engine, &bytes)? };
    /// assert_eq!(module.exports().next().map(|export| export.name), Some("f"));
    /// # Ok::<(), kitbag::Error>(())
    /// ```
    ///
    /// # Errors
    /// None at present; wasmtime's has some.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        let mut bytes = self.native_head(ModuleId::default());
        bytes.extend_from_slice(self.native_text());
        Ok(bytes)
    }

    /// What comes before the text, marked as belonging to a module of this identity.
    pub(crate) fn native_head(&self, module: ModuleId) -> Vec<u8> {
        let (inner, code) = (&*self.0, self.code());
        let contents = Contents {
            module,
            machine: inner.engine.target().name(),
            processor: inner.processor_features,
            text: code.memory.bytes(),
            trap_exit: code.trap_exit,
            functions: &code.functions,
            stubs: &code.stubs,
            unwind: &code.unwind,
            entry_stubs: &inner.entry_stubs,
            adapters: &inner.adapters,
            kept: &inner.kept,
        };
        contents.head(&inner.engine)
    }

    pub(crate) fn native_text(&self) -> &[u8] {
        self.code().memory.bytes()
    }

    /// Native code of a module, binary or text, for any machine.
    pub(crate) fn precompile(engine: &Engine, target: Target, bytes: &[u8]) -> Result<Vec<u8>> {
        let binary = text::to_binary(bytes)?;
        let (info, functions, kept) = parse::parse(engine, &binary)?;
        let code = jit::compile(&info.env(engine), target, functions, engine.config().threads())?;
        let contents = Contents {
            module: ModuleId::of(bytes),
            machine: target.name(),
            processor: code.processor_features,
            text: &code.text,
            trap_exit: code.trap_exit,
            functions: &code.functions.into(),
            stubs: &code.stubs.into(),
            unwind: &code.unwind,
            entry_stubs: &code.entry_stubs,
            adapters: &code.adapters,
            kept: &kept,
        };
        let mut bytes = contents.head(engine);
        bytes.extend_from_slice(&code.text);
        Ok(bytes)
    }

    /// A module from native code, which is copied. Nothing is validated or compiled.
    ///
    /// # Errors
    /// [`Native`](Error::Native), where it is damaged or does not fit, and [`Limit`](Error::Limit).
    ///
    /// # Safety
    /// The bytes are what [`serialize`](Module::serialize) or [`Engine::precompile_module`] gave: they become code that can do whatever
    /// this process can. What is checked shows mistakes, not malice.
    pub unsafe fn deserialize(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Module> {
        let native = Native::open(engine, Bytes::copy_from_slice(bytes.as_ref()))?;
        let memory = CodeMemory::new(Buffer::from(native.text()))?;
        Module::from_native(engine, native, memory)
    }

    /// A module from a file of native code, which is mapped: processes that run it share its pages.
    ///
    /// # Errors
    /// As for [`deserialize`](Module::deserialize), and [`Host`](Error::Host) for a file that cannot be read.
    ///
    /// # Safety
    /// As for [`deserialize`](Module::deserialize); also, the file is not changed in place while the module lives. (Replacing it by
    /// another is no such change.)
    pub unsafe fn deserialize_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Module> {
        let file = File::open(path)?;
        // SAFETY: the caller's promise.
        unsafe { Module::map_native(engine, &file, |_| true) }
    }

    /// A module from an open file of native code, which is mapped, if it belongs to a module that is wanted.
    ///
    /// # Safety
    /// As for [`deserialize_file`](Module::deserialize_file).
    pub(crate) unsafe fn map_native(
        engine: &Engine,
        file: &File,
        wanted: impl FnOnce(&ModuleId) -> bool,
    ) -> Result<Module> {
        let len = usize::try_from(file.metadata()?.len()).map_err(|_| NativeProblem::NotNative)?;
        if len == 0 {
            return Err(NativeProblem::NotNative.into());
        }
        // SAFETY: the caller's promise.
        let bytes = Bytes::from_owner(unsafe { FileMapping::new(file, len)? });
        // SAFETY: as above.
        unsafe { Module::native_in_file(engine, bytes, file, 0, wanted) }
    }

    /// A module from native code that begins at `offset` of a file, and whose bytes are `bytes`, if it belongs to a module that is
    /// wanted.
    ///
    /// # Safety
    /// As for [`deserialize_file`](Module::deserialize_file).
    pub(crate) unsafe fn native_in_file(
        engine: &Engine,
        bytes: Bytes,
        file: &File,
        offset: u64,
        wanted: impl FnOnce(&ModuleId) -> bool,
    ) -> Result<Module> {
        let native = Native::open(engine, bytes)?;
        if !wanted(&native.header.module) {
            return Err(NativeProblem::OtherModule.into());
        }
        let text = native.header.text;
        let range = offset + text.start..offset + text.start + text.len;
        // SAFETY: the caller's promise.
        let mapped = unsafe { CodeMemory::map(file, range) };
        // Where it cannot be mapped, as on a file system from which nothing is executed, it is copied.
        let memory = mapped.or_else(|_| CodeMemory::new(Buffer::from(native.text())))?;
        Module::from_native(engine, native, memory)
    }

    fn from_native(engine: &Engine, native: Native, memory: CodeMemory) -> Result<Module> {
        let kept = native.kept();
        let info = parse::parse_kept(engine, &kept)?;
        let code = Code {
            processor_features: native.header.processor,
            entry_stubs: native.entry_stubs().collect(),
            adapters: native.adapters().collect(),
            info: CodeInfo {
                memory,
                functions: native.functions,
                stubs: native.stubs,
                unwind: native.unwind,
                trap_exit: native.header.trap_exit,
            },
        };
        let types = info.types.len();
        let counts = [code.info.functions.len(), code.entry_stubs.len(), code.adapters.len()];
        if counts != [info.functions.len() - info.imported_functions, types, types] {
            return Err(Error::Native(NativeProblem::Damaged("its tables are not those of its module")));
        }
        Ok(Module::with_code(engine, info, kept, code))
    }
}
