//! Exceptions: how they pass through the host and other instances, what locals hold where one is caught, and that they
//! do not use memory up.
//!
//! # Safety
//! The native code that is loaded was made here.

#![allow(unsafe_code, reason = "loads native code; see the module's Safety section")]

use kitbag::{
    Caller, Config, Engine, Error, Exception, ExnRef, Instance, InstancePool, Linker, Module, Store, Tag, TagType,
    TrapCode, Val, ValType,
};

fn instance(store: &mut Store<()>, linker: &Linker<()>, text: &str) -> Instance {
    let module = Module::new(store.engine(), text).unwrap();
    linker.instantiate(store, &module).unwrap()
}

fn setup(text: &str) -> (Store<()>, Instance) {
    setup_with(&Config::new(), text)
}

fn setup_with(config: &Config, text: &str) -> (Store<()>, Instance) {
    let engine = Engine::new(config).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = instance(&mut store, &Linker::new(&engine), text);
    (store, instance)
}

fn call(store: &mut Store<()>, instance: Instance, name: &str, params: &[Val]) -> Result<Vec<Val>, Error> {
    let func = instance.get_func(&mut *store, name).unwrap();
    let mut results: Vec<Val> = func.ty(&*store).results().iter().map(|&ty| Val::default_for(ty)).collect();
    func.call(&mut *store, params, &mut results)?;
    Ok(results)
}

/// Locals of all kinds in registers, changed before, in and after the block, and a callee that uses every register before it throws.
const LOCALS: &str = r#"(module
    (tag $tag (param i32))
    (global $odd (mut i32) (i32.const 0))
    (func $clobber (param $n i32) (result i32)
        (local $a i32) (local $b i32) (local $c i32) (local $d i32) (local $x f64) (local $y f64)
        (local.set $a (i32.const 1)) (local.set $b (i32.const 2))
        (loop $again
            (local.set $a (i32.add (local.get $a) (local.get $b)))
            (local.set $b (i32.xor (local.get $b) (local.get $c)))
            (local.set $c (i32.add (local.get $c) (local.get $d)))
            (local.set $d (i32.sub (local.get $d) (local.get $a)))
            (local.set $x (f64.add (local.get $x) (local.get $y)))
            (local.set $y (f64.add (local.get $y) (f64.const 1)))
            (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 7))) (i32.const 100))))
        (call $deep (local.get $n))
        (i32.add (local.get $a) (i32.add (local.get $b) (i32.add (local.get $c) (local.get $d)))))
    (func $deep (param $n i32)
        (local $k i32)
        (local.set $k (i32.const 5))
        (loop $again
            (if (i32.eqz (local.get $k)) (then
                (if (global.get $odd) (then (throw $tag (local.get $n))))
                (return)))
            (local.set $k (i32.sub (local.get $k) (i32.const 1)))
            (br $again)))
    (func (export "run") (param $rounds i32) (result i32 i64 f32 f64 i64 i64 i32)
        (local $i i32) (local $j i64) (local $f f32) (local $g f64) (local $v v128) (local $caught i32)
        (local.set $v (v128.const i64x2 1 100))
        (loop $next
            (local.set $j (i64.add (local.get $j) (i64.const 3)))
            (global.set $odd (i32.and (local.get $i) (i32.const 1)))
            (block $done
                (block $handler (result i32)
                    (try_table (catch $tag $handler)
                        (local.set $f (f32.add (local.get $f) (f32.const 0.5)))
                        (local.set $v (i64x2.add (local.get $v) (v128.const i64x2 1 2)))
                        (drop (call $clobber (local.get $i)))
                        (local.set $g (f64.add (local.get $g) (f64.const 2))))
                    (br $done))
                (local.set $caught (i32.add (local.get $caught)))
                (local.set $j (i64.add (local.get $j) (i64.const 1000))))
            (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $rounds))))
        (local.get $i) (local.get $j) (local.get $f) (local.get $g)
        (i64x2.extract_lane 0 (local.get $v)) (i64x2.extract_lane 1 (local.get $v)) (local.get $caught)))"#;

/// What `run` in [`LOCALS`] gives.
fn expected(rounds: i32) -> Vec<Val> {
    let thrown = |i: &i32| i % 2 == 1;
    let last = |i: i32| (1..).map(|step| i + 7 * step).find(|&n| n >= 100).unwrap();
    let count = (0..rounds).filter(thrown).count() as i64;
    let rounds64 = i64::from(rounds);
    vec![
        Val::I32(rounds),
        Val::I64(3 * rounds64 + 1000 * count),
        Val::from(rounds as f32 * 0.5),
        Val::from((rounds64 - count) as f64 * 2.0),
        Val::I64(1 + rounds64),
        Val::I64(100 + 2 * rounds64),
        Val::I32((0..rounds).filter(thrown).map(last).sum()),
    ]
}

#[test]
fn locals_in_registers_are_what_they_were_at_the_call() {
    for config in [Config::new(), Config::new().unused_processor_features(["avx", "bmi2"]).clone()] {
        let (mut store, instance) = setup_with(&config, LOCALS);
        let found = call(&mut store, instance, "run", &[Val::I32(50)]).unwrap();
        assert_eq!(format!("{found:?}"), format!("{:?}", expected(50)));
    }
}

#[test]
fn every_kind_of_value_travels() {
    let (mut store, instance) = setup(
        r#"(module
        (tag $tag (param i32 i64 f32 f64 v128 funcref externref i32))
        (func $f (export "f"))
        (elem declare func $f)
        (func $throw (param externref)
            (throw $tag (i32.const -1) (i64.const -2) (f32.const 3) (f64.const 4) (v128.const i64x2 5 6)
                (ref.func $f) (local.get 0) (i32.const 8)))
        (func (export "catch") (param externref)
            (result i32 i64 f32 f64 v128 funcref externref i32)
            (block $handler (result i32 i64 f32 f64 v128 funcref externref i32)
                (try_table (catch $tag $handler) (call $throw (local.get 0)))
                unreachable))
        (func (export "loop") (result i32)
            (local $turns i32)
            (block $end (result i32)
                (i32.const 0) (i64.const 0) (f32.const 0) (f64.const 0) (v128.const i64x2 0 0)
                (ref.null func) (ref.null extern) (i32.const 0)
                (loop $again (param i32 i64 f32 f64 v128 funcref externref i32)
                    (br_if $end (i32.eq (local.get $turns) (i32.const 10)))
                    drop drop drop drop drop drop drop drop
                    (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
                    (try_table (catch $tag $again) (call $throw (ref.null extern))))
                (i32.const -1)))
        (func (export "through") (throw $tag (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4)
            (v128.const i64x2 5 6) (ref.null func) (ref.null extern) (i32.const 8))))"#,
    );
    let host = kitbag::ExternRef::new(&mut store, 7_u8).unwrap();
    let found = call(&mut store, instance, "catch", &[host.into()]).unwrap();
    let f = instance.get_func(&mut store, "f").unwrap();
    let wanted = vec![
        Val::I32(-1),
        Val::I64(-2),
        Val::from(3_f32),
        Val::from(4_f64),
        Val::V128(6 << 64 | 5),
        Val::from(f),
        Val::from(host),
        Val::I32(8),
    ];
    assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
    assert_eq!(call(&mut store, instance, "loop", &[]).unwrap()[0].i32(), Some(8));
    let error = call(&mut store, instance, "through", &[]).unwrap_err();
    let words = "uncaught exception: i32 1, i64 2, f32 3, f64 4, v128 0x00000000000000060000000000000005, funcref null, \
                 externref null, i32 8";
    assert_eq!(error.to_string(), words);
}

#[test]
fn nobody_catches_it() {
    let (mut store, instance) = setup(
        r#"(module
        (tag $tag (export "tag") (param i32))
        (tag $other)
        (func $inner (param i32) (throw $tag (local.get 0)))
        (func $middle (param i32)
            (block $no (try_table (catch $other $no) (call $inner (local.get 0)))))
        (func $outer (export "outer") (param i32) (call $middle (local.get 0))))"#,
    );
    let error = call(&mut store, instance, "outer", &[Val::I32(3)]).unwrap_err();
    let trap = error.trap().expect("it is a trap");
    assert_eq!(trap.code, TrapCode::UncaughtException);
    let backtrace: Vec<_> = trap.backtrace.iter().map(|frame| frame.func_name.clone().unwrap()).collect();
    assert_eq!(backtrace, ["inner", "middle", "outer"]);
    assert_eq!(error.to_string(), "uncaught exception: i32 3");
    let Error::Exception(exception) = error else { panic!("an exception") };
    assert_eq!(Some(exception.tag()), instance.get_tag(&mut store, "tag"));
    assert_eq!(exception.values()[0].i32(), Some(3));
}

/// A guest that throws, a host function that calls it, and a guest around that.
fn through_the_host() -> (Store<()>, Linker<()>, Instance, Tag) {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let tag = Tag::new(&mut store, TagType::new([ValType::I32, ValType::F64]));
    linker.define(&store, "host", "tag", tag).unwrap();
    let thrower = instance(
        &mut store,
        &linker,
        r#"(module $thrower (import "host" "tag" (tag $tag (param i32 f64)))
            (func $thrower (export "throw") (param i32) (throw $tag (local.get 0) (f64.const 2.5))))"#,
    );
    let throw = thrower.get_typed_func::<i32, ()>(&mut store, "throw").unwrap();
    // 0: go on as it is. 1: swallow it. 2: another in its place.
    linker
        .func_wrap("host", "pass", move |mut caller: Caller<'_, ()>, value: i32, what: i32| -> kitbag::Result<i32> {
            match (throw.call(&mut caller, value), what) {
                (Err(Error::Exception(exception)), 1) => Ok(exception.values()[0].i32().unwrap() + 100),
                (Err(Error::Exception(exception)), 2) => {
                    let values = [Val::I32(-1), exception.values()[1]];
                    Err(Exception::new(&caller, exception.tag(), values)?.into())
                }
                (found, _) => found.map(|()| 0),
            }
        })
        .unwrap();
    let outer = instance(
        &mut store,
        &linker,
        r#"(module $outer (import "host" "tag" (tag $tag (param i32 f64)))
            (import "host" "pass" (func $pass (param i32 i32) (result i32)))
            (func (export "catch") (param i32 i32) (result i32 f64)
                (local $kept i32)
                (local.set $kept (i32.mul (local.get 0) (i32.const 1000)))
                (block $handler (result i32 f64)
                    (try_table (catch $tag $handler)
                        (call $pass (local.get 0) (local.get 1)) (f64.const 0) (return))
                    unreachable)
                (call $add (local.get $kept)))
            (func $add (param i32 f64 i32) (result i32 f64)
                (i32.add (local.get 0) (local.get 2)) (local.get 1))
            (func $leave (export "leave") (param i32 i32) (result i32) (call $pass (local.get 0) (local.get 1))))"#,
    );
    (store, linker, outer, tag)
}

#[test]
fn the_host_sees_it_passes_it_on_swallows_and_raises() {
    let (mut store, _, outer, tag) = through_the_host();
    let catch = |store: &mut Store<()>, what: i32| {
        let found = call(store, outer, "catch", &[Val::I32(7), Val::I32(what)]).unwrap();
        (found[0].i32().unwrap(), found[1].f64().unwrap())
    };
    assert_eq!(catch(&mut store, 0), (7007, 2.5));
    assert_eq!(catch(&mut store, 1), (107, 0.0));
    assert_eq!(catch(&mut store, 2), (6999, 2.5));
    let error = call(&mut store, outer, "leave", &[Val::I32(5), Val::I32(0)]).unwrap_err();
    let names: Vec<_> = error.trap().unwrap().backtrace.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["thrower!thrower", "outer!leave"], "from where it was thrown, over the host");
    let Error::Exception(exception) = error else { panic!("an exception") };
    assert_eq!((exception.tag(), exception.values()[0].i32()), (tag, Some(5)));
}

#[test]
fn a_host_function_that_the_host_calls_raises_it() {
    let mut store = Store::new(&Engine::default(), ());
    let tag = Tag::new(&mut store, TagType::new([]));
    let raise = kitbag::Func::wrap(&mut store, move |caller: Caller<'_, ()>| -> kitbag::Result<()> {
        Err(Exception::new(&caller, tag, [])?.into())
    });
    let error = raise.call(&mut store, &[], &mut []).unwrap_err();
    assert!(matches!(error, Error::Exception(exception) if exception.tag() == tag && exception.values().is_empty()));
    assert!(matches!(Exception::new(&store, tag, [Val::I32(0)]), Err(Error::Type(_))));
}

/// Through adapters, indirect calls and references, into the memory and globals of the one that catches.
#[test]
fn instances_throw_to_each_other() {
    for guard_pages in [true, false] {
        let engine = Engine::new(Config::new().guard_pages(guard_pages)).unwrap();
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        let library = instance(
            &mut store,
            &linker,
            r#"(module
            (tag $tag (export "tag") (param i64))
            (memory (export "memory") 1)
            (func $throw (export "throw") (param i64)
                (drop (memory.grow (i32.const 1)))
                (i64.store (i32.const 0) (i64.const 99))
                (throw $tag (local.get 0)))
            (func (export "middle") (param funcref) (param i64)
                (local $a i64) (local $b i64) (local $c i64) (local $d i64)
                (local.set $a (i64.const 1)) (local.set $b (i64.const 2))
                (loop $again
                    (local.set $a (i64.add (local.get $a) (local.get $b)))
                    (local.set $c (i64.add (local.get $c) (local.get $d)))
                    (local.set $d (i64.xor (local.get $a) (local.get $c)))
                    (br_if $again (i64.lt_u (local.get $a) (i64.const 50))))
                (table.set $t (i32.const 0) (local.get 0))
                (call_indirect $t (param i64) (local.get 1) (i32.const 0))
                (i64.store (i32.const 8) (i64.add (local.get $a) (i64.add (local.get $b) (i64.add (local.get $c) (local.get $d))))))
            (table $t 1 funcref))"#,
        );
        linker.instance(&mut store, "library", library).unwrap();
        let program = instance(
            &mut store,
            &linker,
            r#"(module
            (import "library" "tag" (tag $tag (param i64)))
            (import "library" "throw" (func $throw (param i64)))
            (import "library" "middle" (func $middle (param funcref) (param i64)))
            (memory 1)
            (global $g (mut i64) (i64.const 5))
            (func $back (param i64) (call $throw (i64.add (local.get 0) (i64.const 1))))
            (elem declare func $back)
            (func (export "run") (param i64) (result i64)
                (local $x i64) (local $y i64)
                (local.set $x (i64.const 1_000_000))
                (i64.store (i32.const 0) (i64.const 30_000))
                (block $handler (result i64)
                    (try_table (catch $tag $handler)
                        (local.set $y (i64.const 200_000))
                        (call $middle (ref.func $back) (local.get 0)))
                    unreachable)
                (i64.add (local.get $x)) (i64.add (local.get $y))
                (i64.add (i64.load (i32.const 0))) (i64.add (global.get $g))))"#,
        );
        let found = call(&mut store, program, "run", &[Val::I64(40)]).unwrap();
        assert_eq!(found[0].i64(), Some(1_230_046), "the program's own memory, global and locals");
    }
}

/// What is thrown and caught leaves nothing behind, with a reference or without. There are ten million throws in all, or a tenth of that
/// where the engine is compiled for debugging.
#[test]
fn millions_of_exceptions_take_no_memory() {
    let millions = |n: i32| n * if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let mut config = Config::new();
    config.max_exception_bytes(1 << 20);
    let (mut store, instance) = setup_with(
        &config,
        r#"(module
        (tag $tag (param i64))
        (table $kept 8 exnref)
        (func $throw (param i64) (throw $tag (local.get 0)))
        (func (export "values") (param $n i32) (result i64)
            (local $sum i64)
            (loop $again
                (block $handler (result i64)
                    (try_table (catch $tag $handler) (call $throw (i64.extend_i32_u (local.get $n))))
                    unreachable)
                (local.set $sum (i64.add (local.get $sum)))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum))
        (func (export "references") (param $n i32) (result i64)
            (local $sum i64) (local $exception exnref)
            (loop $again
                (block $second (result i64 exnref)
                    (block $first (result exnref)
                        (try_table (catch_all_ref $first) (call $throw (i64.extend_i32_u (local.get $n))))
                        unreachable)
                    (local.set $exception)
                    (table.set $kept (i32.and (local.get $n) (i32.const 7)) (local.get $exception))
                    (try_table (catch_ref $tag $second) (throw_ref (local.get $exception)))
                    unreachable)
                (drop)
                (local.set $sum (i64.add (local.get $sum)))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum)))"#,
    );
    for (name, count) in [("values", millions(6)), ("references", millions(2))] {
        let found = call(&mut store, instance, name, &[Val::I32(count)]).unwrap();
        let count = i64::from(count);
        assert_eq!(found[0].i64(), Some(count * (count + 1) / 2), "{name}");
    }
}

#[test]
fn a_guest_that_keeps_exceptions_runs_into_a_limit() {
    const KEEPER: &str = r#"(module
        (tag $tag (param exnref i64))
        (table $kept 1_000_000 exnref)
        (global $last (mut exnref) (ref.null exn))
        (func $catch (param exnref) (result exnref)
            (block $handler (result exnref)
                (try_table (catch_all_ref $handler) (throw $tag (local.get 0) (i64.const 7)))
                unreachable))
        (func (export "table") (param $n i32)
            (loop $again
                (table.set $kept (local.get $n) (call $catch (ref.null exn)))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
        (func (export "chain") (param $n i32)
            (loop $again
                (global.set $last (call $catch (global.get $last)))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
        (func $stack (export "stack") (param $n i32)
            (local $own exnref)
            (local.set $own (call $catch (ref.null exn)))
            (if (local.get $n) (then (call $stack (i32.sub (local.get $n) (i32.const 1)))))
            (drop (ref.is_null (local.get $own))))
        (func (export "length") (result i32)
            (local $at exnref) (local $n i32)
            (local.set $at (global.get $last))
            (block $end
                (loop $again
                    (br_if $end (ref.is_null (local.get $at)))
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (block $handler (result exnref i64)
                        (try_table (catch $tag $handler) (throw_ref (local.get $at)))
                        unreachable)
                    (drop) (local.set $at) (br $again)))
            (local.get $n)))"#;
    // An exception of two values counts 96 bytes.
    let mut config = Config::new();
    config.max_exception_bytes(96 * 5000);
    for name in ["table", "chain", "stack"] {
        let (mut store, instance) = setup_with(&config, KEEPER);
        call(&mut store, instance, name, &[Val::I32(4000)]).unwrap();
        if name == "chain" {
            assert_eq!(call(&mut store, instance, "length", &[]).unwrap()[0].i32(), Some(4000));
        }
        let (mut store, instance) = setup_with(&config, KEEPER);
        let error = call(&mut store, instance, name, &[Val::I32(6000)]).unwrap_err();
        assert!(matches!(error, Error::Limit(_)), "{name}: {error}");
        // What the stack held is free again.
        if name == "stack" {
            call(&mut store, instance, name, &[Val::I32(4000)]).unwrap();
        }
    }
}

#[test]
fn the_host_holds_references() {
    let (mut store, instance) = setup(
        r#"(module
        (tag $tag (export "tag") (param i32))
        (func (export "make") (param i32) (result exnref)
            (block $handler (result exnref)
                (try_table (catch_all_ref $handler) (throw $tag (local.get 0)))
                unreachable))
        (func (export "rethrow") (param exnref) (throw_ref (local.get 0))))"#,
    );
    let tag = instance.get_tag(&mut store, "tag").unwrap();
    let made = call(&mut store, instance, "make", &[Val::I32(11)]).unwrap();
    for _ in 0..20_000 {
        call(&mut store, instance, "make", &[Val::I32(12)]).unwrap();
    }
    let Val::ExnRef(Some(reference)) = made[0] else { panic!("{made:?}") };
    assert_eq!(reference.exception(&store).values()[0].i32(), Some(11));
    let own = Exception::new(&store, tag, [Val::I32(13)]).unwrap();
    for (value, wanted) in [(reference, 11), (ExnRef::new(&mut store, &own).unwrap(), 13)] {
        let error = call(&mut store, instance, "rethrow", &[value.into()]).unwrap_err();
        assert_eq!(error.to_string(), format!("uncaught exception: i32 {wanted}"));
    }
    let error = call(&mut store, instance, "rethrow", &[Val::ExnRef(None)]).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::NullReference);
}

#[test]
fn a_tail_call_leaves_the_blocks_around_it() {
    let (mut store, instance) = setup(
        r#"(module
        (tag $tag)
        (type $t (func))
        (func $throw (throw $tag))
        (table funcref (elem $throw))
        (func $direct (block $h (try_table (catch_all $h) (return_call $throw))))
        (func $indirect (block $h (try_table (catch_all $h) (return_call_indirect (type $t) (i32.const 0)))))
        (func $reference (block $h (try_table (catch_all $h) (return_call_ref $t (ref.func $throw)))))
        (elem declare func $throw)
        (func (export "run") (result i32)
            (local $n i32)
            (block $1 (try_table (catch $tag $1) (call $direct) (return (i32.const -1))))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (block $2 (try_table (catch $tag $2) (call $indirect) (return (i32.const -2))))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (block $3 (try_table (catch $tag $3) (call $reference) (return (i32.const -3))))
            (i32.add (local.get $n) (i32.const 1))))"#,
    );
    assert_eq!(call(&mut store, instance, "run", &[]).unwrap()[0].i32(), Some(3));
}

/// Throwing for ever, with and without a way through the host.
#[test]
fn a_guest_that_throws_for_ever_is_stopped() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let tag = Tag::new(&mut store, TagType::new([]));
    linker.define(&store, "host", "tag", tag).unwrap();
    let raise = move |caller: Caller<'_, ()>| -> kitbag::Result<()> { Err(Exception::new(&caller, tag, [])?.into()) };
    linker.func_wrap("host", "raise", raise).unwrap();
    let spinner = instance(
        &mut store,
        &linker,
        r#"(module (import "host" "tag" (tag $tag)) (import "host" "raise" (func $raise))
            (func (export "guest") (loop $again (try_table (catch $tag $again) (throw $tag))))
            (func (export "host") (loop $again (try_table (catch $tag $again) (call $raise)))))"#,
    );
    for name in ["guest", "host"] {
        let handle = store.interrupt_handle();
        let watchdog = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(30));
            handle.interrupt();
        });
        let error = call(&mut store, spinner, name, &[]).unwrap_err();
        assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::Interrupted), "{name}");
        watchdog.join().unwrap();
        store.clear_interrupt();
    }
}

/// Native code knows where exceptions are caught.
#[test]
fn code_from_a_file_catches() {
    let engine = Engine::default();
    let bytes = Module::new(&engine, LOCALS).unwrap().serialize().unwrap();
    // SAFETY: these bytes are what `serialize` gave.
    let module = unsafe { Module::deserialize(&engine, &bytes).unwrap() };
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
    let found = call(&mut store, instance, "run", &[Val::I32(9)]).unwrap();
    assert_eq!(format!("{found:?}"), format!("{:?}", expected(9)));
}

/// A guest that throws leaves nothing half-done: the pool uses its instance again, with none of its exceptions.
#[test]
fn an_instance_is_used_again_after_an_exception() {
    let engine = Engine::default();
    let text = r#"(module (tag $tag) (global $kept (mut exnref) (ref.null exn))
        (func (export "run") (result i32)
            (if (i32.eqz (ref.is_null (global.get $kept))) (then (return (i32.const 1))))
            (block $handler (result exnref) (try_table (catch_all_ref $handler) (throw $tag)) unreachable)
            (global.set $kept)
            (throw $tag)))"#;
    let pre = Linker::<()>::new(&engine).instantiate_pre(&Module::new(&engine, text).unwrap()).unwrap();
    let pool = InstancePool::new(pre, 4).unwrap();
    for _ in 0..3 {
        let mut pooled = pool.get(()).unwrap();
        let run = pooled.instance().get_typed_func::<(), i32>(&mut pooled, "run").unwrap();
        assert!(matches!(run.call(&mut pooled, ()), Err(Error::Exception(_))));
        drop(pooled);
        assert_eq!(pool.idle(), 1);
    }
}

#[test]
fn what_makes_objects_is_refused_in_words() {
    let engine = Engine::default();
    let error = Module::new(&engine, "(module (type $s (struct)) (func (drop (struct.new $s))))").unwrap_err();
    assert_eq!(error.to_string(), "not supported: function 0: the operator struct_new of garbage collection");
    assert!(Module::new(&engine, "(module (type $s (struct)) (global (ref null $s) (ref.null $s)))").is_ok());
}
