//! Guests that are stopped from outside.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kitbag::{Caller, Engine, Error, Instance, Linker, Module, Result, Store, TrapCode};

const LOOPS: &str = r#"(module
    (import "h" "work" (func $work (param i32) (result i32)))
    (import "h" "nested" (func $nested))
    (memory (export "memory") 1) (table (export "table") 10 funcref) (elem (i32.const 0) $leaf)
    (global $count (mut i32) (i32.const 0))
    (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "spin") (loop $again (br $again)))
    (func (export "count") (loop $again (global.set $count (call $leaf (global.get $count))) (br $again)))
    (func (export "host") (loop $again (drop (call $work (i32.const 1))) (br $again)))
    (func (export "fill") (loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536)) (br $again)))
    (func (export "tables") (loop $again
        (table.set (i32.const 5) (ref.func $leaf))
        (table.copy (i32.const 3) (i32.const 0) (i32.const 7))
        (drop (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 0)))
        (br $again)))
    (func (export "nested") (loop $again (call $nested) (br $again)))
    (tag $e (param i32))
    (func $throw (param i32) (result i32) (throw $e (local.get 0)))
    (func $pass (param i32) (result i32) (i32.add (i32.const 1) (call $throw (local.get 0))))
    (func (export "throw") (loop $again
        (block $caught (result i32)
            (try_table (catch $e $caught) (br $again (drop (call $pass (global.get $count)))))
            (unreachable))
        (global.set $count (i32.add (i32.const 1)))
        (br $again)))
    (func (export "rethrow") (local $exception exnref) (loop $again
        (block $caught (result i32 exnref)
            (try_table (catch_ref $e $caught)
                (if (ref.is_null (local.get $exception))
                    (then (drop (call $pass (i32.const 7))))
                    (else (throw_ref (local.get $exception)))))
            (unreachable))
        (local.set $exception)
        (if (i32.ne (i32.const 7)) (then (unreachable)))
        (br $again))))"#;

/// Calls "spin" and says that all went well, whatever became of it.
fn swallow(mut caller: Caller<'_, ()>) {
    let spin = caller.get_export("spin").and_then(kitbag::Extern::into_func).expect("it is exported");
    assert!(spin.call(&mut caller, &[], &mut []).is_err());
    assert!(caller.is_interrupted());
}

fn instance() -> (Store<()>, Instance) {
    let engine = Engine::default();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("h", "work", |value: i32| value + 1).unwrap();
    linker.func_wrap("h", "nested", swallow).unwrap();
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, LOOPS).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    (store, instance)
}

fn code(result: Result<()>) -> Option<TrapCode> {
    result.unwrap_err().trap().map(|trap| trap.code)
}

/// Interrupts at moments that no guest foresees, and looks at what it left.
#[test]
fn endless_guests_end_whatever_they_do_and_leave_nothing_half_done() {
    let (mut store, instance) = instance();
    let handle = store.interrupt_handle();
    for (round, name) in
        ["spin", "count", "host", "fill", "tables", "nested", "throw", "rethrow"].iter().cycle().take(160).enumerate()
    {
        let run = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
        let handle = handle.clone();
        let delay = Duration::from_micros(round as u64 * 37 % 1000);
        let watchdog = std::thread::spawn(move || {
            std::thread::sleep(delay);
            handle.interrupt();
        });
        assert_eq!(code(run.call(&mut store, ())), Some(TrapCode::Interrupted), "{name}");
        watchdog.join().unwrap();
        store.clear_interrupt();
        check_table(&mut store, instance);
    }
}

/// Each entry is null or a function that can be called.
fn check_table(store: &mut Store<()>, instance: Instance) {
    let table = instance.get_table(&mut *store, "table").unwrap();
    for index in 0..10 {
        if let Some(kitbag::Val::FuncRef(Some(func))) = table.get(&*store, index) {
            assert_eq!(func.typed::<i32, i32>(&*store).unwrap().call(&mut *store, 1).unwrap(), 2);
        }
    }
}

#[test]
fn an_interrupted_store_is_not_entered_until_it_is_cleared() {
    let (mut store, instance) = instance();
    store.interrupt_handle().interrupt();
    let spin = instance.get_typed_func::<(), ()>(&mut store, "spin").unwrap();
    assert_eq!(code(spin.call(&mut store, ())), Some(TrapCode::Interrupted));
    store.clear_interrupt();
    check_table(&mut store, instance);
}

#[test]
fn other_stores_go_on() {
    let (mut one, _) = instance();
    let (mut other, spinning) = instance();
    let done = AtomicBool::new(false);
    let (first, second) = (one.interrupt_handle(), other.interrupt_handle());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..50).for_each(|_| first.interrupt());
            std::thread::sleep(Duration::from_millis(20));
            done.store(true, Ordering::SeqCst);
            second.interrupt();
        });
        let spin = spinning.get_typed_func::<(), ()>(&mut other, "spin").unwrap();
        assert_eq!(code(spin.call(&mut other, ())), Some(TrapCode::Interrupted));
        assert!(done.load(Ordering::SeqCst));
    });
    one.clear_interrupt();
}

#[test]
fn a_host_function_ends_by_itself_and_its_guest_after_it() {
    let engine = Engine::default();
    let mut linker: Linker<u32> = Linker::new(&engine);
    let wait = |mut caller: Caller<'_, u32>| {
        while !caller.is_interrupted() {
            std::thread::sleep(Duration::from_millis(1));
        }
        *caller.data_mut() += 1;
        Ok::<(), Error>(())
    };
    linker.func_wrap("h", "wait", wait).unwrap();
    let wat = r#"(module (import "h" "wait" (func $wait)) (func (export "run") (call $wait) (call $wait)))"#;
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &Module::new(&engine, wat).unwrap()).unwrap();
    let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
    let handle = store.interrupt_handle();
    let watchdog = std::thread::spawn(move || handle.interrupt());
    assert_eq!(code(run.call(&mut store, ())), Some(TrapCode::Interrupted));
    watchdog.join().unwrap();
    // Not at all, if the request came before the entry.
    assert!(*store.data() <= 1);
}

/// Each of these takes seconds or for ever, most of it in one builtin.
const LONG: &str = r#"(module
    (memory 65536) (memory $other 65536) (table $t 10000000 funcref) (table $u 10000000 funcref) (elem declare func $leaf)
    (func $leaf)
    (func (export "fill") (loop $again
        (memory.fill (i32.const 0) (i32.const 0) (i32.const -1)) (br $again)))
    (func (export "copy") (loop $again
        (memory.copy $other 0 (i32.const 0) (i32.const 0) (i32.const -1)) (br $again)))
    (func (export "overlapping") (loop $again
        (memory.copy (i32.const 1) (i32.const 0) (i32.const -1)) (br $again)))
    (func (export "elements") (loop $again
        (table.fill $t (i32.const 0) (ref.func $leaf) (i32.const 10000000))
        (table.copy $u $t (i32.const 0) (i32.const 0) (i32.const 10000000)) (br $again)))
    (func (export "grow") (loop $again (drop (memory.grow (i32.const 1))) (br $again)))
    (func (export "grow_table") (loop $again (drop (table.grow $t (ref.func $leaf) (i32.const 1))) (br $again)))
    (func $recurse (export "recurse") (call $recurse) (call $recurse)))"#;

#[test]
fn long_operations_end_on_their_way() {
    let engine = Engine::default();
    let module = Module::new(&engine, LONG).unwrap();
    for name in ["fill", "copy", "overlapping", "elements", "grow", "grow_table"] {
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
        let run = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
        let handle = store.interrupt_handle();
        let watchdog = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            handle.interrupt();
        });
        assert_eq!(code(run.call(&mut store, ())), Some(TrapCode::Interrupted), "{name}");
        watchdog.join().unwrap();
    }
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
    let recurse = instance.get_typed_func::<(), ()>(&mut store, "recurse").unwrap();
    assert_eq!(code(recurse.call(&mut store, ())), Some(TrapCode::StackOverflow));
}

/// An embedder's own function that waits, for something that never comes.
#[test]
fn a_host_function_that_waits_for_the_event_too_is_woken() {
    let engine = Engine::default();
    let mut linker: Linker<rustix::fd::OwnedFd> = Linker::new(&engine);
    let wait = |caller: Caller<'_, rustix::fd::OwnedFd>| {
        let event = caller.interrupt_event().ok_or_else(|| Error::host("nobody can stop it"))?;
        let both = [caller.data().as_fd(), event];
        let mut both = both.map(|fd| rustix::event::PollFd::from_borrowed_fd(fd, rustix::event::PollFlags::IN));
        rustix::event::poll(&mut both, None).map_err(std::io::Error::from)?;
        Ok::<(), Error>(())
    };
    linker.func_wrap("h", "wait", wait).unwrap();
    let wat = r#"(module (import "h" "wait" (func $wait)) (func (export "run") (call $wait)))"#;
    let module = Module::new(&engine, wat).unwrap();
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    let mut store = Store::new(&engine, reader);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
    assert_eq!(run.call(&mut store, ()).unwrap_err().to_string(), "nobody can stop it");
    for _ in 0..3 {
        let handle = store.interrupt_handle();
        let watchdog = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            handle.interrupt();
        });
        assert_eq!(code(run.call(&mut store, ())), Some(TrapCode::Interrupted));
        watchdog.join().unwrap();
        // The event is not readable any more, or the next round would not wait.
        store.clear_interrupt();
    }
}

#[test]
fn the_signal_can_be_another_one() {
    for signal in [libc::SIGUSR2, libc::SIGRTMIN() + 7] {
        let engine = Engine::new(kitbag::Config::new().interrupt_signal(signal)).unwrap();
        let module = Module::new(&engine, r#"(module (func (export "spin") (loop $again (br $again))))"#).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
        let spin = instance.get_typed_func::<(), ()>(&mut store, "spin").unwrap();
        let handle = store.interrupt_handle();
        let watchdog = std::thread::spawn(move || handle.interrupt());
        assert_eq!(code(spin.call(&mut store, ())), Some(TrapCode::Interrupted));
        watchdog.join().unwrap();
    }
    for signal in [0, libc::SIGKILL, libc::SIGSEGV, 32, 65, -1] {
        let refused = Engine::new(kitbag::Config::new().interrupt_signal(signal));
        assert!(matches!(refused, Err(Error::Unsupported(_))), "{signal}");
    }
}
