//! Modules and arguments drawn together, in kitbag and in wasmi.

#![no_main]

use kitbag_fuzz::{Case, Language};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(case) = Case::new(bytes, Language::Common)
        && let Err(difference) = case.compare()
    {
        panic!("{difference}\n{}", case.describe());
    }
});
