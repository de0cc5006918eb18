//! How long compiling takes, as a multiple of what validating the same bytes takes.
//!
//! `cargo bench --bench compile [-- FILE.wasm…]`: the modules given, or else SQLite out of the demo. Both are measured on one
//! thread, in turn, and the best of several rounds counts; compiling includes everything that `Module::new` does. With
//! several files, the geometric mean comes last. The compiled module is checked to have the exports that the bytes say.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kitbag::{Config, Engine, Module};

const ROUNDS: u32 = 9;

fn main() {
    let mut files: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if files.is_empty() {
        files.push(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo/sqlite.wasm").into());
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let one = Engine::new(Config::new().compile_threads(1)).expect("the default configuration");
    let all = Engine::new(Config::new().compile_threads(threads)).expect("the default configuration");
    println!("{:>12} {:>12} {:>7} {:>12} {:>9}", "validate", "1 thread", "ratio", format!("{threads} threads"), "MB/s");
    let mut logarithms = 0.0;
    for file in &files {
        let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        logarithms += measure(file, &bytes, &one, &all).ln();
    }
    if files.len() > 1 {
        println!("geometric mean of the ratios: {:.2}", (logarithms / files.len() as f64).exp());
    }
}

/// Prints a line and gives the ratio.
fn measure(file: &str, bytes: &[u8], one: &Engine, all: &Engine) -> f64 {
    check(&Module::new(one, bytes).expect("a valid module"), bytes);
    let [mut validate, mut single, mut parallel] = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        validate = validate.min(time(|| wasmparser::validate(bytes).expect("a valid module")));
        single = single.min(time(|| Module::new(one, bytes).expect("a valid module")));
        parallel = parallel.min(time(|| Module::new(all, bytes).expect("a valid module")));
    }
    let ratio = single.as_secs_f64() / validate.as_secs_f64();
    let name = file.rsplit('/').next().unwrap_or(file);
    let speed = bytes.len() as f64 / single.as_secs_f64() / 1e6;
    println!(
        "{:>9.2} ms {:>9.2} ms {ratio:>6.2}x {:>9.2} ms {speed:>9.1}  {name}",
        milliseconds(validate),
        milliseconds(single),
        milliseconds(parallel),
    );
    ratio
}

fn check(module: &Module, bytes: &[u8]) {
    let exports = wasmparser::Parser::new(0).parse_all(bytes).find_map(|payload| match payload {
        Ok(wasmparser::Payload::ExportSection(section)) => Some(section.count() as usize),
        _ => None,
    });
    assert_eq!(module.exports().count(), exports.unwrap_or(0), "exports");
}

fn time<T>(act: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    let result = black_box(act());
    let taken = start.elapsed();
    drop(result);
    taken
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
