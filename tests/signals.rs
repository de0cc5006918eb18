//! Faults that are not the guest's go where they went before the engine was there. In a process of its own, since
//! handlers are the process'.
//!
//! # Safety
//! The test's own handler does what handlers may: it makes a page accessible and counts.

#![allow(unsafe_code, reason = "handles signals; see Safety above")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::{mem, ptr};

use kitbag::{Caller, Engine, Linker, Module, Store, TrapCode};

static PAGE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
static FAULTS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn make_accessible(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    FAULTS.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the page that the test mapped.
    let result = unsafe { libc::mprotect(PAGE.load(Ordering::SeqCst), 4096, libc::PROT_READ) };
    assert_eq!(result, 0);
}

/// Reads a page that cannot be read until the handler has made it so.
fn fault() -> u8 {
    // SAFETY: a new mapping, then a page of ours; the read faults until the handler made the page accessible.
    unsafe {
        let page = libc::mmap(ptr::null_mut(), 4096, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        PAGE.store(page, Ordering::SeqCst);
        page.cast::<u8>().read_volatile()
    }
}

#[test]
fn a_fault_of_the_host_reaches_the_handler_that_was_there() {
    // SAFETY: an action with a handler of the right kind.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = make_accessible as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &action, ptr::null_mut()), 0);
    }
    let engine = Engine::default();
    assert_eq!((fault(), FAULTS.load(Ordering::SeqCst)), (0, 1));

    // In a host function, with a guest around it: it is still the host's fault.
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("h", "fault", |_: Caller<'_, ()>| i32::from(fault())).unwrap();
    let wat = r#"(module (import "h" "fault" (func $fault (result i32))) (memory 1)
        (func (export "run") (result i32) (i32.load (i32.shl (i32.add (call $fault) (i32.const 1)) (i32.const 16)))))"#;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &Module::new(&engine, wat).unwrap()).unwrap();
    let run = instance.get_typed_func::<(), i32>(&mut store, "run").unwrap();
    let error = run.call(&mut store, ()).unwrap_err();
    assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::MemoryOutOfBounds));
    assert_eq!(FAULTS.load(Ordering::SeqCst), 2);
}
