//! Cases for the compiler, drawn from a fuzzer's bytes, and the comparison with an engine that we did not write; and cases for
//! file systems.
//!
//! | part | what |
//! |---|---|
//! | [`case`] | a module, arguments and settings, from bytes |
//! | [`smith`] | modules by wasm-smith: every operator, any nesting |
//! | [`dense`] | modules of our own: few traps, long lives, many values at once, every local seen in the end |
//! | [`relaxed`] | relaxed operators, of whose results any that is permitted will do |
//! | [`compare`] | two engines in lock-step |
//! | [`bytes`] | raw bytes as modules, for every machine |
//! | [`engines`] | kitbag, wasmi and wasmtime behind one trait |
//! | [`files`] | operations on file systems, and archives |

pub mod bytes;
mod case;
mod compare;
mod dense;
mod engines;
pub mod files;
mod relaxed;
mod smith;

pub use case::{Case, Language, expand};
pub use compare::Tally;
pub use relaxed::compare_relaxed;
