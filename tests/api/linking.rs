//! Imports and exports between modules.

use kitbag::{
    Config, Engine, Error, Extern, Linker, Memory, MemoryType, Module, RefType, Store, Table, TableType, TrapCode, Val,
};

#[test]
fn all_missing_imports_are_named_at_once() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"(module (import "a" "f" (func (param i32))) (import "b" "m" (memory 1)) (import "a" "there" (func)))"#,
    )
    .unwrap();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("a", "there", || {}).unwrap();
    let error = linker.instantiate(&mut Store::new(&engine, ()), &module).unwrap_err();
    assert_eq!(error.to_string(), r#"unknown imports, 2 of them: "a" "f" (func (i32) -> ()), "b" "m" (memory 1)"#);
}

#[test]
fn a_mismatch_says_what_was_expected_and_found() {
    let engine = Engine::default();
    let module = Module::new(&engine, r#"(module (import "a" "f" (func (param i32) (result i64))))"#).unwrap();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("a", "f", |_: i64| 1_i32).unwrap();
    let error = linker.instantiate(&mut Store::new(&engine, ()), &module).unwrap_err();
    assert!(matches!(error, Error::Link(_)));
    assert_eq!(
        error.to_string(),
        r#"incompatible import type for "a" "f": expected func (i32) -> (i64), found func (i64) -> (i32)"#
    );
}

#[test]
fn names_are_defined_once_unless_shadowing_is_allowed() {
    let mut linker: Linker<()> = Linker::new(&Engine::default());
    linker.func_wrap("a", "f", || 1).unwrap();
    assert!(matches!(linker.func_wrap("a", "f", || 2), Err(Error::Link(_))));
    linker.allow_shadowing(true).func_wrap("a", "f", || 2).unwrap();
    let mut store = Store::new(linker.engine(), ());
    let Some(Extern::Func(f)) = linker.get(&mut store, "a", "f") else { panic!("it is defined") };
    assert_eq!(f.typed::<(), i32>(&store).unwrap().call(&mut store, ()).unwrap(), 2);
    assert!(linker.get(&mut store, "a", "g").is_none());
}

const LIBRARY: &str = r#"(module
    (memory (export "memory") 1)
    (table (export "table") 4 funcref)
    (global $count (export "count") (mut i32) (i32.const 0))
    (func $bump (export "bump") (param i32 i64 f32 f64) (result i32)
        (global.set $count (i32.add (global.get $count) (local.get 0)))
        (i32.store (i32.const 16) (global.get $count))
        (global.get $count))
    (func (export "fail") unreachable)
    (elem (i32.const 0) $bump))"#;

const USER: &str = r#"(module
    (import "lib" "memory" (memory 1))
    (import "lib" "table" (table 1 funcref))
    (import "lib" "count" (global $count (mut i32)))
    (import "lib" "bump" (func $bump (param i32 i64 f32 f64) (result i32)))
    (import "lib" "fail" (func $fail))
    (type $bumps (func (param i32 i64 f32 f64) (result i32)))
    (func $mine (param i32 i64 f32 f64) (result i32) (i32.mul (local.get 0) (i32.const 100)))
    (elem (i32.const 1) $mine)
    (func (export "direct") (param i32) (result i32)
        (drop (call $bump (local.get 0) (i64.const 1) (f32.const 1) (f64.const 1)))
        (i32.load (i32.const 16)))
    (func (export "indirect") (param i32 i32) (result i32)
        (call_indirect (type $bumps) (local.get 1) (i64.const 1) (f32.const 1) (f64.const 1) (local.get 0)))
    (func (export "count") (result i32) (global.get $count))
    (func $outer (export "fail") (call $fail)))"#;

#[test]
fn instances_share_what_they_import() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let library = linker.instantiate(&mut store, &Module::new(&engine, LIBRARY).unwrap()).unwrap();
    linker.instance(&mut store, "lib", library).unwrap();
    let user = linker.instantiate(&mut store, &Module::new(&engine, USER).unwrap()).unwrap();
    let direct = user.get_typed_func::<i32, i32>(&mut store, "direct").unwrap();
    let indirect = user.get_typed_func::<(i32, i32), i32>(&mut store, "indirect").unwrap();
    let count = user.get_typed_func::<(), i32>(&mut store, "count").unwrap();
    assert_eq!(direct.call(&mut store, 5).unwrap(), 5);
    assert_eq!(indirect.call(&mut store, (0, 2)).unwrap(), 7);
    assert_eq!(indirect.call(&mut store, (1, 2)).unwrap(), 200);
    assert_eq!(count.call(&mut store, ()).unwrap(), 7);
    let table = library.get_table(&mut store, "table").unwrap();
    assert!(matches!(table.get(&store, 1), Some(kitbag::Val::FuncRef(Some(_)))));
    let fail = user.get_typed_func::<(), ()>(&mut store, "fail").unwrap();
    assert_eq!(fail.call(&mut store, ()).unwrap_err().to_string(), "unreachable");
}

/// What a segment wrote before another did not fit stays, with the functions of the instance that failed.
#[test]
fn an_instance_that_failed_half_way_lives_on_in_tables() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let library = linker.instantiate(&mut store, &Module::new(&engine, LIBRARY).unwrap()).unwrap();
    linker.instance(&mut store, "lib", library).unwrap();
    let broken = r#"(module (import "lib" "table" (table 1 funcref)) (memory 1)
        (func $answer (result i32) (i32.const 42))
        (elem (i32.const 3) $answer)
        (data (i32.const 65536) "x"))"#;
    let error = linker.instantiate(&mut store, &Module::new(&engine, broken).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "out of bounds memory access");
    let table = library.get_table(&mut store, "table").unwrap();
    let Some(kitbag::Val::FuncRef(Some(answer))) = table.get(&store, 3) else { panic!("it was written") };
    assert_eq!(answer.typed::<(), i32>(&store).unwrap().call(&mut store, ()).unwrap(), 42);
}

#[test]
fn host_functions_of_a_linker_serve_many_stores() {
    let engine = Engine::default();
    let mut linker: Linker<i32> = Linker::new(&engine);
    linker.func_wrap("h", "get", |caller: kitbag::Caller<'_, i32>| *caller.data()).unwrap();
    let module = Module::new(
        &engine,
        r#"(module (import "h" "get" (func $get (result i32))) (func (export "run") (result i32) (call $get)))"#,
    )
    .unwrap();
    let mut stores: Vec<_> = (0..4).map(|data| Store::new(&engine, data)).collect();
    for store in &mut stores {
        let instance = linker.instantiate(&mut *store, &module).unwrap();
        let run = instance.get_typed_func::<(), i32>(&mut *store, "run").unwrap();
        assert_eq!(run.call(&mut *store, ()).unwrap(), *store.data());
    }
}

#[test]
#[should_panic(expected = "another engine")]
fn linkers_and_stores_of_different_engines_do_not_mix() {
    let (one, other) = (Engine::default(), Engine::default());
    let module = Module::new(&other, "(module)").unwrap();
    let linker: Linker<()> = Linker::new(&one);
    _ = linker.instantiate(&mut Store::new(&other, ()), &module);
}

/// Imports of every kind, and a function that adds up what they give.
const UNKNOWN: &str = r#"(module
    (import "a" "f" (func $f (param i32) (result i64 f32 externref)))
    (import "a" "g" (global $g i64))
    (import "a" "t" (table $t 3 funcref))
    (import "a" "m" (memory 2))
    (func (export "sum") (result i64) (local $sum i64)
        (i32.const 1) (call $f) (ref.is_null) (i64.extend_i32_u) (local.set $sum) (drop)
        (i64.add (local.get $sum)) (i64.add (global.get $g))
        (i64.add (i64.extend_i32_u (ref.is_null (table.get $t (i32.const 2)))))
        (i64.add (i64.extend_i32_u (memory.size)))
        (i64.add (i64.load (i32.const 131064)))))"#;

#[test]
fn unknown_imports_as_default_values() {
    let engine = Engine::default();
    let module = Module::new(&engine, UNKNOWN).unwrap();
    let (mut linker, mut store) = (Linker::new(&engine), Store::new(&engine, ()));
    linker.func_wrap("a", "other", || 7).unwrap();
    linker.define_unknown_imports_as_default_values(&mut store, &module).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let sum = instance.get_typed_func::<(), i64>(&mut store, "sum").unwrap();
    assert_eq!(sum.call(&mut store, ()).unwrap(), 4);
    linker.define_unknown_imports_as_default_values(&mut store, &module).unwrap();
}

#[test]
fn unknown_imports_without_a_default_value() {
    let engine = Engine::default();
    let module = r#"(module (type $t (func)) (import "a" "f" (func (result (ref $t)))))"#;
    let module = Module::new(&engine, module).unwrap();
    let mut linker = Linker::new(&engine);
    let error = linker.define_unknown_imports_as_default_values(Store::new(&engine, ()), &module).unwrap_err();
    assert!(matches!(&error, Error::Link(why) if why.contains(r#""a" "f""#)), "{error}");
}

#[test]
fn unknown_imports_as_traps() {
    let engine = Engine::default();
    let module = r#"(module
        (import "a" "f" (func $f (param i32) (result i64)))
        (import "a" "known" (func $known (result i64)))
        (func $inner (export "inner") (result i64) (call $f (call $seven)))
        (func $seven (result i32) (i32.wrap_i64 (call $known)))
        (func (export "seven") (result i32) (call $seven)))"#;
    let module = Module::new(&engine, module).unwrap();
    let (mut linker, mut store) = (Linker::new(&engine), Store::new(&engine, ()));
    linker.func_wrap("a", "known", || 7_i64).unwrap();
    linker.define_unknown_imports_as_traps(&module).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    assert_eq!(instance.get_typed_func::<(), i32>(&mut store, "seven").unwrap().call(&mut store, ()).unwrap(), 7);
    let inner = instance.get_typed_func::<(), i64>(&mut store, "inner").unwrap();
    let error = inner.call(&mut store, ()).unwrap_err();
    let trap = error.trap().unwrap();
    assert_eq!((trap.code, trap.to_string().as_str()), (TrapCode::Host, r#"unknown import called: "a" "f""#));
    assert_eq!(trap.display_backtrace().to_string(), "   0: inner\n");
}

#[test]
fn only_functions_can_be_traps() {
    let engine = Engine::default();
    let module = Module::new(&engine, UNKNOWN).unwrap();
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&module).unwrap();
    let error = linker.instantiate(&mut Store::new(&engine, ()), &module).unwrap_err().to_string();
    assert!(error.contains("3 of them") && !error.contains(r#""f""#), "{error}");
}

#[test]
fn names_are_listed_and_given_again() {
    let engine = Engine::default();
    let (mut linker, mut store) = (Linker::new(&engine), Store::new(&engine, ()));
    linker.module(&mut store, "lib", &Module::new(&engine, LIBRARY).unwrap()).unwrap();
    linker.func_wrap("lib", "one", || 1).unwrap();
    linker.alias_module("lib", "again").unwrap().alias("lib", "one", "other", "eins").unwrap();
    let mut names: Vec<_> = linker.iter(&mut store).map(|(module, name, _)| format!("{module}.{name}")).collect();
    names.sort();
    let of = |module| ["bump", "count", "fail", "memory", "one", "table"].map(|name| format!("{module}.{name}"));
    assert_eq!(names, [&of("again")[..], &of("lib"), &["other.eins".to_owned()]].concat());
    assert!(matches!(linker.alias("lib", "none", "lib", "new"), Err(Error::Link(_))));
    assert!(matches!(linker.alias("lib", "one", "lib", "bump"), Err(Error::Link(_))));
    assert!(matches!(linker.alias_module("none", "new"), Err(Error::Link(_))));
}

/// As a type says, and with the host's own eyes.
#[test]
fn tables_and_memories_of_the_host_are_filled_and_copied() {
    let mut store = Store::new(&Engine::default(), ());
    let of = |ty: RefType| if ty.is_func() { Val::FuncRef(None) } else { Val::ExternRef(None) };
    let table = |store: &mut Store<()>, ty| Table::new(store, TableType::new64(ty, 4, Some(8)), of(ty)).unwrap();
    let (from, to) = (table(&mut store, RefType::EXTERNREF), table(&mut store, RefType::EXTERNREF));
    let functions = table(&mut store, RefType::FUNCREF);
    let seven = kitbag::ExternRef::new(&mut store, 7).unwrap();
    from.fill(&mut store, 1, seven.into(), 2).unwrap();
    Table::copy(&mut store, &to, 0, &from, 0, 3).unwrap();
    Table::copy(&mut store, &to, 1, &to, 0, 3).unwrap();
    let held: Vec<_> = (0..4).map(|index| to.get(&store, index).unwrap().unwrap_extern_ref().is_some()).collect();
    assert_eq!(held, [false, false, true, true]);
    assert!(from.fill(&mut store, 3, seven.into(), 2).unwrap_err().trap().is_some());
    assert!(Table::copy(&mut store, &to, 2, &from, 0, 3).unwrap_err().trap().is_some());
    assert!(matches!(Table::copy(&mut store, &functions, 0, &from, 0, 1), Err(Error::Type(_))));
    assert!(to.ty(&store).is_64());
    let memory = Memory::new(&mut store, MemoryType::new64(1, None)).unwrap();
    assert!(memory.ty(&store).is_64() && memory.page_size(&store) == 65536);
    assert_eq!(memory.data_ptr(&store).cast_const(), memory.data(&store).as_ptr());
}

#[test]
fn features_are_single_settings() {
    type Configure = fn(&mut Config) -> &mut Config;
    let accepts = |configure: Configure, wat: &str| {
        let mut config = Config::new();
        Module::new(&Engine::new(configure(&mut config)).unwrap(), wat).is_ok()
    };
    let cases: [(Configure, &str); 4] = [
        (|config| config.wasm_simd(false), "(module (func (drop (v128.const i64x2 0 0))))"),
        (
            |config| config.wasm_bulk_memory(false),
            "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))",
        ),
        (|config| config.wasm_reference_types(false), "(module (func (param externref)))"),
        (|config| config.wasm_multi_value(false), "(module (func (result i32 i32) i32.const 0 i32.const 0))"),
    ];
    for (without, wat) in cases {
        assert!(accepts(|config| config, wat) && !accepts(without, wat), "{wat}");
        assert!(accepts(without, "(module (memory 1) (func (export \"f\")))"));
    }
}

#[test]
fn modules_come_from_files_and_tell_their_exports() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("library.wat");
    std::fs::write(&path, LIBRARY).unwrap();
    let module = Module::from_file(&Engine::default(), &path).unwrap();
    assert_eq!(module.get_export("count").unwrap().to_string(), "global (mut i32)");
    assert_eq!(module.get_export("none"), None);
    assert!(matches!(Module::from_file(&Engine::default(), folder.path().join("none")), Err(Error::Host(_))));
}
