//! Where the system refuses the addresses that memories like to reserve. In a process of its own, since the limit is the process'.
//!
//! # Safety
//! System calls that set a limit, and one that asks for addresses and gives them back.

#![allow(unsafe_code, reason = "sets a limit of the process and asks whether it holds; see Safety above")]

use kitbag::{Engine, Error, Linker, Memory, MemoryType, Module, Store, TrapCode};

/// Limits the addresses that the process may have from now on; gives the limit before.
fn limit_addresses(bytes: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a place to write to, and one to read.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = bytes.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &limit), 0);
        before
    }
}

/// Whether the system gives more addresses than that: an emulator of processes takes note of the limit and does nothing about it.
fn gives_addresses(bytes: usize) -> bool {
    // SAFETY: a new mapping, which nobody else knows and which is undone.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let place = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0);
        place != libc::MAP_FAILED && libc::munmap(place, bytes) == 0
    }
}

const GROW: &str = r#"(module (memory (export "memory") 1)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;

#[test]
fn memories_do_with_less_or_are_refused_with_an_error() {
    let guarded = Engine::default();
    let unlimited = limit_addresses(3 << 30);
    if gives_addresses(4 << 30) {
        return eprintln!("SKIPPED: the limit of addresses is not kept to here");
    }

    // An engine that was made before relies on reservations: it says what there is none of.
    let refused = Memory::new(Store::new(&guarded, ()), MemoryType::new(1, None));
    assert!(matches!(refused, Err(Error::Limit(_))), "{refused:?}");

    // One that is made now compiles checks.
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, GROW).unwrap();
    let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
    let grow = instance.get_typed_func::<i32, i32>(&mut store, "grow").unwrap();
    let load = instance.get_typed_func::<i32, i32>(&mut store, "load").unwrap();
    instance.get_memory(&mut store, "memory").unwrap().write(&mut store, 7, &[42]).unwrap();
    assert_eq!(grow.call(&mut store, 99).unwrap(), 1);
    assert_eq!((load.call(&mut store, 7).unwrap(), load.call(&mut store, (100 << 16) - 1).unwrap()), (42, 0));
    let outside = load.call(&mut store, 100 << 16).unwrap_err();
    assert_eq!(outside.trap().map(|trap| trap.code), Some(TrapCode::MemoryOutOfBounds));
    // What the system does not give, the guest does not get.
    assert_eq!(grow.call(&mut store, 65000).unwrap(), -1);
    assert_eq!(load.call(&mut store, 7).unwrap(), 42);

    limit_addresses(unlimited);
    assert!(Memory::new(Store::new(&guarded, ()), MemoryType::new(1, None)).is_ok());
}
