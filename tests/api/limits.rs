//! Limits of the configuration: each an error, or the -1 that the guest gets.

use std::time::Duration;

use kitbag::{
    Config, Engine, Error, ExternRef, Linker, Memory, MemoryType, Module, RefType, ResourceLimiter, Result, Store,
    StoreLimitsBuilder, Table, TableType, Val,
};

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

#[test]
fn code_and_the_time_for_making_it_are_bounded() {
    let body = "(drop (i32.popcnt (memory.grow (i32.const 1))))".repeat(1000);
    let wat = format!("(module (memory 1) {})", format!("(func {body})").repeat(20));
    let refused = |engine: &Engine| match Module::new(engine, &wat) {
        Err(Error::Limit(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(Module::new(&Engine::default(), &wat).is_ok());
    assert!(refused(&engine(|config| config.max_code_size(100_000))).contains("max_code_size"));
    assert!(refused(&engine(|config| config.max_code_size(400_000).compile_threads(4))).contains("max_code_size"));
    assert!(refused(&engine(|config| config.max_compile_time(Duration::ZERO))).contains("max_compile_time"));
    assert!(Module::new(&engine(|config| config.max_code_size(100_000)), "(module (func))").is_ok());
}

/// Counts what it is asked, and answers as it is told.
#[derive(Default)]
struct Witness {
    asked: Vec<(usize, usize, Option<usize>)>,
    failed: usize,
    answer: Option<Result<bool, &'static str>>,
}

impl Witness {
    fn asked(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.asked.push((current, desired, maximum));
        self.answer.unwrap_or(Ok(true)).map_err(Error::host)
    }
}

impl ResourceLimiter for Witness {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.asked(current, desired, maximum)
    }

    fn memory_grow_failed(&mut self, _: Error) -> Result<()> {
        self.failed += 1;
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.asked(current, desired, maximum)
    }
}

#[test]
fn a_limiter_is_asked_by_guest_and_host_and_can_end_the_guest() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, Witness::default());
    store.limiter(|witness| witness);
    let wat = r#"(module (memory (export "memory") 1 5) (table (export "table") 2 9 funcref)
        (func (export "memory_grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "table_grow") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))"#;
    let instance = Linker::new(&engine).instantiate(&mut store, &Module::new(&engine, wat).unwrap()).unwrap();
    let grow = instance.get_typed_func::<i32, i32>(&mut store, "memory_grow").unwrap();
    let grow_table = instance.get_typed_func::<i32, i32>(&mut store, "table_grow").unwrap();
    assert_eq!((grow.call(&mut store, 1).unwrap(), grow_table.call(&mut store, 3).unwrap()), (1, 2));
    let table = instance.get_table(&mut store, "table").unwrap();
    table.grow(&mut store, 1, Val::FuncRef(None)).unwrap();
    instance.get_memory(&mut store, "memory").unwrap().grow(&mut store, 1).unwrap();
    assert_eq!(grow.call(&mut store, 9).unwrap(), -1);
    let (page, most) = (1 << 16, Some(5 << 16));
    let expected = [
        (0, page, most),
        (0, 2, Some(9)),
        (page, 2 * page, most),
        (2, 5, Some(9)),
        (5, 6, Some(9)),
        (2 * page, 3 * page, most),
        (3 * page, 12 * page, most),
    ];
    assert_eq!((&store.data().asked[..], store.data().failed), (&expected[..], 1));
    store.data_mut().answer = Some(Ok(false));
    assert_eq!((grow.call(&mut store, 1).unwrap(), grow_table.call(&mut store, 1).unwrap()), (-1, -1));
    assert!(matches!(Memory::new(&mut store, MemoryType::new(1, None)), Err(Error::Limit(_))));
    let ty = TableType::new(RefType::FUNCREF, 1, None);
    assert!(matches!(Table::new(&mut store, ty, Val::FuncRef(None)), Err(Error::Limit(_))));
    store.data_mut().answer = Some(Err("no more"));
    assert_eq!(grow.call(&mut store, 1).unwrap_err().to_string(), "no more");
    assert_eq!(grow_table.call(&mut store, 1).unwrap_err().to_string(), "no more");
    store.data_mut().answer = None;
    assert_eq!(grow.call(&mut store, 1).unwrap(), 3);
}

#[test]
fn a_limiter_that_panics_does_so_in_the_host() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, StoreLimitsBuilder::new().memory_size(1 << 16).build());
    store.limiter(|limits| if limits.memories() == 7 { panic!("seven") } else { limits });
    let wat = r#"(module (memory 1) (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#;
    let instance = Linker::new(&engine).instantiate(&mut store, &Module::new(&engine, wat).unwrap()).unwrap();
    let grow = instance.get_typed_func::<(), i32>(&mut store, "grow").unwrap();
    assert_eq!(grow.call(&mut store, ()).unwrap(), -1);
    *store.data_mut() = StoreLimitsBuilder::new().memories(7).build();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| grow.call(&mut store, ())));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"seven"));
    *store.data_mut() = StoreLimitsBuilder::new().memory_size(0).trap_on_grow_failure(true).build();
    assert!(matches!(grow.call(&mut store, ()), Err(Error::Limit(_))));
    *store.data_mut() = StoreLimitsBuilder::new().build();
    assert_eq!(grow.call(&mut store, ()).unwrap(), 1);
}
