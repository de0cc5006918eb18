//! The same with exceptions and typed references, in kitbag and in wasmtime.

#![no_main]

use kitbag_fuzz::{Case, Language};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(case) = Case::new(bytes, Language::Exceptions)
        && let Err(difference) = case.compare()
    {
        panic!("{difference}\n{}", case.describe());
    }
});
