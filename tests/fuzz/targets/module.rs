//! Any bytes at all: a module or an error, and never anything else.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    kitbag_fuzz::bytes::load(bytes);
});
