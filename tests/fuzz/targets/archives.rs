//! Any bytes as an archive, and archives with one thing wrong: what can be read reads alike in every way.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(archive) = kitbag_fuzz::files::archive(bytes) {
        kitbag_fuzz::files::read_alike(archive);
    }
});
