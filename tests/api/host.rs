//! Host functions: how they are called, how they call back, how they fail.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kitbag::{Caller, Engine, Error, Func, FuncType, Linker, Module, Result, Store, TrapCode, Val, ValType};

fn linked<T>(linker: &Linker<T>, data: T, wat: &str) -> (Store<T>, kitbag::Instance) {
    let mut store = Store::new(linker.engine(), data);
    let module = Module::new(linker.engine(), wat).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    (store, instance)
}

#[test]
fn all_sixteen_parameters_and_results_arrive() {
    type Sixteen = (i32, i64, f32, f64, u32, u64, f32, f64, i32, i64, f32, f64, i32, i64, f32, f64);
    let engine = Engine::default();
    let mut linker: Linker<()> = Linker::new(&engine);
    #[rustfmt::skip]
    linker.func_wrap("h", "f",
        |a: i32, b: i64, c: f32, d: f64, e: u32, f: u64, g: f32, h: f64, i: i32, j: i64, k: f32, l: f64, m: i32, n: i64, o: f32, p: f64| -> Sixteen {
            (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
        }).unwrap();
    let types = "i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64";
    let gets: String = (0..16).map(|index| format!("(local.get {index})")).collect();
    let (mut store, instance) = linked(
        &linker,
        (),
        &format!(
            r#"(module (import "h" "f" (func $f (param {types}) (result {types})))
                (func (export "run") (param {types}) (result {types}) (call $f {gets})))"#
        ),
    );
    let run = instance.get_typed_func::<Sixteen, Sixteen>(&mut store, "run").unwrap();
    let values: Sixteen = (-1, -2, 3.5, 4.5, 5, 6, 7.5, 8.5, -9, -10, 11.5, 12.5, -13, -14, 15.5, 16.5);
    let (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) = run.call(&mut store, values).unwrap();
    assert_eq!(((a, b, c, d), (e, f, g, h)), ((-1, -2, 3.5, 4.5), (5, 6, 7.5, 8.5)));
    assert_eq!(((i, j, k, l), (m, n, o, p)), ((-9, -10, 11.5, 12.5), (-13, -14, 15.5, 16.5)));
}

/// The upper half of the register that a 32-bit result comes in is the guest's to trust.
#[test]
fn negative_results_are_zero_extended() {
    let engine = Engine::default();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("h", "f", || -1_i32).unwrap();
    let ty = FuncType::new([], [ValType::I32]);
    let minus_one = |_: Caller<'_, ()>, _: &[Val], results: &mut [Val]| {
        results[0] = Val::I32(-1);
        Ok(())
    };
    linker.func_new("h", "g", ty, minus_one).unwrap();
    let (mut store, instance) = linked(
        &linker,
        (),
        r#"(module (import "h" "f" (func $f (result i32))) (import "h" "g" (func $g (result i32)))
            (func (export "run") (result i64)
                (i64.add (i64.extend_i32_u (call $f)) (i64.extend_i32_u (call $g)))))"#,
    );
    let run = instance.get_typed_func::<(), i64>(&mut store, "run").unwrap();
    assert_eq!(run.call(&mut store, ()).unwrap(), 2 * 0xffff_ffff);
}

#[test]
fn dynamic_functions_take_any_type() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, 0_u32);
    let types: Vec<ValType> = [ValType::I32, ValType::F64, ValType::I64, ValType::F32].repeat(8);
    let reverse = |mut caller: Caller<'_, u32>, params: &[Val], results: &mut [Val]| {
        *caller.data_mut() += 1;
        results.iter_mut().zip(params.iter().rev()).for_each(|(result, param)| *result = *param);
        Ok(())
    };
    let ty = FuncType::new(types.clone(), types.iter().copied().rev());
    let host = Func::new(&mut store, ty, reverse).unwrap();
    let mut linker = Linker::new(&engine);
    linker.define(&store, "h", "f", host).unwrap();
    let names = |types: &[ValType]| types.iter().map(|ty| format!("{ty} ")).collect::<String>();
    let reversed: Vec<ValType> = types.iter().copied().rev().collect();
    let gets: String = (0..32).map(|index| format!("(local.get {index})")).collect();
    let wat = format!(
        r#"(module (import "h" "f" (func $f (param {0}) (result {1})))
            (func (export "run") (param {0}) (result {1}) (call $f {gets})))"#,
        names(&types),
        names(&reversed),
    );
    let module = Module::new(&engine, wat).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let params: Vec<Val> = (0..8)
        .flat_map(|i| [Val::I32(-i), Val::from(f64::from(i)), Val::I64(i64::from(i) << 40), Val::from(i as f32)])
        .collect();
    for func in [instance.get_func(&mut store, "run").unwrap(), host] {
        let mut results = vec![Val::I32(0); 32];
        func.call(&mut store, &params, &mut results).unwrap();
        for (result, param) in results.iter().zip(params.iter().rev()) {
            assert_eq!(format!("{result:?}"), format!("{param:?}"));
        }
    }
    assert_eq!(*store.data(), 2);
}

#[test]
fn dynamic_functions_must_keep_their_type() {
    let mut store = Store::new(&Engine::default(), ());
    let ty = FuncType::new([], [ValType::I32]);
    let wrong = |_: Caller<'_, ()>, _: &[Val], results: &mut [Val]| {
        results[0] = Val::I64(1);
        Ok(())
    };
    let func = Func::new(&mut store, ty, wrong).unwrap();
    assert!(matches!(func.call(&mut store, &[], &mut [Val::I32(0)]), Err(Error::Type(_))));
}

#[test]
fn the_callers_memory_is_at_hand() {
    let engine = Engine::default();
    let mut linker: Linker<Vec<u8>> = Linker::new(&engine);
    let write = |mut caller: Caller<'_, Vec<u8>>, start: u32, len: u32| -> Result<u32> {
        let (memory, out) = caller.memory_and_data().ok_or_else(|| Error::host("no memory"))?;
        let bytes = memory.get(start as usize..).and_then(|memory| memory.get(..len as usize));
        out.extend_from_slice(bytes.ok_or_else(|| Error::host("outside"))?);
        Ok(len)
    };
    linker.func_wrap("h", "write", write).unwrap();
    let wat = |memory: &str| {
        format!(
            r#"(module (import "h" "write" (func $write (param i32 i32) (result i32))) {memory}
                (func (export "run") (param i32 i32) (result i32) (call $write (local.get 0) (local.get 1))))"#
        )
    };
    for memory in
        [r#"(memory (export "memory") 1) (data (i32.const 8) "kitbag")"#, r#"(memory 1) (data (i32.const 8) "kitbag")"#]
    {
        let (mut store, instance) = linked(&linker, Vec::new(), &wat(memory));
        let run = instance.get_typed_func::<(i32, i32), i32>(&mut store, "run").unwrap();
        assert_eq!(run.call(&mut store, (8, 6)).unwrap(), 6);
        assert_eq!(store.data(), b"kitbag");
        assert_eq!(run.call(&mut store, (65535, 2)).unwrap_err().to_string(), "outside");
    }
    let (mut store, instance) = linked(&linker, Vec::new(), &wat(""));
    let run = instance.get_typed_func::<(i32, i32), i32>(&mut store, "run").unwrap();
    assert_eq!(run.call(&mut store, (0, 0)).unwrap_err().to_string(), "no memory");
}

/// Calls the export that it is told to, and gives 100 if that traps.
fn call_back(mut caller: Caller<'_, Vec<String>>, depth: i32) -> Result<i32> {
    let back = caller.get_export("back").and_then(kitbag::Extern::into_func);
    let back = back.ok_or_else(|| Error::host("no export"))?.typed::<i32, i32>(&caller)?;
    match back.call(&mut caller, depth) {
        Err(Error::Trap(trap)) => {
            caller.data_mut().push(trap.to_string());
            Ok(100)
        }
        other => other,
    }
}

const CALL_BACK: &str = r#"(module
    (import "h" "call" (func $call (param i32) (result i32)))
    (func $back (export "back") (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then unreachable))
        (if (i32.eq (local.get 0) (i32.const 50)) (then (return (i32.const 7))))
        (i32.add (i32.const 1) (call $call (i32.sub (local.get 0) (i32.const 1))))))"#;

#[test]
fn host_functions_call_back_and_catch_traps() {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    linker.func_wrap("h", "call", call_back).unwrap();
    let (mut store, instance) = linked(&linker, Vec::new(), CALL_BACK);
    let back = instance.get_typed_func::<i32, i32>(&mut store, "back").unwrap();
    assert_eq!(back.call(&mut store, 60).unwrap(), 7 + 10);
    assert!(store.data().is_empty());
    // Each level adds one to what is below; the trap at the bottom counts as 100.
    assert_eq!(back.call(&mut store, 20).unwrap(), 100 + 20);
    assert_eq!(store.data(), &["unreachable"]);
}

#[test]
fn endless_calling_back_ends_as_a_trap() {
    let engine = Engine::default();
    let mut linker: Linker<()> = Linker::new(&engine);
    let again = |mut caller: Caller<'_, ()>| -> Result<()> {
        let run = caller.get_export("run").and_then(kitbag::Extern::into_func);
        run.ok_or_else(|| Error::host("no export"))?.call(&mut caller, &[], &mut [])
    };
    linker.func_wrap("h", "again", again).unwrap();
    let (mut store, instance) =
        linked(&linker, (), r#"(module (import "h" "again" (func $again)) (func $run (export "run") (call $again)))"#);
    let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
    for _ in 0..2 {
        let error = run.call(&mut store, ()).unwrap_err();
        let trap = error.trap().expect("a trap");
        assert_eq!(trap.code, TrapCode::StackOverflow);
        assert!(trap.backtrace.len() > 10, "each level's function is in the backtrace");
        assert!(trap.backtrace.iter().all(|frame| frame.func_name.as_deref() == Some("run")));
    }
}

const RUN: &str = r#"(module (import "h" "f" (func $f)) (global $after (export "after") (mut i32) (i32.const 0))
    (func $inner (call $f) (global.set $after (i32.const 1)))
    (func (export "run") (call $inner) (global.set $after (i32.const 2))))"#;

fn run_with(f: impl Fn() -> Result<()> + Send + Sync + 'static) -> (Result<()>, i32) {
    let engine = Engine::default();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("h", "f", f).unwrap();
    let (mut store, instance) = linked(&linker, (), RUN);
    let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
    let result = run.call(&mut store, ());
    let after = instance.get_global(&mut store, "after").unwrap().get(&store).i32().unwrap();
    (result, after)
}

#[test]
fn exit_and_errors_leave_the_guest_at_once() {
    assert!(matches!(run_with(|| Ok(())), (Ok(()), 2)));
    assert!(matches!(run_with(|| Err(Error::Exit(42))), (Err(Error::Exit(42)), 0)));
    let (error, after) = run_with(|| Err(std::io::Error::other("disk on fire").into()));
    let Err(Error::Host(error)) = error else { panic!("the host's error comes out") };
    assert_eq!(
        (error.downcast_ref::<std::io::Error>().map(|error| error.to_string()), after),
        (Some("disk on fire".into()), 0)
    );
    let (error, _) = run_with(|| Err(kitbag::Trap::new(TrapCode::Interrupted).into()));
    let error = error.unwrap_err();
    let trap = error.trap().expect("a trap");
    assert_eq!((trap.code, trap.backtrace.len()), (TrapCode::Interrupted, 2));
}

#[test]
fn panics_go_through_the_guest() {
    let engine = Engine::default();
    let mut linker: Linker<i32> = Linker::new(&engine);
    let f = |mut caller: Caller<'_, i32>| {
        *caller.data_mut() += 1;
        assert!(*caller.data() != 1, "the first call panics");
    };
    linker.func_wrap("h", "f", f).unwrap();
    let (mut store, instance) = linked(&linker, 0, RUN);
    let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| run.call(&mut store, ()))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the first call panics"));
    run.call(&mut store, ()).unwrap();
    assert_eq!(*store.data(), 2);
}

#[test]
fn host_functions_called_by_the_host_fail_alike() {
    let mut store = Store::new(&Engine::default(), ());
    let exit = Func::wrap(&mut store, |code: i32| -> Result<i32> { Err(Error::Exit(code)) });
    assert!(matches!(exit.call(&mut store, &[Val::I32(3)], &mut [Val::I32(0)]), Err(Error::Exit(3))));
    let panics = Func::wrap(&mut store, || -> () { panic!("here") });
    assert!(catch_unwind(AssertUnwindSafe(|| panics.call(&mut store, &[], &mut []))).is_err());
}
