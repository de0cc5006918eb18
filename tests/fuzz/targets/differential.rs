//! Modules and arguments drawn together, in kitbag and in wasmi; inputs that begin with [`RELAXED`] are a relaxed operator each.

#![no_main]

use kitbag_fuzz::{Case, Language, compare_relaxed};

const RELAXED: u8 = 0xF8;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((&RELAXED, rest)) = bytes.split_first() {
        if let Err(difference) = compare_relaxed(rest) {
            panic!("{difference}");
        }
    } else if let Some(case) = Case::new(bytes, Language::Common)
        && let Err(difference) = case.compare()
    {
        panic!("{difference}\n{}", case.describe());
    }
});
