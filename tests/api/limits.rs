//! Limits of the configuration: each an error, or the -1 that the guest gets.

use kitbag::{Config, Engine, Error, ExternRef, Linker, Memory, MemoryType, Module, Store};

fn engine(configure: impl FnOnce(&mut Config) -> &mut Config) -> Engine {
    let mut config = Config::new();
    configure(&mut config);
    Engine::new(&config).unwrap()
}

fn limited(engine: &Engine, wat: &str) -> Result<(Store<()>, kitbag::Instance), Error> {
    let mut store = Store::new(engine, ());
    let module = Module::new(engine, wat)?;
    let instance = Linker::new(engine).instantiate(&mut store, &module)?;
    Ok((store, instance))
}

#[test]
fn memory_counts_what_is_used() {
    let engine = engine(|config| config.max_memory(4 << 16));
    let wat = |least| {
        format!(
            r#"(module (memory {least} 65536) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#
        )
    };
    assert!(matches!(limited(&engine, &wat(5)), Err(Error::Limit(_))));
    let (mut store, instance) = limited(&engine, &wat(1)).unwrap();
    let grow = instance.get_typed_func::<i32, i32>(&mut store, "grow").unwrap();
    let sizes: Vec<_> = [2, 2, 1, 1, -1].map(|pages| grow.call(&mut store, pages).unwrap()).into();
    assert_eq!(sizes, [1, -1, 3, -1, -1]);
}

#[test]
fn tables_are_bounded() {
    let engine = engine(|config| config.max_table_elements(10));
    let wat = |least| {
        format!(
            r#"(module (table {least} funcref)
                (func (export "grow") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))"#
        )
    };
    assert!(matches!(limited(&engine, &wat(11)), Err(Error::Limit(_))));
    let (mut store, instance) = limited(&engine, &wat(1)).unwrap();
    let grow = instance.get_typed_func::<i32, i32>(&mut store, "grow").unwrap();
    let sizes: Vec<_> = [9, 1, 0, -1].map(|delta| grow.call(&mut store, delta).unwrap()).into();
    assert_eq!(sizes, [1, -1, 10, -1]);
}

#[test]
fn stores_hold_so_many_things() {
    let engine = engine(|config| config.max_instances(2).max_memories(3).max_tables(1).max_host_references(1));
    let mut store = Store::new(&engine, ());
    let linker = Linker::new(&engine);
    let module = Module::new(&engine, "(module (memory 1))").unwrap();
    let results: Vec<_> = (0..3).map(|_| linker.instantiate(&mut store, &module).is_ok()).collect();
    assert_eq!(results, [true, true, false]);
    assert!(Memory::new(&mut store, MemoryType::new(1, None)).is_ok());
    assert!(matches!(Memory::new(&mut store, MemoryType::new(1, None)), Err(Error::Limit(_))));
    assert!(ExternRef::new(&mut store, ()).is_ok());
    assert!(matches!(ExternRef::new(&mut store, ()), Err(Error::Limit(_))));
    assert!(matches!(limited(&engine, "(module (table 1 funcref) (table 1 funcref))"), Err(Error::Limit(_))));
}

/// An instance for which there is no room takes none.
#[test]
fn what_was_made_for_a_refused_instance_is_given_back() {
    let engine = engine(|config| config.max_memories(1).max_tables(0));
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, "(module (memory 1) (table 1 funcref))").unwrap();
    assert!(Linker::new(&engine).instantiate(&mut store, &module).is_err());
    assert!(Memory::new(&mut store, MemoryType::new(1, None)).is_ok());
}

#[test]
fn the_stack_is_as_deep_as_configured() {
    let wat = r#"(module (global $depth (export "depth") (mut i32) (i32.const 0))
        (func $down (export "down") (global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $down)))"#;
    let depth = |bytes| {
        let (mut store, instance) = limited(&engine(|config| config.max_wasm_stack(bytes)), wat).unwrap();
        assert!(instance.get_typed_func::<(), ()>(&mut store, "down").unwrap().call(&mut store, ()).is_err());
        f64::from(instance.get_global(&mut store, "depth").unwrap().get(&store).i32().unwrap())
    };
    let thread = std::thread::Builder::new().stack_size(16 << 20);
    let depths = thread.spawn(move || [depth(1 << 20), depth(8 << 20)]).unwrap().join().unwrap();
    assert!((6.0..10.0).contains(&(depths[1] / depths[0])), "{depths:?}");
}

/// However much is configured, host functions keep some of the thread's stack.
#[test]
fn a_small_thread_bounds_the_stack() {
    let (mut store, instance) =
        limited(&engine(|config| config.max_wasm_stack(1 << 30)), r#"(module (func $f (export "f") (call $f)))"#)
            .unwrap();
    let f = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
    let small = std::thread::Builder::new().stack_size(300 << 10);
    let run = move || f.call(&mut store, ()).unwrap_err().trap().is_some();
    assert!(small.spawn(run).unwrap().join().unwrap());
}
