//! Modules and arguments drawn together, in kitbag and in wasmi.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(case) = kitbag_fuzz::Case::new(bytes) {
        if let Err(difference) = case.compare() {
            panic!("{difference}\n{}", case.describe());
        }
    }
});
