//! The functions as imports of compiled code.

use kitbag::wasi::{Capture, Tracer, WasiCtx, WasiCtxBuilder, add_to_linker, add_to_linker_traced};
use kitbag::{Engine, Error, Linker, Module, Store};

const ALL: &str = include_str!("imports.wat");

fn linker(engine: &Engine) -> Linker<WasiCtx> {
    let mut linker = Linker::new(engine);
    add_to_linker(&mut linker, |ctx| ctx).unwrap();
    linker
}

/// Calls `_start` of a module.
fn run(text: &str, builder: WasiCtxBuilder) -> Result<(), Error> {
    let engine = Engine::default();
    let module = Module::new(&engine, text)?;
    let mut store = Store::new(&engine, builder.build()?);
    let instance = linker(&engine).instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())
}

#[test]
fn every_function_with_its_signature() {
    let engine = Engine::default();
    assert_eq!(ALL.matches("(import").count(), 46);
    for text in [ALL, &ALL.replace("wasi_snapshot_preview1", "wasi_unstable")] {
        let module = Module::new(&engine, text).unwrap();
        let mut store = Store::new(&engine, WasiCtx::builder().build().unwrap());
        linker(&engine).instantiate(&mut store, &module).unwrap();
        let mut traced = Linker::new(&engine);
        add_to_linker_traced(&mut traced, |ctx| ctx, Tracer::new(|_| {})).unwrap();
        let mut store = Store::new(&engine, WasiCtx::builder().build().unwrap());
        traced.instantiate(&mut store, &module).unwrap();
    }
}

#[test]
fn exit_runs_no_further_code() {
    let output = Capture::new(100);
    let exited = run(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory 1)
            (data (i32.const 0) "\10\00\00\00\03\00\00\00")
            (data (i32.const 16) "no\n")
            (func $inner (call $exit (i32.const -1)))
            (func (export "_start")
                (call $inner)
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        WasiCtx::builder().stdout(output.clone()),
    );
    assert!(matches!(exited, Err(Error::Exit(-1))), "{exited:?}");
    assert_eq!(output.contents(), b"");
}

#[test]
fn errors_are_numbers_to_the_guest() {
    let exited = run(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_tell" (func $tell (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory 1)
            (func (export "_start")
                (call $exit (i32.add
                    (call $tell (i32.const 99) (i32.const 0))
                    (i32.mul (i32.const 100) (call $tell (i32.const 1) (i32.const 0)))))))"#,
        WasiCtx::builder(),
    );
    assert!(matches!(exited, Err(Error::Exit(7008))), "EBADF, ESPIPE: {exited:?}");
}

#[test]
fn a_guest_without_a_memory_is_told() {
    let refused = run(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
            (func (export "_start") (drop (call $close (i32.const 0)))))"#,
        WasiCtx::builder(),
    );
    assert!(refused.unwrap_err().to_string().contains("needs a memory"));
}

#[test]
fn a_wrong_signature_is_refused() {
    let refused = run(
        r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32))) (func (export "_start")))"#,
        WasiCtx::builder(),
    );
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("fd_close") && message.contains("i64") && message.contains("i32"), "{message}");
}

#[test]
fn names_are_defined_once() {
    let engine = Engine::default();
    let again = add_to_linker(&mut linker(&engine), |ctx| ctx);
    assert!(matches!(again, Err(Error::Link(_))));
}
