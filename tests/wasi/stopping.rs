//! Guests that wait for the host, and are stopped meanwhile.

use std::net::TcpListener;
use std::time::Duration;

use kitbag::wasi::{HostStream, WasiCtx, WasiCtxBuilder, add_to_linker};
use kitbag::{Engine, Linker, Module, Store, TrapCode};

/// A guest that has a buffer of 64 KiB at 1024, listed at 0, and goes on waiting whatever the host answers.
fn guest(call: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 20000)
            (data (i32.const 0) "\00\04\00\00\00\00\01\00")
            ;; A subscription to the monotonic clock, a thousand years from now, and one to reading from standard input.
            (data (i32.const 128) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\70")
            (data (i32.const 176) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
            (func (export "_start") (loop $again (drop {call}) (br $again))))"#
    )
}

/// Interrupts the guest while it waits, twice, and so shows that it can be.
fn stops(call: &str, ctx: WasiCtxBuilder) {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).unwrap();
    let mut store = Store::new(&engine, ctx.build().unwrap());
    let instance = linker.instantiate(&mut store, &Module::new(&engine, guest(call)).unwrap()).unwrap();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
    for delay in [0, 20] {
        let handle = store.interrupt_handle();
        let watchdog = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(delay));
            handle.interrupt();
        });
        let error = start.call(&mut store, ()).unwrap_err();
        assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::Interrupted), "{call}");
        watchdog.join().unwrap();
        store.clear_interrupt();
    }
}

#[test]
fn sleeping() {
    stops("(call $poll (i32.const 128) (i32.const 512) (i32.const 1) (i32.const 64))", WasiCtx::builder());
}

#[test]
fn reading_from_a_pipe_and_polling_it() {
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    let read = "(call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 64))";
    stops(read, WasiCtx::builder().stdin(HostStream::new(reader.try_clone().unwrap())));
    let poll = "(call $poll (i32.const 128) (i32.const 512) (i32.const 2) (i32.const 64))";
    stops(poll, WasiCtx::builder().stdin(HostStream::new(reader)));
}

#[test]
fn writing_to_a_pipe_that_nobody_reads() {
    let (_reader, writer) = rustix::pipe::pipe().unwrap();
    let write = "(call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64))";
    stops(write, WasiCtx::builder().stdout(HostStream::new(writer)));
}

#[test]
fn accepting_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    stops("(call $accept (i32.const 3) (i32.const 0) (i32.const 64))", WasiCtx::builder().listener(listener));
}

#[test]
fn much_randomness() {
    stops("(call $random (i32.const 1024) (i32.const 1300000000))", WasiCtx::builder());
}
