//! The engine's handler of faults and that of mapped files, whichever was there first: a guest's trap stays a trap, and a file that
//! another process shortens is an I/O error, also in the middle of a guest's call. Each order is a process of its own.
//!
//! # Safety
//! Nothing here relies on bytes of mapped files staying what they were.

#![allow(unsafe_code, reason = "maps files; see Safety above")]

use std::process::Command;

use kitbag::fs::disk::Disk;
use kitbag::fs::{Bytes, Error, FileSystem, OpenOptions, Path, mapped};
use kitbag::{Caller, Engine, Linker, Module, Store, TrapCode};

const CASE: &str = "KITBAG_TEST_CASE";

fn apart(name: &str, case: impl FnOnce()) {
    if std::env::var_os(CASE).is_some_and(|case| case == name) {
        return case();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let status = command.args([name, "--exact", "--nocapture"]).env(CASE, name).status().unwrap();
    assert!(status.success(), "{name}: {status}");
}

fn enable() {
    // SAFETY: see the file's Safety section.
    unsafe { mapped::enable() }.unwrap();
}

/// A mapped file of 1 MiB that another process has emptied.
fn lost() -> Bytes {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    std::fs::write(&path, vec![7; 1 << 20]).unwrap();
    let root = Disk::read_only(folder.path()).unwrap().root().unwrap();
    let bytes = root.open(Path::new(b"f").unwrap(), OpenOptions::read()).unwrap().file().unwrap().read_all().unwrap();
    assert_eq!((bytes[1000], mapped::check(&bytes)), (7, Ok(())));
    assert!(Command::new("truncate").args(["-s", "0"]).arg(path).status().unwrap().success());
    bytes
}

fn is_lost(bytes: &Bytes) -> bool {
    bytes.iter().all(|&byte| byte == 0) && mapped::check(bytes) == Err(Error::Io)
}

fn works(engine: &Engine) {
    assert!(is_lost(&lost()));
    let mut linker: Linker<()> = Linker::new(engine);
    linker.func_wrap("h", "lose", |_: Caller<'_, ()>| i32::from(is_lost(&lost()))).unwrap();
    let wat = r#"(module (import "h" "lose" (func $lose (result i32))) (memory 1)
        (func (export "run") (result i32) (i32.load (i32.shl (call $lose) (i32.const 16))))
        (func (export "lose") (result i32) (call $lose)))"#;
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, &Module::new(engine, wat).unwrap()).unwrap();
    for _ in 0..2 {
        let lose = instance.get_typed_func::<(), i32>(&mut store, "lose").unwrap();
        assert_eq!(lose.call(&mut store, ()).unwrap(), 1);
        let run = instance.get_typed_func::<(), i32>(&mut store, "run").unwrap();
        let error = run.call(&mut store, ()).unwrap_err();
        assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::MemoryOutOfBounds));
    }
}

#[test]
fn the_engine_first() {
    apart("the_engine_first", || {
        let engine = Engine::default();
        enable();
        works(&engine);
    });
}

#[test]
fn the_mappings_first() {
    apart("the_mappings_first", || {
        enable();
        works(&Engine::default());
    });
}

/// A module whose bytes are lost does not pass for one that is merely wrong.
#[test]
fn a_module_that_is_lost() {
    apart("a_module_that_is_lost", || {
        enable();
        let bytes = lost();
        assert!(Module::new(&Engine::default(), &bytes).is_err());
        assert_eq!(mapped::check(&bytes), Err(Error::Io));
    });
}
