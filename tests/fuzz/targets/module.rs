//! Any bytes at all: a module or an error, and never anything else.

#![no_main]

use kitbag::{Config, Engine, Module};
use std::sync::OnceLock;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| Engine::new(Config::new().compile_threads(1)).expect("an engine"));
    if let Err(error) = Module::new(engine, bytes) {
        assert!(!error.to_string().is_empty());
    }
});
