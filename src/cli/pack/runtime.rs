//! The runtime of a self-contained executable: a file of `kitbag-tool`.

use std::path::{Path, PathBuf};

use kitbag::jit::Target;

use crate::cli::report::{Failure, cause};

/// What it is called, the one that needs no libraries first.
const NAMES: [&str; 2] = ["kitbag-tool-static", "kitbag-tool"];

/// What distinguishes ELF files, and machines in them.
const ELF: &[u8] = b"\x7fELF";
const MACHINES: [(u16, &str); 2] = [(62, "x86_64"), (183, "aarch64")];

/// A runtime.
pub(super) struct Runtime {
    pub(super) bytes: Vec<u8>,
    /// The machine that it is for.
    pub(super) machine: &'static str,
}

impl Runtime {
    /// Reads the one at `path`, or else the one beside this command.
    ///
    /// # Errors
    /// One that is not there or is not one of this build.
    pub(super) fn find(path: Option<&Path>) -> Result<Runtime, Failure> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => beside_this().ok_or_else(|| {
                let advice = "`cargo install` puts one there; or name one with --runtime";
                Failure::new("no runtime", "there is no kitbag-tool beside this command", advice)
            })?,
        };
        let bytes = std::fs::read(&path).map_err(|error| Failure::new("cannot read", path.display(), cause(&error)))?;
        let refuse = |why: &str| Failure::new("not a runtime", path.display(), why);
        let machine = machine(&bytes).ok_or_else(|| refuse("it is no ELF file of a machine that is known here"))?;
        if !holds(&bytes, kitbag::BUILD.as_bytes()) {
            return Err(refuse("it is not of the same build as this command; build both together"));
        }
        if bytes[bytes.len().saturating_sub(1 << 16)..].windows(4).any(|bytes| bytes == b"PK\x05\x06") {
            return Err(refuse("it carries an archive already"));
        }
        Ok(Runtime { bytes, machine })
    }

    /// What its native code is compiled for: this processor if it can be, unless it is to run on each of its kind.
    pub(super) fn target(&self, portable: bool) -> Option<Target> {
        let host = Target::host();
        if self.machine == host.name() && !portable { Some(host) } else { Target::named(self.machine) }
    }
}

fn beside_this() -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.to_owned();
    NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

fn machine(bytes: &[u8]) -> Option<&'static str> {
    let number = bytes.get(18..20).filter(|_| bytes.starts_with(ELF))?;
    let number = u16::from_le_bytes([number[0], number[1]]);
    MACHINES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|bytes| bytes == part)
}
