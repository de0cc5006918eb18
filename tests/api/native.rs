//! Native code in files: what was written runs, and what is not as it was written, or does not fit, is refused.
//!
//! # Safety
//! What is loaded here is what the engine wrote, or that with a change that has to be found before anything runs.

#![allow(unsafe_code, reason = "loads native code; see the module's Safety section")]

use kitbag::{Config, Engine, Error, Linker, Module, ModuleId, NativeInfo, NativeProblem, Store};

/// Uses what a loaded module has to have right: imports, tables, segments, globals, several types, names.
const WAT: &str = r#"(module $m
    (import "host" "add" (func $add (param i32 i32) (result i32)))
    (type $op (func (param i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "kitbag")
    (table funcref (elem $double $square))
    (global $calls (mut i32) (i32.const 40))
    (func $double (param i32) (result i32) (call $add (local.get 0) (local.get 0)))
    (func $square (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
    (func $wide (export "wide") (param f64 v128) (result f64) (f64.neg (local.get 0)))
    (func $fall (export "fall") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
    (func (export "run") (param i32 i32) (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.add (global.get $calls) (call_indirect (type $op) (local.get 1) (local.get 0)))))"#;

fn exercise(module: &Module) {
    let mut linker = Linker::new(module.engine());
    linker.func_wrap("host", "add", |a: i32, b: i32| a + b).unwrap();
    let mut store = Store::new(module.engine(), ());
    let instance = linker.instantiate(&mut store, module).unwrap();
    let run = instance.get_typed_func::<(i32, i32), i32>(&mut store, "run").unwrap();
    assert_eq!((run.call(&mut store, (0, 21)).unwrap(), run.call(&mut store, (1, 9)).unwrap()), (83, 123));
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    assert_eq!(&memory.data(&store)[8..14], b"kitbag");
    let fall = instance.get_typed_func::<i32, i32>(&mut store, "fall").unwrap();
    let error = fall.call(&mut store, 0).unwrap_err();
    assert_eq!(error.trap().unwrap().display_backtrace().to_string(), "   0: m!fall\n");
}

fn load(engine: &Engine, bytes: &[u8]) -> Result<Module, Error> {
    // SAFETY: what `serialize` gave, with changes that have to be found before anything runs.
    unsafe { Module::deserialize(engine, bytes) }
}

fn problem(engine: &Engine, bytes: &[u8]) -> NativeProblem {
    match load(engine, bytes) {
        Err(Error::Native(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_written_runs() {
    let engine = Engine::default();
    let compiled = Module::new(&engine, WAT).unwrap();
    exercise(&compiled);
    let bytes = compiled.serialize().unwrap();
    let loaded = load(&engine, &bytes).unwrap();
    exercise(&loaded);
    assert_eq!(loaded.serialize().unwrap(), bytes);
    let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(file.path(), engine.precompile_module(WAT).unwrap()).unwrap();
    // SAFETY: what `precompile_module` gave, in a file that nobody changes.
    exercise(&unsafe { Module::deserialize_file(&Engine::default(), file.path()).unwrap() });
}

/// Packing twice gives the same bytes, however many threads compile.
#[test]
fn the_bytes_depend_on_the_module_alone() {
    let wasm = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo/sqlite.wasm")).unwrap();
    let with = |threads| Engine::new(Config::new().compile_threads(threads)).unwrap().precompile_module(&wasm).unwrap();
    assert!(with(1) == with(4));
}

#[test]
fn every_damaged_byte_is_found() {
    let engine = Engine::default();
    let bytes = engine.precompile_module(WAT).unwrap();
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        assert!(load(&engine, &changed).is_err(), "byte {place}");
    }
    for len in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        assert!(load(&engine, &bytes[..len]).is_err(), "{len} bytes");
    }
    exercise(&load(&engine, &[&bytes[..], b"more"].concat()).unwrap());
}

#[test]
fn what_does_not_fit_is_named() {
    let engine = Engine::default();
    let bytes = engine.precompile_module(WAT).unwrap();
    assert_eq!(problem(&engine, b"\0asm\x01\0\0\0"), NativeProblem::NotNative);
    let checked = Engine::new(Config::new().guard_pages(false)).unwrap();
    assert_eq!(problem(&checked, &bytes), NativeProblem::OtherSettings);
    let older = Engine::new(Config::new().wasm_3(false)).unwrap();
    assert_eq!(problem(&older, &bytes), NativeProblem::OtherSettings);
    let mut other_build = bytes.clone();
    other_build[16] ^= 1;
    assert_eq!(problem(&engine, &other_build), NativeProblem::OtherBuild);
    let mut other_machine = bytes.clone();
    other_machine[32] ^= 1;
    assert_eq!(problem(&engine, &other_machine), NativeProblem::OtherMachine);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_processor_without_what_the_code_uses() {
    if !std::arch::is_x86_feature_detected!("popcnt") {
        return;
    }
    let without = Engine::new(Config::new().unused_processor_features(["popcnt"])).unwrap();
    let bytes = Engine::default().precompile_module(WAT).unwrap();
    assert_eq!(problem(&without, &bytes), NativeProblem::Processor("popcnt".to_owned()));
    let bytes = without.precompile_module(WAT).unwrap();
    exercise(&load(&Engine::default(), &bytes).unwrap());
}

#[test]
fn it_says_what_it_is() {
    let bytes = Engine::default().precompile_module(WAT).unwrap();
    let info = NativeInfo::of(&bytes.into()).unwrap();
    assert_eq!((info.functions, &info.problem, info.module), (5, &None, ModuleId::of(WAT.as_bytes())));
    assert!(info.machine == std::env::consts::ARCH && info.text > 0);
}
