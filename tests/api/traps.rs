//! Traps: causes, backtraces, threads.
//!
//! # Safety
//! Native code that is loaded is what was made a moment before.

#![allow(unsafe_code, reason = "loads native code; see the Safety section")]

use kitbag::{Engine, Linker, Module, Store, TrapCode};

use crate::instance;

const CAUSES: &str = r#"(module
    (memory 1)
    (table 2 funcref) (elem (i32.const 1) $other)
    (type $nullary (func))
    (func $other (param i32))
    (func (export "unreachable") unreachable)
    (func (export "load") (drop (i64.load (i32.const 65529))))
    (func (export "far load") (drop (i32.load offset=0xffffffff (i32.const -1))))
    (func (export "store") (i32.store8 (i32.const 65536) (i32.const 0)))
    (func (export "divide") (param i32) (drop (i32.div_s (i32.const 1) (i32.const 0))))
    (func (export "divide long") (drop (i64.rem_u (i64.const 1) (i64.const 0))))
    (func (export "overflow") (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))
    (func (export "truncate") (drop (i32.trunc_f64_s (f64.const 1e10))))
    (func (export "nan") (drop (i64.trunc_f32_u (f32.const nan))))
    (func (export "undefined") (call_indirect (type $nullary) (i32.const 2)))
    (func (export "null") (call_indirect (type $nullary) (i32.const 0)))
    (func (export "other") (call_indirect (type $nullary) (i32.const 1)))
    (func (export "table") (drop (table.get 0 (i32.const 2))))
    (func (export "fill") (memory.fill (i32.const 65000) (i32.const 0) (i32.const 1000)))
    (func $deeper (export "deeper") (call $deeper)))"#;

#[test]
fn every_cause_is_told() {
    let (mut store, instance) = instance(CAUSES);
    for (name, code) in [
        ("unreachable", TrapCode::Unreachable),
        ("load", TrapCode::MemoryOutOfBounds),
        ("far load", TrapCode::MemoryOutOfBounds),
        ("store", TrapCode::MemoryOutOfBounds),
        ("divide long", TrapCode::IntegerDivisionByZero),
        ("overflow", TrapCode::IntegerOverflow),
        ("truncate", TrapCode::IntegerOverflow),
        ("nan", TrapCode::InvalidConversionToInteger),
        ("undefined", TrapCode::UndefinedElement),
        ("null", TrapCode::UninitializedElement),
        ("other", TrapCode::IndirectCallTypeMismatch),
        ("table", TrapCode::TableOutOfBounds),
        ("fill", TrapCode::MemoryOutOfBounds),
        ("deeper", TrapCode::StackOverflow),
    ] {
        let func = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
        // Twice: a trap leaves nothing behind.
        for _ in 0..2 {
            let error = func.call(&mut store, ()).unwrap_err();
            let trap = error.trap().unwrap_or_else(|| panic!("{name}: {error}"));
            assert_eq!((trap.code, trap.to_string().lines().count()), (code, 1), "{name}");
            assert!(!trap.backtrace.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_backtrace_has_names_from_the_innermost_out() {
    let (mut store, instance) = instance(
        r#"(module $m
            (func $bottom (param i64 i64 i64) (local i64 f64)
                (local.set 3 (i64.mul (local.get 0) (local.get 1)))
                (if (i64.eq (local.get 3) (i64.const 6)) (then unreachable)))
            (func $middle (param i32) (result i32)
                (call $bottom (i64.const 2) (i64.const 3) (i64.const 4))
                (local.get 0))
            (func (export "top") (drop (call $middle (i32.const 1)))))"#,
    );
    let top = instance.get_typed_func::<(), ()>(&mut store, "top").unwrap();
    let error = top.call(&mut store, ()).unwrap_err();
    let trap = error.trap().unwrap();
    let names: Vec<_> = trap.backtrace.iter().map(|frame| (frame.func_index, frame.func_name.as_deref())).collect();
    assert_eq!(names, [(0, Some("bottom")), (1, Some("middle")), (2, None)]);
    let text = trap.display_backtrace().to_string();
    assert_eq!(text, "   0: m!bottom\n   1: m!middle\n   2: m!<wasm function 2>\n");
}

#[test]
fn a_backtrace_of_a_builtin_begins_where_it_was_called() {
    let (mut store, instance) = instance(
        r#"(module (memory 1)
            (func $inner (memory.copy (i32.const 0) (i32.const 0) (i32.const -1)))
            (func $outer (export "outer") (call $inner)))"#,
    );
    let outer = instance.get_typed_func::<(), ()>(&mut store, "outer").unwrap();
    let error = outer.call(&mut store, ()).unwrap_err();
    let names: Vec<_> = error.trap().unwrap().backtrace.iter().filter_map(|frame| frame.func_name.as_deref()).collect();
    assert_eq!(names, ["inner", "outer"]);
}

#[test]
fn a_backtrace_goes_on_in_the_instance_that_called() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let inner = r#"(module (func $divide (export "divide") (param i32 i64 f64 i32 i32 i32 i32) (result i32)
        (i32.div_u (local.get 0) (local.get 6))))"#;
    let inner = linker.instantiate(&mut store, &Module::new(&engine, inner).unwrap()).unwrap();
    linker.instance(&mut store, "inner", inner).unwrap();
    let outer = r#"(module
        (import "inner" "divide" (func $divide (param i32 i64 f64 i32 i32 i32 i32) (result i32)))
        (func $outer (export "outer") (param i32) (result i32)
            (call $divide (i32.const 84) (i64.const 1) (f64.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (local.get 0))))"#;
    let outer = linker.instantiate(&mut store, &Module::new(&engine, outer).unwrap()).unwrap();
    let outer = outer.get_typed_func::<i32, i32>(&mut store, "outer").unwrap();
    assert_eq!(outer.call(&mut store, 2).unwrap(), 42);
    let error = outer.call(&mut store, 0).unwrap_err();
    let names: Vec<_> = error.trap().unwrap().backtrace.iter().filter_map(|frame| frame.func_name.as_deref()).collect();
    assert_eq!(names, ["divide", "outer"]);
}

#[test]
fn deep_recursion_has_a_bounded_backtrace_and_leaves_the_store_usable() {
    let (mut store, instance) = instance(
        r#"(module
            (func $down (export "down") (param i32) (result i32)
                (if (result i32) (local.get 0)
                    (then (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))
                    (else (i32.const 0)))))"#,
    );
    let down = instance.get_typed_func::<i32, i32>(&mut store, "down").unwrap();
    for _ in 0..3 {
        assert_eq!(down.call(&mut store, 1000).unwrap(), 1000);
        let error = down.call(&mut store, -1).unwrap_err();
        let trap = error.trap().unwrap();
        assert_eq!(trap.code, TrapCode::StackOverflow);
        assert!((10..=100).contains(&trap.backtrace.len()));
    }
}

#[test]
fn stores_trap_on_their_own_threads() {
    let engine = Engine::default();
    let module = Module::new(&engine, CAUSES).unwrap();
    std::thread::scope(|scope| {
        for name in ["load", "deeper", "unreachable", "overflow"] {
            let (engine, module) = (&engine, &module);
            scope.spawn(move || {
                let mut store = Store::new(engine, ());
                let instance = Linker::new(engine).instantiate(&mut store, module).unwrap();
                let func = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
                for _ in 0..200 {
                    assert!(func.call(&mut store, ()).unwrap_err().trap().is_some());
                }
            });
        }
    });
}

/// A store that has run on one thread runs on another, whose stack is elsewhere and smaller.
#[test]
fn a_store_moves_between_threads() {
    let (mut store, instance) = instance(CAUSES);
    let deeper = instance.get_typed_func::<(), ()>(&mut store, "deeper").unwrap();
    assert!(deeper.call(&mut store, ()).is_err());
    let small = std::thread::Builder::new().stack_size(512 << 10);
    let run = move || deeper.call(&mut store, ()).map(|()| store).unwrap_err().trap().map(|trap| trap.code);
    assert_eq!(small.spawn(run).unwrap().join().unwrap(), Some(TrapCode::StackOverflow));
}

const LINES: &[u8] = include_bytes!("../guests/lines.wasm");

/// The lines of the function that divides, from the inside out, and where it was called from.
fn lines(module: &Module) -> Vec<Vec<(Option<String>, Option<u32>)>> {
    let mut store = Store::new(module.engine(), ());
    let instance = Linker::new(module.engine()).instantiate(&mut store, module).unwrap();
    let divide = instance.get_typed_func::<u32, u32>(&mut store, "divide").unwrap();
    assert_eq!(divide.call(&mut store, 3).unwrap(), 3);
    let error = divide.call(&mut store, 0).unwrap_err();
    drop(store);
    let frames = &error.trap().unwrap().backtrace;
    let of = |frame: &kitbag::Frame| frame.symbols().iter().map(|symbol| (symbol.name.clone(), symbol.line)).collect();
    frames.iter().map(of).collect()
}

#[test]
fn lines_are_found_when_they_are_asked_for_also_in_native_code() {
    let engine = Engine::default();
    let compiled = Module::new(&engine, LINES).unwrap();
    let named = |name: &str, line| (Some(name.to_owned()), Some(line));
    let expected =
        vec![vec![named("quotient", 7), named("mean", 13), named("summarize", 18)], vec![named("divide", 25)]];
    assert_eq!(lines(&compiled), expected);
    // SAFETY: what `serialize` gave.
    let loaded = unsafe { Module::deserialize(&engine, compiled.serialize().unwrap()).unwrap() };
    assert_eq!(lines(&loaded), expected);
    // Without DWARF there is nothing to say.
    let bare = Module::new(&engine, "(module (func (export \"f\") unreachable))").unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &bare).unwrap();
    let error = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap().call(&mut store, ()).unwrap_err();
    assert_eq!(error.trap().unwrap().backtrace[0].symbols().len(), 0);
}
