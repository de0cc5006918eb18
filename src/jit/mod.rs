//! The compiler: validated functions in, position-independent machine code out, in one pass.
//!
//! It knows nothing of stores, files or WASI; [`abi`] is all that it shares with the runtime.
//!
//! # Where the time goes
//!
//! `cargo bench --bench compile` compares compiling with wasmparser's validation of the same bytes, which takes some 165
//! instructions and 16 ns an operator on SQLite. Compiling takes 2.7 times as long in the geometric mean of four programs (it
//! was 3.1 times), and of that (by samples on one thread, in percent of the whole):
//!
//! | | SQLite, 1.3 MB | Python, 26 MB | Yosys, 31 MB |
//! |---|---|---|---|
//! | first pass: validation (`scan`) | 15 | 18 | 15 |
//! | first pass: reading, counting, and what of validation is inlined there | 18 | 15 | 17 |
//! | second pass: reading and dispatch (`walk`) | 13 | 9 | 11 |
//! | second pass: the value stack, registers, branches | 35 | 33 | 34 |
//! | second pass: encoding (`x86_64`) | 15 | 11 | 14 |
//! | the kernel: pages of code and of copied data, touched first | 2 | 9 | 7 |
//! | parsing of the other sections, copying, the rest | 2 | 6 | 2 |
//!
//! So the first pass, reading by hand, costs a little less than validation does by itself; the second is the larger half.
//! What helped, in order: reading short immediates by hand in the first pass as in the second (0.35 of the ratio); emitting
//! into the memory that becomes the code, in huge pages (up to 0.3 for Yosys, whose code is by far the longest; most of what
//! the kernel still takes is clearing it); knowing where a value is when it is pushed and not when it is taken;
//! instructions put together in words; kinds and sizes known where the operator is. Both dispatches jump by opcode, and no
//! predictor knows the next one: that is probably the better part of their share (it was inferred, not counted), and the
//! price of a second pass. One
//! pass would have to choose registers for locals before it has seen their uses, which costs the code that it makes far
//! more. Tried and lost: leaving out SIB bytes and displacements that an address does not need, by branches that cannot be
//! foreseen.

mod aarch64;
pub mod abi;
mod arrays;
mod buffer;
mod compile;
mod convention;
mod env;
mod fuel;
mod lanes;
mod masm;
mod moves;
mod ops;
mod pins;
mod positions;
mod reciprocal;
mod reg;
mod scan;
mod state;
mod target;
pub mod unwind;
mod walk;
mod x86_64;

pub use buffer::Buffer;
pub(crate) use buffer::Mapping;
pub use compile::{compile, host_stub, positions};
pub use env::{Env, GlobalEnv, Kind, MemoryEnv, Signature, TableEnv};
pub use positions::{Origin, Span};
pub use target::{Target, is_processor_feature};

use wasmparser::{BinaryReaderError, FuncToValidate, FunctionBody, ValidatorResources};

/// A module's code. Offsets are into `text`, which runs at any address that is a multiple of 16.
#[derive(Debug, Default)]
pub struct Code {
    /// Machine code, with the tables of `br_table` and the constants between it; only ever read and executed.
    pub text: Buffer,
    /// The defined functions, in order of index and of address.
    pub functions: Vec<FunctionCode>,
    /// By type index: where an [`abi::EntryStub`] for functions of the type begins, if one of them is escaping.
    pub entry_stubs: Vec<Option<u32>>,
    /// By type index: the [`abi::FuncRef::entry`] of functions of the type, if one of them is escaping.
    pub adapters: Vec<Option<u32>>,
    /// The adapters in order of address, for whoever walks frames.
    pub stubs: Vec<FunctionCode>,
    /// Where exceptions are caught.
    pub unwind: unwind::Unwind,
    /// Where a trap continues, with the stack pointer set to [`abi::Activation::stack_pointer`].
    pub trap_exit: u32,
    /// The features of the processor that it may use, as bits: see [`Target::features`].
    pub processor_features: u64,
}

/// Where a function is. The stack pointer of its caller, at any instruction that can trap or call, is
/// `frame + 8` above its own: there the return address lies just below it. On aarch64 a function that calls nothing does not keep it
/// there; its frame is a multiple of 16, as the others' are not, and the caller's stack pointer is just `frame` above.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct FunctionCode {
    /// Its first byte: where calls of its instance enter it.
    pub start: u32,
    /// Past its last.
    pub end: u32,
    /// Bytes between the stack pointer of its body and its return address; 0 applies instead where the trap
    /// is [`abi::TrapCode::StackOverflow`].
    pub frame: u32,
    /// The registers of its caller that its prologue saved, as bits by their numbers. They lie below the return address, the one with
    /// the lowest number first.
    pub saved: u32,
}

/// Why a module was not compiled.
#[derive(Clone, Debug)]
pub enum CompileError {
    /// A function is not valid.
    Invalid(BinaryReaderError),
    /// A limit of the compiler: the function, and what about it.
    Limit(u32, &'static str),
    /// What the processor lacks.
    Processor(&'static str),
    /// A function has an operator that is valid but not here: the function, and the operator.
    Unsupported(u32, &'static str),
}

impl From<BinaryReaderError> for CompileError {
    fn from(error: BinaryReaderError) -> CompileError {
        CompileError::Invalid(error)
    }
}

/// A function to compile: what validates it, and its body.
pub type Function<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// A host function that takes its parameters as an array of 16-byte values and leaves its results there. A pointer to it is what
/// [`abi::FuncRef::context`] of such a function points to. Of what it gives, only [`abi::Returned::status`] counts.
pub type HostArrayCall =
    unsafe extern "C" fn(*const abi::FuncRef, *mut abi::Context, *mut abi::Global) -> abi::Returned;
