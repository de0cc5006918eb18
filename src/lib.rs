//! Kitbag runs WebAssembly programs on a file system that you pack yourself.

pub mod jit;
