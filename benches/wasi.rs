//! What a WASI call costs that does next to nothing: a loop in a guest that reads the clock around it.
//!
//! `cargo bench --bench wasi`. With `WASMTIME=path/to/wasmtime` the same guests are run by that too, in turn. The best of
//! several rounds counts. Each guest checks that every call succeeded.

use std::io::Write;
use std::process::{Command, Stdio};

use kitbag::wasi::{Capture, HostStream, WasiCtx, add_to_linker};
use kitbag::{Engine, Linker, Module, Store};

const ROUNDS: u32 = 5;
const CALLS: u32 = 1_000_000;

/// The one case in which standard error is a device of the host; otherwise it is nothing at all.
const DEVICE: &str = "fd_write of 5 bytes to /dev/null";

/// Calls that do little, each leaving 0 if it did what it should. At 0 lies one buffer of 0 bytes, at 8 one of 5.
/// (A read of 0 bytes is `EINTR`, 27, in wasmtime.)
const CASES: [(&str, &str); 7] = [
    ("fd_tell of a stream (an error)", "(i32.ne (call $tell (i32.const 1) (i32.const 64)) (i32.const 70))"),
    (
        "fd_read of 0 bytes",
        "(i32.rem_u (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 64)) (i32.const 27))",
    ),
    ("clock_time_get", "(call $time (i32.const 1) (i64.const 1) (i32.const 64))"),
    ("fd_write of 5 bytes to nowhere", "(call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 64))"),
    (DEVICE, "(call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 64))"),
    ("fd_fdstat_get", "(call $fdstat (i32.const 1) (i32.const 64))"),
    ("random_get of 0 bytes", "(call $random (i32.const 64) (i32.const 0))"),
];

/// A command that times its calls and writes the nanoseconds of all of them to standard output.
fn guest(call: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_tell" (func $tell (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\80\00\00\00\00\00\00\00\80\00\00\00\05\00\00\00\20\00\00\00\08\00\00\00")
            (func (export "_start") (local $left i32)
                (local.set $left (i32.const {CALLS}))
                (drop (call $time (i32.const 1) (i64.const 1) (i32.const 32)))
                (loop $again
                    (if {call} (then unreachable))
                    (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
                (drop (call $time (i32.const 1) (i64.const 1) (i32.const 40)))
                (i64.store (i32.const 32) (i64.sub (i64.load (i32.const 40)) (i64.load (i32.const 32))))
                (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 64)))))"#
    )
}

fn nanoseconds_a_call(output: &[u8]) -> f64 {
    let total = u64::from_le_bytes(output.try_into().expect("the guest writes eight bytes"));
    total as f64 / f64::from(CALLS)
}

fn here(text: &str, device: bool) -> f64 {
    let engine = Engine::default();
    let module = Module::new(&engine, text).expect("the guest is valid");
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).expect("the names are free");
    let output = Capture::new(8);
    let builder = WasiCtx::builder().stdout(output.clone());
    let builder = if device { builder.stderr(HostStream::new(null_device())) } else { builder };
    let ctx = builder.build().expect("nothing is wrong with it");
    let mut store = Store::new(&engine, ctx);
    let instance = linker.instantiate(&mut store, &module).expect("all imports are there");
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").expect("it is a command");
    start.call(&mut store, ()).expect("every call succeeds");
    nanoseconds_a_call(&output.contents())
}

fn null_device() -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open("/dev/null").expect("every system has one")
}

/// Runs the guest by a command that takes a file, with standard error going nowhere, as here.
fn there(runtime: &str, text: &str) -> f64 {
    let path = std::env::temp_dir().join(format!("kitbag-bench-wasi-{}.wat", std::process::id()));
    let written = std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.expect("the folder for temporary files can be written");
    let mut command = Command::new(runtime);
    command.arg("run").arg(&path).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().expect("WASMTIME can be run");
    std::fs::remove_file(&path).expect("it was just written");
    nanoseconds_a_call(&output.stdout)
}

fn best(run: impl Fn() -> f64) -> f64 {
    (0..ROUNDS).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn main() {
    let rival = std::env::var("WASMTIME").ok();
    println!("{:42}{:>10}{:>12}", "nanoseconds a call", "kitbag", if rival.is_some() { "wasmtime" } else { "" });
    for (name, call) in CASES {
        let text = guest(call);
        let ours = best(|| here(&text, name == DEVICE));
        match &rival {
            Some(runtime) => {
                let theirs = best(|| there(runtime, &text));
                println!("{name:42}{ours:>10.1}{theirs:>12.1} {:>6.2}x", theirs / ours);
            }
            None => println!("{name:42}{ours:>10.1}"),
        }
    }
}
