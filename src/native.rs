//! Native code that is kept in files: its form, and everything that is checked before any of it runs.
//!
//! One file, or one entry of a bundle, holds the code of one module for one kind of machine:
//!
//! | part | holds |
//! |---|---|
//! | header | magic, form, checksum, who made it for what (below), where the other parts are |
//! | functions, stubs | where functions and stubs are, four `u32` each, read in place |
//! | unwind | where exceptions are caught (see [`jit::unwind`](crate::jit::unwind)) |
//! | entry stubs, adapters | an offset in the text by type index, `u32::MAX` for none |
//! | kept | the module without bodies (see [`module::kept`](crate::module)), which types, imports, segments and names are read from |
//! | text | machine code, at a page of the largest size that the machine has, mapped from the file as it is |
//!
//! All numbers are little-endian. The text is position-independent and is never changed, so that processes share it.
//!
//! # Who is trusted
//!
//! Machine code can do anything that the process can, and no check makes a stranger's code harmless. So whoever loads it vouches
//! for where it comes from: [`Module::deserialize`](crate::Module::deserialize) is `unsafe`, and the command takes native code out of its own
//! executable and out of the user's own cache only. What is checked here is that it is whole, and that it fits: the same build
//! of kitbag (by a hash of its sources), machine, features of the processor, settings, and module. The checksum finds what was damaged; it
//! would not stop anybody.

mod header;

use std::fmt;

use kitbag_fs::Bytes;

pub(crate) use self::header::{Header, Span};
use crate::Engine;
use crate::code::Places;
use crate::jit::Target;
use crate::jit::unwind::Unwind;

/// Machines by name and by number in ELF.
const MACHINES: [(&str, u32); 2] = [("x86_64", 62), ("aarch64", 183)];

/// A machine's number.
fn machine_number(name: &str) -> u32 {
    MACHINES.iter().find(|(known, _)| *known == name).map_or(0, |(_, number)| *number)
}

/// A machine's largest page: where text begins.
fn page(machine: u32) -> usize {
    if machine == 62 { 4096 } else { 65536 }
}

/// Which module native code belongs to; all zero where nobody said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModuleId {
    /// The BLAKE3 hash of its bytes.
    pub hash: [u8; 32],
    /// How many they are.
    pub len: u64,
    /// Their CRC-32, as in zip archives.
    pub crc: u32,
}

impl ModuleId {
    /// Of a module's bytes.
    #[must_use]
    pub fn of(module: &[u8]) -> ModuleId {
        ModuleId { hash: *blake3::hash(module).as_bytes(), len: module.len() as u64, crc: crc32fast::hash(module) }
    }
}

/// Why native code is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NativeProblem {
    /// It is something else.
    NotNative,
    /// Another build of kitbag made it.
    OtherBuild,
    /// It is for another kind of machine.
    OtherMachine,
    /// It uses what this processor does not have, or what the engine was told to leave alone: names of features.
    Processor(String),
    /// The engine has other settings.
    OtherSettings,
    /// It belongs to another module.
    OtherModule,
    /// It is not whole: what of it.
    Damaged(&'static str),
}

impl fmt::Display for NativeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NativeProblem::NotNative => f.write_str("it is no native code of kitbag's"),
            NativeProblem::OtherBuild => f.write_str("another build of kitbag made it"),
            NativeProblem::OtherMachine => f.write_str("it is for another kind of machine"),
            NativeProblem::Processor(names) => write!(f, "it is for a processor with {names}"),
            NativeProblem::OtherSettings => f.write_str("it is for other settings of the engine"),
            NativeProblem::OtherModule => f.write_str("it belongs to another module"),
            NativeProblem::Damaged(what) => write!(f, "it is damaged: {what}"),
        }
    }
}

impl std::error::Error for NativeProblem {}

/// What native code says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NativeInfo {
    /// The machine: `x86_64`, `aarch64`, or its number in ELF.
    pub machine: String,
    /// The features of the processor that it uses.
    pub features: String,
    /// Bytes of machine code.
    pub text: u64,
    /// Functions.
    pub functions: u64,
    /// Which module it belongs to.
    pub module: ModuleId,
    /// Why this build would not use it here, with the default settings.
    pub problem: Option<NativeProblem>,
}

impl NativeInfo {
    /// Reads it from native code, wherever that comes from: nothing of it is run.
    ///
    /// # Errors
    /// [`NotNative`](NativeProblem::NotNative) and [`Damaged`](NativeProblem::Damaged), where there is nothing to read.
    pub fn of(bytes: &Bytes) -> Result<NativeInfo, NativeProblem> {
        let header = Header::parse(bytes)?;
        let known = MACHINES.iter().find(|(_, number)| *number == header.machine);
        let machine = known.map_or_else(|| format!("machine {}", header.machine), |(name, _)| (*name).to_owned());
        let features = Target::named(&machine).map(|target| target.feature_names(header.processor));
        Ok(NativeInfo {
            machine,
            features: features.unwrap_or_default(),
            text: header.text.len,
            functions: header.functions.len / size_of::<crate::jit::FunctionCode>() as u64,
            module: header.module,
            problem: Native::open(&Engine::default(), bytes.clone()).err(),
        })
    }
}

/// Native code that fits an engine and is whole.
pub(crate) struct Native {
    pub(crate) header: Header,
    bytes: Bytes,
    pub(crate) functions: Places,
    pub(crate) stubs: Places,
    pub(crate) unwind: Unwind,
}

impl Native {
    /// Checks the whole of it.
    ///
    /// # Errors
    /// The first thing that is not as it has to be.
    pub(crate) fn open(engine: &Engine, bytes: Bytes) -> Result<Native, NativeProblem> {
        let header = Header::parse(&bytes)?;
        header.fits(engine)?;
        header.check_sums(&bytes)?;
        let text = u32::try_from(header.text.len).map_err(|_| NativeProblem::Damaged("its text is too large"))?;
        let places = |span: Span| {
            let places = Places::from_bytes(bytes.slice(span.range()));
            places.filter(|places| places.are_in_order(text)).ok_or(NativeProblem::Damaged("its tables"))
        };
        let (functions, stubs) = (places(header.functions)?, places(header.stubs)?);
        let unwind = Unwind::from_bytes(&bytes[header.unwind.range()]);
        let unwind = unwind.filter(|unwind| unwind.is_within(text)).ok_or(NativeProblem::Damaged("its handlers"))?;
        let native = Native { header, bytes, functions, stubs, unwind };
        let offsets = native.entry_stubs().chain(native.adapters()).flatten();
        let inside = offsets.chain([header.trap_exit]).all(|offset| offset < text);
        if inside { Ok(native) } else { Err(NativeProblem::Damaged("its stubs")) }
    }

    /// The module without bodies.
    pub(crate) fn kept(&self) -> Bytes {
        self.bytes.slice(self.header.kept.range())
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.bytes[self.header.text.range()]
    }

    pub(crate) fn entry_stubs(&self) -> impl Iterator<Item = Option<u32>> + '_ {
        offsets(&self.bytes[self.header.entry_stubs.range()])
    }

    pub(crate) fn adapters(&self) -> impl Iterator<Item = Option<u32>> + '_ {
        offsets(&self.bytes[self.header.adapters.range()])
    }
}

fn offsets(bytes: &[u8]) -> impl Iterator<Item = Option<u32>> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|&word| Some(u32::from_le_bytes(word)).filter(|&offset| offset != u32::MAX))
}

fn offset_bytes(offsets: &[Option<u32>]) -> Vec<u8> {
    offsets.iter().flat_map(|offset| offset.unwrap_or(u32::MAX).to_le_bytes()).collect()
}

/// What native code is written from.
pub(crate) struct Contents<'a> {
    pub(crate) module: ModuleId,
    pub(crate) machine: &'static str,
    pub(crate) processor: u64,
    pub(crate) text: &'a [u8],
    pub(crate) trap_exit: u32,
    pub(crate) functions: &'a Places,
    pub(crate) stubs: &'a Places,
    pub(crate) unwind: &'a Unwind,
    pub(crate) entry_stubs: &'a [Option<u32>],
    pub(crate) adapters: &'a [Option<u32>],
    pub(crate) kept: &'a [u8],
}

impl Contents<'_> {
    /// Everything that comes before the text.
    pub(crate) fn head(&self, engine: &Engine) -> Vec<u8> {
        let machine = machine_number(self.machine);
        let mut bytes = vec![0; header::LEN];
        let mut add = |part: &[u8]| {
            bytes.resize(bytes.len().next_multiple_of(16), 0);
            let span = Span { start: bytes.len() as u64, len: part.len() as u64 };
            bytes.extend_from_slice(part);
            span
        };
        let (functions, stubs) = (add(&self.functions.to_bytes()), add(&self.stubs.to_bytes()));
        let (entry_stubs, adapters) = (add(&offset_bytes(self.entry_stubs)), add(&offset_bytes(self.adapters)));
        let (unwind, kept) = (add(&self.unwind.to_bytes()), add(self.kept));
        bytes.resize(bytes.len().next_multiple_of(page(machine)), 0);
        let header = Header {
            machine,
            build: header::build(),
            processor: self.processor,
            settings: engine.code_settings(),
            features: engine.config().features.bits(),
            module: self.module,
            text: Span { start: bytes.len() as u64, len: self.text.len() as u64 },
            functions,
            stubs,
            entry_stubs,
            adapters,
            unwind,
            kept,
            trap_exit: self.trap_exit,
            text_sum: crc32fast::hash(self.text),
        };
        header.write(&mut bytes);
        bytes
    }
}
