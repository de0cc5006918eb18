//! Interruptions at random moments, while two instances work on one table and one memory.

use std::time::Duration;

use kitbag::{Caller, Engine, Instance, Linker, Module, Store, TrapCode, Val};

const BATCHES: usize = 5;
const ROUNDS: usize = 40;

/// Owns the table and the memory, and changes them for ever. Its functions give 0 to 3.
const OWNER: &str = r#"(module
    (import "h" "twice" (func $twice (param i32) (result i32)))
    (memory (export "memory") 1 3000) (table $t (export "table") 16 4000 funcref)
    (elem $all func $f0 $f1 $f2 $f3) (elem (i32.const 0) $f0 $f1 $f2 $f3)
    (type $f (func (result i32))) (global $next (mut i32) (i32.const 1))
    (func $f0 (result i32) i32.const 0) (func $f1 (result i32) i32.const 1)
    (func $f2 (result i32) i32.const 2) (func $f3 (result i32) i32.const 3)
    (func $random (param $below i32) (result i32)
        (global.set $next (i32.add (i32.mul (global.get $next) (i32.const 1103515245)) (i32.const 12345)))
        (i32.rem_u (i32.shr_u (global.get $next) (i32.const 8)) (local.get $below)))
    (func $step (export "step")
        (table.set $t (call $random (i32.const 16)) (table.get $t (call $random (i32.const 16))))
        (table.set $t (call $random (i32.const 16)) (ref.func $f2))
        (table.copy $t $t (call $random (i32.const 8)) (call $random (i32.const 8)) (call $random (i32.const 8)))
        (table.init $t $all (call $random (i32.const 12)) (i32.const 0) (i32.const 4))
        (table.fill $t (call $random (i32.const 12)) (ref.func $f1) (i32.const 3))
        (drop (table.grow $t (ref.func $f3) (i32.const 1)))
        (drop (memory.grow (i32.const 1)))
        (memory.fill (i32.const 0) (i32.const 7) (i32.const 40000))
        (drop (call $twice (i32.const 5))))
    (func (export "work") (loop $again (call $step) (br $again)))
    (func (export "size") (result i32) (memory.size))
    (func (export "last") (param i32) (result i32)
        (i32.load8_u (i32.add (local.get 0) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1))))))"#;

/// Uses them, and calls the owner in turn. Its own functions give 10 and 11.
const USER: &str = r#"(module
    (import "owner" "memory" (memory 1)) (import "owner" "table" (table $t 16 funcref)) (import "owner" "step" (func $step))
    (type $f (func (result i32))) (elem declare func $g0 $g1)
    (func $g0 (result i32) i32.const 10) (func $g1 (result i32) i32.const 11)
    (func $look (export "look") (result i32) (local $at i32) (local $sum i32)
        (loop $next
            (if (i32.eqz (ref.is_null (table.get $t (local.get $at))))
                (then (local.set $sum
                    (i32.or (local.get $sum) (i32.shl (i32.const 1) (call_indirect $t (type $f) (local.get $at)))))))
            (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (table.size $t))))
        (local.get $sum))
    (func (export "work")
        (loop $again
            (call $step) (table.set $t (i32.const 3) (ref.func $g0)) (drop (call $look))
            (table.fill $t (i32.const 6) (ref.func $g1) (i32.const 4))
            (drop (memory.grow (i32.const 1))) (i32.store8 (i32.const 65535) (i32.const 1))
            (br $again)))
    (func (export "size") (result i32) (memory.size))
    (func (export "last") (param i32) (result i32)
        (i32.load8_u (i32.add (local.get 0) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1))))))"#;

/// What a host function counts in two steps.
type Counts = (u64, u64);

fn pair(engine: &Engine) -> (Store<Counts>, [Instance; 2]) {
    let mut linker: Linker<Counts> = Linker::new(engine);
    let twice = |mut caller: Caller<'_, Counts>, value: i32| {
        caller.data_mut().0 += 1;
        let grown =
            caller.get_export("memory").and_then(kitbag::Extern::into_memory).map(|memory| memory.size(&caller));
        caller.data_mut().1 += u64::from(grown.is_some());
        value * 2
    };
    linker.func_wrap("h", "twice", twice).unwrap();
    let mut store = Store::new(engine, (0, 0));
    let owner = linker.instantiate(&mut store, &Module::new(engine, OWNER).unwrap()).unwrap();
    linker.instance(&mut store, "owner", owner).unwrap();
    let user = linker.instantiate(&mut store, &Module::new(engine, USER).unwrap()).unwrap();
    (store, [owner, user])
}

fn get(store: &mut Store<Counts>, instance: Instance, name: &str) -> i32 {
    instance.get_typed_func::<(), i32>(&mut *store, name).unwrap().call(store, ()).unwrap()
}

/// Nothing that was interrupted is half done: both instances and the host see the same, and all of it can be used.
fn check(store: &mut Store<Counts>, [owner, user]: [Instance; 2]) {
    assert_eq!(store.data().0, store.data().1);
    let memory = owner.get_memory(&mut *store, "memory").unwrap();
    let pages = memory.size(&*store);
    assert_eq!([get(store, owner, "size"), get(store, user, "size")].map(|size| size as u64), [pages; 2]);
    assert_eq!(memory.data_size(&*store) as u64, pages << 16);
    memory.data_mut(&mut *store)[(pages << 16) as usize - 1] = 77;
    for instance in [owner, user] {
        let last = instance.get_typed_func::<i32, i32>(&mut *store, "last").unwrap();
        assert_eq!(last.call(&mut *store, 0).unwrap(), 77);
        let outside = last.call(&mut *store, 1).unwrap_err();
        assert_eq!(outside.trap().map(|trap| trap.code), Some(TrapCode::MemoryOutOfBounds));
    }
    let table = owner.get_table(&mut *store, "table").unwrap();
    let mut sum = 0;
    for index in 0..table.size(&*store) {
        if let Some(Val::FuncRef(Some(func))) = table.get(&*store, index) {
            sum |= 1 << func.typed::<(), i32>(&*store).unwrap().call(&mut *store, ()).unwrap();
        }
    }
    assert_eq!((get(store, user, "look"), sum & !0b1100_0000_1111), (sum, 0));
}

fn hammer(seed: u64) {
    let engine = Engine::default();
    let mut random = seed;
    for _ in 0..BATCHES {
        let (mut store, instances) = pair(&engine);
        for round in 0..ROUNDS {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let delay = Duration::from_nanos((random >> 33) % 600_000);
            let handle = store.interrupt_handle();
            let watchdog = std::thread::spawn(move || {
                std::thread::sleep(delay);
                handle.interrupt();
            });
            let work = instances[round % 2].get_typed_func::<(), ()>(&mut store, "work").unwrap();
            let error = work.call(&mut store, ()).unwrap_err();
            assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::Interrupted));
            watchdog.join().unwrap();
            store.clear_interrupt();
            check(&mut store, instances);
        }
    }
}

/// On two threads, which share nothing but the code that is registered.
#[test]
fn nothing_that_was_interrupted_is_half_done() {
    std::thread::scope(|scope| {
        for seed in [1, 2] {
            scope.spawn(move || hammer(seed));
        }
    });
}
