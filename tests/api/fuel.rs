//! Fuel: what a guest uses up is the same in every run.

use kitbag::{Caller, Config, Engine, Error, Instance, Linker, Module, Result, Store, TrapCode};

fn instance(wat: &str) -> (Store<()>, Instance) {
    let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker
        .func_wrap("h", "charge", |mut caller: Caller<'_, ()>, units: u64| -> Result<()> {
            let left = caller.get_fuel()?.checked_sub(units).ok_or_else(|| Error::host("too dear"))?;
            caller.set_fuel(left)
        })
        .unwrap();
    let mut store = Store::new(&engine, ());
    store.set_fuel(u64::MAX).unwrap();
    let instance = linker.instantiate(&mut store, &Module::new(&engine, wat).unwrap()).unwrap();
    (store, instance)
}

/// What a call of `run` with this argument uses up, or why it ended.
fn used(store: &mut Store<()>, instance: Instance, argument: i32) -> Result<u64> {
    const FULL: u64 = 1 << 40;
    store.set_fuel(FULL)?;
    instance.get_typed_func::<i32, ()>(&mut *store, "run")?.call(&mut *store, argument)?;
    Ok(FULL - store.get_fuel()?)
}

/// The operators that are executed, counted by hand: all but those that mark blocks or only drop.
#[test]
fn each_operator_that_is_executed_is_a_unit() {
    let cases = [
        ("", 0, 0),
        ("nop (drop (local.get 0))", 0, 1),
        ("(drop (i32.add (local.get 0) (i32.const 1)))", 0, 3),
        ("(if (local.get 0) (then nop) (else (drop (i32.const 1)) (drop (i32.const 2))))", 1, 2),
        ("(if (local.get 0) (then nop) (else (drop (i32.const 1)) (drop (i32.const 2))))", 0, 4),
        ("(block (br_if 0 (local.get 0)) (drop (i32.const 1)))", 1, 2),
        ("(block (br_if 0 (local.get 0)) (drop (i32.const 1)))", 0, 3),
        ("(loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))", 100, 500),
        ("(block (block (block (br_table 0 1 2 (local.get 0))) (drop (i32.const 0))) (drop (i32.const 0)))", 0, 4),
        ("(block (block (block (br_table 0 1 2 (local.get 0))) (drop (i32.const 0))) (drop (i32.const 0)))", 1, 3),
        ("(block (block (block (br_table 0 1 2 (local.get 0))) (drop (i32.const 0))) (drop (i32.const 0)))", 9, 2),
        ("(return) (drop (i32.const 0))", 0, 0),
        ("(call $leaf) (call_indirect (i32.const 0))", 0, 3 + 2 * 2),
        ("(drop (i32.add (block (result i32) (i32.lt_s (local.get 0) (i32.const 3))) (i32.const 1)))", 0, 5),
    ];
    for (body, argument, units) in cases {
        let wat = format!(
            r#"(module (table 1 funcref) (elem (i32.const 0) $leaf)
                (func $leaf (drop (i32.eqz (i32.const 0)))) (func (export "run") (param i32) {body}))"#
        );
        let (mut store, instance) = instance(&wat);
        assert_eq!(used(&mut store, instance, argument).unwrap(), units, "{body} of {argument}");
    }
}

#[test]
fn bulk_operations_cost_by_size() {
    let (mut store, instance) = instance(
        r#"(module (memory 16) (table $t 0 100000 funcref) (data $d "0123456789abcdef")
            (func (export "run") (param i32)
                (memory.fill (i32.const 0) (i32.const 1) (local.get 0))
                (memory.copy (i32.const 3) (i32.const 0) (local.get 0))
                (memory.init $d (i32.const 0) (i32.const 0) (i32.const 16))
                (drop (table.grow $t (ref.null func) (local.get 0)))
                (table.fill $t (i32.const 0) (ref.null func) (local.get 0))
                (table.copy $t $t (i32.const 0) (i32.const 0) (local.get 0))))"#,
    );
    let plain = used(&mut store, instance, 0).unwrap();
    assert_eq!(used(&mut store, instance, 6400).unwrap(), plain + 2 * 100 + 3 * 6400);
    store.set_fuel(plain + 99).unwrap();
    let run = instance.get_typed_func::<i32, ()>(&mut store, "run").unwrap();
    assert_eq!(run.call(&mut store, 6400).unwrap_err().trap().map(|trap| trap.code), Some(TrapCode::OutOfFuel));
    assert_eq!(store.get_fuel().unwrap(), 0);
}

const WORK: &str = r#"(module (memory 1) (global $sum (export "sum") (mut i64) (i64.const 0))
    (func $fib (param i32) (result i64)
        (if (result i64) (i32.lt_u (local.get 0) (i32.const 2))
            (then (i64.extend_i32_u (local.get 0)))
            (else (i64.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
    (func (export "run") (param i32)
        (loop $again
            (global.set $sum (i64.add (global.get $sum) (call $fib (i32.and (local.get 0) (i32.const 15)))))
            (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;

/// Where the fuel ends, everything is as it was at the same fuel in another run, on another thread.
#[test]
fn runs_end_at_the_same_place_whoever_runs_them() {
    let ends = |fuel: u64| {
        let (mut store, instance) = instance(WORK);
        store.set_fuel(fuel).unwrap();
        let run = instance.get_typed_func::<i32, ()>(&mut store, "run").unwrap();
        let error = run.call(&mut store, 1_000_000).unwrap_err();
        let trap = error.trap().expect("it ran out");
        assert_eq!((trap.code, store.get_fuel().unwrap()), (TrapCode::OutOfFuel, 0));
        let sum = instance.get_global(&mut store, "sum").unwrap().get(&store).i64();
        (sum, trap.backtrace.iter().map(|frame| (frame.func_index, frame.pc_offset)).collect::<Vec<_>>())
    };
    let mut seen = std::collections::HashSet::new();
    for fuel in [0, 1, 2, 10, 999, 12_345, 54_321, 1_000_000] {
        let here = ends(fuel);
        std::thread::scope(|scope| {
            let others: Vec<_> = (0..3).map(|_| scope.spawn(|| ends(fuel))).collect();
            others.into_iter().for_each(|other| assert_eq!(other.join().unwrap(), here, "{fuel}"));
        });
        seen.insert(here);
    }
    assert!(seen.len() >= 5, "different fuel ends at different places");
}

#[test]
fn host_functions_may_charge_and_a_store_has_none_at_first() {
    let wat = r#"(module (import "h" "charge" (func $charge (param i64)))
        (func (export "run") (param i32) (call $charge (i64.extend_i32_u (local.get 0)))))"#;
    let (mut store, instance) = instance(wat);
    assert_eq!(used(&mut store, instance, 1000).unwrap(), 3 + 1000);
    store.set_fuel(100).unwrap();
    let run = instance.get_typed_func::<i32, ()>(&mut store, "run").unwrap();
    assert_eq!(run.call(&mut store, 1000).unwrap_err().to_string(), "too dear");
    let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
    assert_eq!(Store::new(&engine, ()).get_fuel().unwrap(), 0);
    assert!(matches!(Store::new(&Engine::default(), ()).set_fuel(1), Err(Error::Unsupported(_))));
}
