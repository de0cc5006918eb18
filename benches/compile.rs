//! How long compiling takes, as a multiple of what validating the same bytes takes.
//!
//! `cargo bench --bench compile [-- FILE.wasm…]`: the modules given, or else SQLite out of the demo. Compiling includes everything that
//! `Module::new` does. Both are measured on one thread, in turn, in processor time of the thread, the kernel's
//! part of it included, so that what else runs on the machine counts as little as it can; the best of several rounds is
//! taken. With all threads it is the time that passes. With several files, the geometric means come last. The
//! compiled module is checked to have the exports that the bytes say.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kitbag::{Config, Engine, Module};
use rustix::time::{ClockId, clock_gettime};

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
        validate = validate.min(time(on_thread, || wasmparser::validate(bytes).expect("a valid module")));
        single = single.min(time(on_thread, || Module::new(one, bytes).expect("a valid module")));
        parallel = parallel.min(time(passed, || Module::new(all, bytes).expect("a valid module")));
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

fn time<T>(now: fn() -> Duration, act: impl FnOnce() -> T) -> Duration {
    let start = now();
    let result = black_box(act());
    let taken = now() - start;
    drop(result);
    taken
}

/// Processor time of this thread.
fn on_thread() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("time is not negative")
}

/// Time since the first call.
fn passed() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
