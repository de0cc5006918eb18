//! Operations on file systems, and archives, drawn from a fuzzer's bytes.
//!
//! | part | what |
//! |---|---|
//! | [`operations`](mod@operations) | sequences of operations |
//! | [`worlds`] | two file systems that have to answer alike, one of them the kernel's where there is one |
//! | [`outline`](mod@outline) | what a tree shows |
//! | [`archives`] | zip archives, whole and broken, and how they are read |

mod archives;
mod operations;
mod outline;
mod worlds;

pub use archives::{archive, read_alike};
pub use worlds::compare_operations;
