//! The same operations on two file systems, the kernel's among them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kitbag_fuzz::files::compare_operations(bytes));
