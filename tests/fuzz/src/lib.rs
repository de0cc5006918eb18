//! Cases for the compiler, drawn from a fuzzer's bytes, and the comparison with an engine that we did not write.
//!
//! | part | what |
//! |---|---|
//! | [`case`] | a module, arguments and settings, from bytes |
//! | [`smith`] | modules by wasm-smith: every operator, any nesting |
//! | [`dense`] | modules of our own: few traps, long lives, many values at once, every local seen in the end |
//! | [`compare`] | both engines in lock-step |
//! | [`engines`] | kitbag and wasmi behind one trait |

mod case;
mod compare;
mod dense;
mod engines;
mod smith;

pub use case::Case;
pub use compare::Tally;
