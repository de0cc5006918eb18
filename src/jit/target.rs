//! The machines that code is produced for. Either machine's code can be produced on either: which one is chosen once for a
//! module, and all behind that choice is compiled for each of them.

use super::buffer::Buffer;
use super::compile::{Driven as _, Driver};
use super::env::Signature;
use super::masm::Masm;
use super::reg::RegSet;
use super::{aarch64, x86_64};

/// A machine, and what its processor is taken to have.
#[derive(Clone, Copy, Debug)]
pub struct Target(pub(super) Processor);

#[derive(Clone, Copy, Debug)]
pub(super) enum Processor {
    X86_64(x86_64::Features, &'static Driver<x86_64::Features>),
    Aarch64(aarch64::Features, &'static Driver<aarch64::Features>),
}

fn x86_64(features: x86_64::Features) -> Target {
    Target(Processor::X86_64(features, x86_64::Assembler::DRIVER))
}

fn aarch64(features: aarch64::Features) -> Target {
    Target(Processor::Aarch64(features, aarch64::Assembler::DRIVER))
}

impl Default for Target {
    fn default() -> Target {
        Target::host()
    }
}

impl Target {
    /// The machines that there is a compiler for.
    pub const NAMES: [&str; 2] = ["x86_64", "aarch64"];

    /// This machine, with all that its processor has.
    #[must_use]
    pub fn host() -> Target {
        #[cfg(target_arch = "x86_64")]
        return x86_64(x86_64::Features::detect());
        #[cfg(target_arch = "aarch64")]
        return aarch64(aarch64::Features::detect());
    }

    /// A machine of [`Target::NAMES`], with no more than each of its processors that kitbag runs on has.
    #[must_use]
    pub fn named(name: &str) -> Option<Target> {
        match name {
            "x86_64" => Some(x86_64(x86_64::Features::floor())),
            "aarch64" => Some(aarch64(aarch64::Features::floor())),
            _ => None,
        }
    }

    /// A machine of [`Target::NAMES`], with all that the compiler knows of: its code is the same wherever it is made, and is
    /// to be looked at.
    #[must_use]
    pub fn newest(name: &str) -> Option<Target> {
        match name {
            "x86_64" => Some(x86_64(x86_64::Features::newest())),
            "aarch64" => Some(aarch64(aarch64::Features::newest())),
            _ => None,
        }
    }

    /// Its name in [`Target::NAMES`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Processor::X86_64(..) => "x86_64",
            Processor::Aarch64(..) => "aarch64",
        }
    }

    /// Whether its code can run here, as far as the machine decides that.
    #[must_use]
    pub fn is_host(self) -> bool {
        self.name() == std::env::consts::ARCH
    }

    /// Without these features, as far as it has them.
    #[must_use]
    pub fn without(mut self, names: &[String]) -> Target {
        for name in names {
            self.feature(name).into_iter().for_each(|has| *has = false);
        }
        self
    }

    /// What its processor is taken to have, a bit for each: their places and meaning are the machine's and never change.
    #[must_use]
    pub fn features(self) -> u64 {
        match self.0 {
            Processor::X86_64(features, _) => features.bits(),
            Processor::Aarch64(features, _) => features.bits(),
        }
    }

    /// The names of such features of this machine.
    #[must_use]
    pub fn feature_names(self, features: u64) -> String {
        let names: &[&str] = match self.0 {
            Processor::X86_64(..) => &x86_64::Features::NAMES,
            Processor::Aarch64(..) => &aarch64::Features::NAMES,
        };
        let named = names.iter().enumerate().filter(|(place, _)| features >> place & 1 != 0);
        named.map(|(_, &name)| name).collect::<Vec<_>>().join(", ")
    }

    fn feature(&mut self, name: &str) -> Option<&mut bool> {
        match &mut self.0 {
            Processor::X86_64(features, _) => features.named(name),
            Processor::Aarch64(features, _) => features.named(name),
        }
    }
}

/// Whether the compiler uses a feature of this name, on a machine whose processor has it.
#[must_use]
pub fn is_processor_feature(name: &str) -> bool {
    x86_64::Features::floor().named(name).is_some() || aarch64::Features::floor().named(name).is_some()
}

/// A call or jump to another function, whose distance waits for that function's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relocation {
    /// Where the distance is written.
    pub(crate) field: u32,
    pub(crate) function: u32,
}

/// An assembler as the driver sees it: what it is made from and leaves, and the code around functions.
pub(crate) trait Backend: Masm + Send {
    type Features: Copy + Send + Sync;

    /// Code of a module, at most: as far as calls within it reach.
    const MODULE_MAX: u32;
    /// Lies between functions, where nothing is executed.
    const FILL: u8;

    /// For code of about `size` bytes.
    fn new(features: Self::Features, size: usize) -> Self;
    fn code(&self) -> &[u8];
    fn into_code(self) -> Buffer;
    fn relocations(&self) -> &[Relocation];
    /// Fills in the distance from `field` to `target`.
    fn relocate(text: &mut [u8], field: u32, target: u32);

    /// Where a trap leaves compiled code: the stack pointer is the one that an entry stub kept.
    fn trap_exit(&mut self);
    /// An [`EntryStub`](super::abi::EntryStub) for one type, with at least `area` bytes for stack arguments.
    fn entry_stub(&mut self, signature: &Signature, area: u32);
    /// The registers that an adapter saves.
    const ADAPTER_SAVED: RegSet;
    /// The [`FuncRef::entry`](super::abi::FuncRef::entry) of compiled functions of one type: switches to the callee's instance and
    /// back. Has at least `area` bytes for stack arguments; gives the size of its frame.
    fn adapter(&mut self, signature: &Signature, area: u32) -> u32;
    /// The [`FuncRef::entry`](super::abi::FuncRef::entry) of a host function that takes an array.
    fn host_stub(&mut self, signature: &Signature);
}
