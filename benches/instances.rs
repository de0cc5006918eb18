//! What an instance costs: to make, to make as new, and to drop, by what it holds and how much of that its guest touches.
//!
//! `cargo bench --bench instances`. With `WASMTIME_LIB=path/to/_libwasmtime.so` (of the PyPI package `wasmtime`) that
//! is measured in turn, making instances anew and out of its pool. The median of many uses counts for each step. Each
//! use calls a function that reads what its memory held at first, and checks the answer.

mod rival;

use std::time::{Duration, Instant};

use kitbag::{Engine, InstancePool, Linker, Module, Store};
use rival::Wasmtime;

const ROUNDS: u32 = 15;
const USES: u32 = 100;

/// A module with so many KiB of data, and so many elements in a table.
fn module(kib: usize, elements: usize) -> Vec<u8> {
    let data = "0123456789abcdef".repeat(kib * 64);
    let refs = "$touch ".repeat(elements);
    let text = format!(
        r#"(module (memory (export "memory") 32) (data (i32.const 1024) "{data}")
            (table {elements} funcref) (elem (i32.const 0) {refs})
            (func $touch (export "touch") (param $pages i32) (result i32) (local $sum i32)
                (block $done (loop $again
                    (br_if $done (i32.eqz (local.get $pages)))
                    (local.set $pages (i32.sub (local.get $pages) (i32.const 1)))
                    (local.set $sum (i32.add (local.get $sum)
                        (i32.load8_u offset=1024 (i32.shl (local.get $pages) (i32.const 12)))))
                    (i32.store8 offset=1024 (i32.shl (local.get $pages) (i32.const 12)) (i32.const 1))
                    (br $again)))
                (local.get $sum)))"#
    );
    wat::parse_str(text).expect("the text is a module")
}

/// What `touch` gives for a memory as new.
fn expected(pages: i32) -> i32 {
    pages * i32::from(b'0')
}

/// How long making, using and dropping or resetting took, each time.
#[derive(Clone, Default)]
struct Costs([Vec<Duration>; 3]);

impl Costs {
    /// Adds those of some uses, each in three steps.
    fn measure<A>(&mut self, make: impl Fn() -> A, touch: impl Fn(&mut A) -> i32, end: impl Fn(A), pages: i32) {
        for _ in 0..USES {
            let begun = Instant::now();
            let mut instance = make();
            let made = Instant::now();
            let answer = touch(&mut instance);
            let used = Instant::now();
            end(instance);
            let ended = Instant::now();
            assert_eq!(answer, expected(pages), "the instance is as new");
            for (all, passed) in self.0.iter_mut().zip([made - begun, used - made, ended - used]) {
                all.push(passed);
            }
        }
    }

    fn print(self, name: &str) {
        let [make, touch, end] = self.0.map(|mut all| {
            all.sort();
            all[all.len() / 2].as_nanos() as f64 / 1e3
        });
        println!("    {name:32}{make:>10.1}{touch:>10.1}{end:>10.1}{:>10.1}", make + touch + end);
    }
}

/// Makes each instance anew.
fn anew(costs: &mut Costs, pre: &kitbag::InstancePre<()>, pages: i32) {
    let make = || {
        let mut store = Store::new(pre.module().engine(), ());
        let instance = pre.instantiate(&mut store).expect("it imports nothing");
        (store, instance)
    };
    let touch = |(store, instance): &mut (Store<()>, kitbag::Instance)| {
        let touch = instance.get_typed_func::<i32, i32>(&mut *store, "touch").expect("it is exported");
        touch.call(store, pages).expect("it returns")
    };
    costs.measure(make, touch, drop, pages);
}

fn pooled(costs: &mut Costs, pool: &InstancePool<()>, pages: i32) {
    let touch = |instance: &mut kitbag::PooledInstance<()>| {
        let touch = instance.instance().get_typed_func::<i32, i32>(&mut *instance, "touch").expect("it is exported");
        touch.call(instance, pages).expect("it returns")
    };
    costs.measure(|| pool.get(()).expect("it imports nothing"), touch, drop, pages);
}

fn rival(costs: &mut Costs, wasmtime: Wasmtime, ready: rival::Ready, pages: i32) {
    let make = || wasmtime.instantiate(ready, "touch");
    let touch = |(store, touch): &mut (rival::Store, rival::Func)| wasmtime.call(*store, touch, pages);
    costs.measure(make, touch, |(store, _)| wasmtime.delete(store), pages);
}

fn main() {
    let engine = Engine::default();
    let rivals = [("wasmtime, anew", Wasmtime::load(false)), ("wasmtime, pooled", Wasmtime::load(true))];
    println!("{:36}{:>10}{:>10}{:>10}{:>10}", "microseconds", "make", "use", "end", "sum");
    for (kib, elements, pages) in
        [(1, 1, 1), (16, 1, 1), (64, 1, 1), (64, 1, 16), (1024, 1, 1), (1024, 1, 64), (1, 10_000, 1)]
    {
        println!("{kib} KiB of data, {elements} elements, {pages} pages touched");
        let wasm = module(kib, elements);
        let module = Module::new(&engine, &wasm).expect("the module is valid");
        let pre = Linker::new(&engine).instantiate_pre(&module).expect("it imports nothing");
        let pool = InstancePool::new(pre.clone(), 1).expect("it imports nothing");
        let ready = rivals.map(|(name, rival)| rival.map(|rival| (name, rival, rival.prepare(&wasm))));
        let mut costs: [Costs; 4] = Default::default();
        for _ in 0..ROUNDS {
            anew(&mut costs[0], &pre, pages);
            pooled(&mut costs[1], &pool, pages);
            for (costs, &(_, wasmtime, ready)) in costs[2..].iter_mut().zip(ready.iter().flatten()) {
                rival(costs, wasmtime, ready, pages);
            }
        }
        let names = ["kitbag, anew", "kitbag, pooled"].into_iter().chain(ready.iter().flatten().map(|ready| ready.0));
        names.zip(costs).for_each(|(name, cost)| cost.print(name));
    }
}
