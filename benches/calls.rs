//! What a call between host and guest costs, beside the same call through a pointer to a C function.
//!
//! `cargo bench --bench calls`. A guest calls a host function a million times in a loop; the loop of the C calls is this program's.
//! Processor time is measured, the best of several rounds counts, and the number of calls is checked. With `WASMTIME_LIB=path/to/_libwasmtime.so` (of the
//! PyPI package `wasmtime`) that is measured too, with a host function given through its C interface, the fastest that it has.

mod rival;

use std::hint::black_box;

use kitbag::jit::abi::Returned;
use kitbag::{Caller, Engine, Func, FuncType, Linker, Module, Store, ValType};
use rival::Wasmtime;

const ROUNDS: u32 = 25;
const CALLS: i32 = 1_000_000;

/// Calls `call` so many times, and gives what is left of the number then.
fn guest(imports: &str, call: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {imports} (memory (export "memory") 1)
            (func (export "run") (param $left i32) (result i32)
                (loop $again
                    {call}
                    (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
                (local.get $left))
            (func (export "same") (param i32) (result i32) (local.get 0)))"#
    );
    wat::parse_str(text).expect("the text is a module")
}

const NOTHING: &str = r#"(import "host" "nothing" (func $nothing))"#;
const ADD: &str = r#"(import "host" "add" (func $add (param i32 i32) (result i32)))"#;

/// As compiled code calls host functions, with nothing around it.
type Function = extern "C" fn(*const u64, *mut u64) -> Returned;

extern "C" fn nothing(_: *const u64, _: *mut u64) -> Returned {
    Returned { bits: 0, status: 0 }
}

/// This thread's, in nanoseconds.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The least of several rounds, in nanoseconds a call.
fn best(mut round: impl FnMut()) -> f64 {
    let time = |_| {
        let begun = processor_time();
        round();
        (processor_time() - begun) / f64::from(CALLS)
    };
    (0..ROUNDS).map(time).fold(f64::INFINITY, f64::min)
}

fn linker(engine: &Engine) -> Linker<u64> {
    let mut linker: Linker<u64> = Linker::new(engine);
    linker.func_wrap("host", "nothing", || ()).expect("the name is free");
    linker.func_wrap("host", "add", |a: i32, b: i32| a.wrapping_add(b)).expect("the name is free");
    let count = |mut caller: Caller<'_, u64>| *caller.data_mut() += 1;
    linker.func_wrap("host", "count", count).expect("the name is free");
    let ty = FuncType::new([ValType::I32; 2], [ValType::I32]);
    let dynamic = |_: Caller<'_, u64>, params: &[kitbag::Val], results: &mut [kitbag::Val]| {
        results[0] = params[0];
        Ok(())
    };
    linker.func_new("host", "dynamic", ty, dynamic).expect("the name is free");
    linker
}

fn here(imports: &str, call: &str) -> f64 {
    let engine = Engine::default();
    let module = Module::new(&engine, guest(imports, call)).expect("the module is valid");
    let mut store = Store::new(&engine, 0);
    let instance = linker(&engine).instantiate(&mut store, &module).expect("all imports are there");
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run").expect("it is exported");
    let cost = best(|| assert_eq!(run.call(&mut store, CALLS).expect("it returns"), 0));
    assert!([0, u64::from(ROUNDS) * CALLS as u64].contains(store.data()), "every call arrived");
    cost
}

/// A call of the guest by the host.
fn entering() -> f64 {
    let engine = Engine::default();
    let module = Module::new(&engine, guest("", "")).expect("the module is valid");
    let mut store = Store::new(&engine, 0);
    let instance = linker(&engine).instantiate(&mut store, &module).expect("it imports nothing");
    let same: Func = instance.get_func(&mut store, "same").expect("it is exported");
    let same = same.typed::<i32, i32>(&store).expect("it is of this type");
    best(|| (0..CALLS).for_each(|value| assert_eq!(same.call(&mut store, value).expect("it returns"), value)))
}

fn there(wasmtime: Wasmtime, imports: &str, call: &str) -> f64 {
    let ready = wasmtime.prepare(&guest(imports, call));
    let (store, run) = wasmtime.instantiate(ready, "run");
    best(|| assert_eq!(wasmtime.call(store, &run, CALLS), 0))
}

fn there_entering(wasmtime: Wasmtime) -> f64 {
    let (store, same) = wasmtime.instantiate(wasmtime.prepare(&guest("", "")), "same");
    best(|| (0..CALLS).for_each(|value| assert_eq!(wasmtime.call(store, &same, value), value)))
}

fn main() {
    let pointer: Function = black_box(nothing);
    let mut count = 0;
    let c = best(|| {
        for _ in 0..CALLS {
            count += u64::from(black_box(pointer)(std::ptr::null(), std::ptr::null_mut()).status == 0);
        }
    });
    assert_eq!(count, u64::from(ROUNDS) * CALLS as u64);
    let rival = Wasmtime::load(false);
    println!("{:44}{:>8}{:>10}", "nanoseconds a call", "kitbag", if rival.is_some() { "wasmtime" } else { "" });
    let print = |name: &str, ours: f64, theirs: Option<f64>| match theirs {
        Some(theirs) => println!("{name:44}{ours:>8.2}{theirs:>10.2}"),
        None => println!("{name:44}{ours:>8.2}"),
    };
    print("a C function through a pointer", c, None);
    let empty = here("", "");
    print("the guest's loop alone", empty, rival.map(|rival| there(rival, "", "")));
    let ours = here(NOTHING, "(call $nothing)");
    print("a host function that does nothing", ours, rival.map(|rival| there(rival, NOTHING, "(call $nothing)")));
    println!("    that is {:.2} more than the C function", ours - c);
    print("of two parameters and a result", here(ADD, "(drop (call $add (local.get 0) (i32.const 1)))"), None);
    let count = NOTHING.replace("\"nothing\"", "\"count\"");
    print("that counts in the store's data", here(&count, "(call $nothing)"), None);
    let dynamic = ADD.replace("\"add\"", "\"dynamic\"");
    print("of a type known when it runs", here(&dynamic, "(drop (call $add (local.get 0) (i32.const 1)))"), None);
    print("a function of the guest, by the host", entering(), rival.map(there_entering));
}
