//! Self-contained executables: a runtime and a bundle in one file, with native code in it.
//!
//! The bundle is a zip archive behind the runtime, its offsets counted from the beginning of the file, so that other tools read it,
//! too. Its native code lies at `.kitbag/native/MACHINE/MODULE`, stored and at the start of a page, and is mapped from there into execution.
//! Native code of any other bundle is never used, whatever it says of itself.
//!
//! # Safety
//! A process runs its own file anyway, so that there is nobody to distrust in it; the system refuses to write to it meanwhile.

#![allow(unsafe_code, reason = "maps and runs the process' own file; see the module's Safety section")]

use std::fs::File;
use std::io;
use std::sync::Arc;

use kitbag_fs::zip::{Method, Options, Zip, ZipError};
use kitbag_fs::{Bytes, Path};

use super::{Bundle, Error};
use crate::code::FileMapping;
use crate::{Engine, Module, ModuleId, NativeProblem, cache};

/// Where a bundle has the native code of a module, if it has any.
#[must_use]
pub fn native_path(machine: &str, module: &str) -> String {
    format!("{NATIVE}/{machine}/{module}")
}

/// The folder of native code in a bundle.
pub const NATIVE: &str = ".kitbag/native";

/// Why an executable is no self-contained one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnFile {
    /// It cannot be read.
    #[error("it cannot read its own file: {0}")]
    Unreadable(#[from] io::Error),
    /// There is no whole archive at its end.
    #[error(
        "there is no archive at the end of its file; `strip` cuts it off, and so does a copy that is not whole: pack it again"
    )]
    NoArchive,
    /// The archive cannot be used.
    #[error("its archive: {0}")]
    Archive(ZipError),
    /// The archive is no bundle that can be used.
    #[error(transparent)]
    Bundle(#[from] Error),
}

/// This process' own file, as a bundle.
pub struct Executable {
    file: File,
    bytes: Bytes,
    archive: Zip,
    bundle: Bundle,
}

impl Executable {
    /// Opens it, under whatever name it was started or has been given since.
    ///
    /// # Errors
    /// [`OwnFile`].
    pub fn own() -> Result<Executable, OwnFile> {
        // The second is for where there is no /proc: the path that the process was started by.
        let file = File::open("/proc/self/exe").or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                File::open(std::path::Path::new(&*rustix::param::linux_execfn().to_string_lossy()))
            }
            _ => Err(error),
        })?;
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        // SAFETY: see the module's Safety section.
        let bytes = Bytes::from_owner(unsafe { FileMapping::new(&file, len)? });
        let archive = Zip::from_bytes(bytes.clone(), &Options::new().trusted(true)).map_err(|error| match error {
            ZipError::Archive(_) => OwnFile::NoArchive,
            error => OwnFile::Archive(error),
        })?;
        let bundle = Bundle::new(Arc::new(archive.clone()))?;
        Ok(Executable { file, bytes, archive, bundle })
    }

    /// What it carries.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// A module of the bundle: its native code if it fits, or else what the cache has or the compiler makes. `note` is told which,
    /// and why.
    ///
    /// # Errors
    /// A module that is not there, or that is not valid.
    pub fn module(
        &self,
        engine: &Engine,
        module: &str,
        cached: bool,
        mut note: impl FnMut(&str),
    ) -> crate::Result<Module> {
        match self.native(engine, module) {
            Ok(Some(native)) => {
                note("its native code comes out of the executable");
                return Ok(native);
            }
            Ok(None) => note("the executable has no native code of it for this machine"),
            Err(error) => note(&format!("the executable's native code is not used: {error}")),
        }
        let bytes = self.bundle.read(module).map_err(crate::Error::host)?;
        let compile = || Module::from_binary(engine, &bytes);
        if cached { cache::module(engine, &bytes, compile, note) } else { compile() }
    }

    fn native(&self, engine: &Engine, module: &str) -> crate::Result<Option<Module>> {
        let path = native_path(std::env::consts::ARCH, module);
        let raw = |path: &str| Path::new(path.as_bytes()).ok().and_then(|path| self.archive.raw(path).ok());
        let (Some(native), Some(wasm)) = (raw(&path), raw(module)) else { return Ok(None) };
        if native.method != Method::Stored {
            return Err(NativeProblem::Damaged("it is compressed").into());
        }
        // Both lie in the same archive, whose checksums were those of the packer: no need to read the whole module.
        let belongs = |id: &ModuleId| id.crc == wasm.crc && id.len == wasm.metadata.size;
        let offset = native.data.as_ptr().addr() - self.bytes.as_ptr().addr();
        // SAFETY: see the module's Safety section.
        unsafe { Module::native_in_file(engine, native.data, &self.file, offset as u64, belongs).map(Some) }
    }
}
