//! Instances that are used again: nothing of one use is seen by the next.

use kitbag::{Caller, Config, Engine, Error, InstancePool, Linker, Memory, MemoryType, Module, Store, TrapCode, Val};

/// Has something of everything that a use could change. `$big` is a segment long enough for an image.
fn text(image: bool) -> String {
    let big = "kitbag! ".repeat(if image { 20_000 } else { 4 });
    format!(
        r#"(module
            (import "host" "note" (func $note (param i32)))
            (memory (export "memory") 4 40)
            (data (i32.const 100) "{big}") (data (i32.const 104) "over") (data $passive "passive")
            (table (export "table") 4 funcref) (elem (i32.const 1) $one $two) (elem $more func $two)
            (global $count (export "count") (mut i32) (i32.const 5))
            (global $ref (mut funcref) (ref.func $one))
            (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
            (func $start (call $note (i32.load (i32.const 100))))
            (start $start)
            (func (export "sum") (result i32)
                (i32.add (i32.add (global.get $count) (memory.size))
                    (i32.add (table.size) (call_indirect (result i32) (i32.const 1)))))
            (func (export "grow") (drop (memory.grow (i32.const 3))) (i32.store (i32.const 400000) (i32.const 9)))
            (func (export "data") (memory.init $passive (i32.const 8) (i32.const 0) (i32.const 7)) (data.drop $passive))
            (func (export "elements")
                (table.init $more (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $more)
                (table.set (i32.const 1) (ref.func $two)) (drop (table.grow (global.get $ref) (i32.const 2))))
            (func (export "global") (global.set $count (i32.const 77)) (global.set $ref (ref.null func)))
            (func (export "trap") (i32.store (i32.const 0) (i32.const 1)) unreachable)
            (func (export "exit") (call $note (i32.const -1))))"#
    )
}

fn pool(image: bool, guarded: bool) -> InstancePool<Vec<i32>> {
    let engine = Engine::new(Config::new().guard_pages(guarded)).unwrap();
    let mut linker: Linker<Vec<i32>> = Linker::new(&engine);
    let note = |mut caller: Caller<'_, Vec<i32>>, value: i32| match value {
        -1 => Err(Error::Exit(3)),
        value => {
            caller.data_mut().push(value);
            Ok(())
        }
    };
    linker.func_wrap("host", "note", note).unwrap();
    let module = Module::new(&engine, text(image)).unwrap();
    InstancePool::new(linker.instantiate_pre(&module).unwrap(), 2).unwrap()
}

/// All that can be seen of an instance.
fn seen(pool: &InstancePool<Vec<i32>>) -> (Vec<u8>, i32, bool, bool, Vec<i32>) {
    let mut instance = pool.get(Vec::new()).unwrap();
    let memory = instance.instance().get_memory(&mut instance, "memory").unwrap().data(&instance).to_vec();
    let table = instance.instance().get_table(&mut instance, "table").unwrap();
    let null = |index| matches!(table.get(&instance, index), Some(Val::FuncRef(None)));
    let nulls = null(0) && null(3) && table.get(&instance, 4).is_none();
    let sum = instance.instance().get_typed_func::<(), i32>(&mut instance, "sum").unwrap();
    let sum = sum.call(&mut instance, ()).unwrap();
    let data = call(&mut instance, "data").and_then(|()| call(&mut instance, "elements")).is_ok();
    (memory, sum, nulls, data, instance.into_data())
}

fn call(instance: &mut kitbag::PooledInstance<Vec<i32>>, name: &str) -> kitbag::Result<()> {
    instance.instance().get_typed_func::<(), ()>(&mut *instance, name)?.call(&mut *instance, ())
}

#[test]
fn every_use_finds_the_instance_as_new() {
    for (image, guarded) in [(false, true), (true, true), (false, false), (true, false)] {
        let pool = pool(image, guarded);
        let first = seen(&pool);
        assert_eq!((&first.0[100..108], first.1, first.2, first.3), (&b"kitbover"[..], 5 + 4 + 4 + 1, true, true));
        assert_eq!(first.4, [i32::from_le_bytes(*b"kitb")]);
        for change in ["grow", "data", "elements", "global", "grow"] {
            let mut instance = pool.get(Vec::new()).unwrap();
            call(&mut instance, change).unwrap();
            Memory::new(&mut instance, MemoryType::new(1, None)).unwrap();
            instance.instance().get_memory(&mut instance, "memory").unwrap().data_mut(&mut instance).fill(7);
            drop(instance);
            assert_eq!(pool.idle(), 1, "{change}");
            assert_eq!(seen(&pool), first, "{change}, image {image}, guarded {guarded}");
        }
    }
}

#[test]
fn one_that_exited_is_used_again_and_one_that_trapped_or_was_interrupted_is_not() {
    let pool = pool(true, true);
    let first = seen(&pool);
    let mut exited = pool.get(Vec::new()).unwrap();
    assert!(matches!(call(&mut exited, "exit"), Err(Error::Exit(3))));
    drop(exited);
    assert_eq!(pool.idle(), 1);
    let mut trapped = pool.get(Vec::new()).unwrap();
    assert_eq!(call(&mut trapped, "trap").unwrap_err().trap().map(|trap| trap.code), Some(TrapCode::Unreachable));
    drop(trapped);
    assert_eq!(pool.idle(), 0);
    let interrupted = pool.get(Vec::new()).unwrap();
    let handle = interrupted.store().interrupt_handle();
    handle.interrupt();
    drop(interrupted);
    assert_eq!(pool.idle(), 0);
    // A handle of an earlier use means nothing to later ones.
    let handle = pool.get(Vec::new()).unwrap().store().interrupt_handle();
    let next = pool.get(Vec::new()).unwrap();
    handle.interrupt();
    drop(next);
    assert_eq!(pool.idle(), 1);
    assert_eq!(seen(&pool), first);
}

#[test]
#[should_panic = "does not belong to"]
fn handles_of_one_use_are_no_handles_of_the_next() {
    let pool = pool(false, true);
    let instance = pool.get(Vec::new()).unwrap();
    let stale = instance.instance();
    drop(instance);
    let mut next = pool.get(Vec::new()).unwrap();
    _ = stale.get_func(&mut next, "sum");
}

#[test]
fn threads_share_a_pool_which_keeps_no_more_than_it_may() {
    let pool = pool(true, true);
    let first = seen(&pool);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(seen(&pool), first)));
        }
    });
    let held: Vec<_> = (0..5).map(|_| pool.get(Vec::new()).unwrap()).collect();
    drop(held);
    assert_eq!(pool.idle(), 2);
}

#[test]
fn what_belongs_to_one_store_cannot_be_pooled() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let memory = Memory::new(&mut store, MemoryType::new(1, None)).unwrap();
    linker.define(&store, "m", "memory", memory).unwrap();
    let module = Module::new(&engine, r#"(module (import "m" "memory" (memory 1)))"#).unwrap();
    let pre = linker.instantiate_pre(&module).unwrap();
    assert!(pre.instantiate(&mut store).is_ok());
    assert!(matches!(InstancePool::new(pre, 1), Err(Error::Link(_))));
}

/// Segments that fail do so after those before them were written and before those after them are.
#[test]
fn an_image_does_not_show_before_what_fails() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let table =
        kitbag::Table::new(&mut store, kitbag::TableType::new(kitbag::RefType::FUNCREF, 1, None), Val::FuncRef(None));
    let table = table.unwrap();
    linker.define(&store, "m", "table", table).unwrap();
    let big = "x".repeat(100_000);
    let text = |second: &str| {
        format!(
            r#"(module (import "m" "table" (table 1 funcref)) (memory 4) {second}
                (elem (i32.const 0) $look) (data (i32.const 0) "{big}") (data (i32.const 262140) "12345")
                (func $look (result i32) (i32.load8_u (i32.const 7))))"#
        )
    };
    let mut look = |wat: &str| {
        let module = Module::new(&engine, wat).unwrap();
        assert!(linker.instantiate(&mut store, &module).is_err());
        let Some(Val::FuncRef(Some(look))) = table.get(&store, 0) else { panic!("it was written") };
        look.typed::<(), i32>(&store).unwrap().call(&mut store, ()).unwrap()
    };
    // The data that fits is written, and then the rest traps.
    assert_eq!(look(&text("")), i32::from(b'x'));
    let failing_table = text("").replace("(data (i32.const 262140)", "(elem (i32.const 1) $look) (data (i32.const 0)");
    assert_eq!(look(&failing_table), 0);
}
