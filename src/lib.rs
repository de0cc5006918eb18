//! Kitbag runs WebAssembly programs on a file system that you pack yourself.

#[cfg(feature = "bundle")]
pub mod bundle;
pub mod jit;
pub mod wasi;
