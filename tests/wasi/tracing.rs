//! What is told of calls: small programs and the lines that they leave.

use std::sync::{Arc, Mutex};

use kitbag::wasi::{SteppingClock, Tracer, WasiCtx, add_to_linker_traced};
use kitbag::{Engine, Linker, Module, Store};
use kitbag_fs::FileSystem;

use super::guest::files;

/// Imports, by a letter each, and places in memory.
const PREFIX: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\00\02\00\00\06\00\00\00\00\02\00\00\03\00\00\00")
    (data (i32.const 256) "dir/file")
    (data (i32.const 512) "hello\n")
    (func (export "_start")"#;

/// The lines of a program made of these instructions, their results dropped.
fn trace(calls: &[&str]) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    run(calls, Tracer::new(move |call| sink.lock().unwrap().push(call.to_string())));
    lines.lock().unwrap().clone()
}

fn run(calls: &[&str], tracer: Tracer) {
    let engine = Engine::default();
    let module = Module::new(&engine, format!("{PREFIX}{}))", calls.join("\n"))).unwrap();
    let mut linker = Linker::new(&engine);
    add_to_linker_traced(&mut linker, |ctx| ctx, tracer).unwrap();
    let root = files(&["dir/file"]).root().unwrap();
    let ctx = WasiCtx::builder().arg("prog").preopen("/", root).clock(SteppingClock::new(1_000, 5)).build();
    let mut store = Store::new(&engine, ctx.unwrap());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    _ = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap().call(&mut store, ());
}

#[test]
fn hello() {
    let lines = trace(&[
        "(drop (call $args (i32.const 64) (i32.const 68)))",
        "(drop (call $fdstat (i32.const 1) (i32.const 64)))",
        "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 64)))",
        "(drop (call $time (i32.const 0) (i64.const 1) (i32.const 64)))",
        "(drop (call $yield))",
        "(call $exit (i32.const 3))",
    ]);
    assert_eq!(
        lines,
        [
            "args_sizes_get() = 1, 5",
            "fd_fdstat_get(1) = {unknown, 0, 0x8200048}",
            "fd_write(1, [6, 3]) = 9",
            "clock_time_get(realtime, 1) = 1000",
            "sched_yield() = 0",
            "proc_exit(3)",
        ]
    );
}

#[test]
fn files_and_paths() {
    let lines = trace(&[
        "(drop (call $open (i32.const 3) (i32.const 1) (i32.const 256) (i32.const 8) (i32.const 9) (i64.const -1) \
         (i64.const 2) (i32.const 1) (i32.const 64)))",
        "(drop (call $write (i32.const 4) (i32.const 0) (i32.const 1) (i32.const 64)))",
        "(drop (call $seek (i32.const 4) (i64.const -4) (i32.const 2) (i32.const 64)))",
        "(drop (call $read (i32.const 4) (i32.const 8) (i32.const 1) (i32.const 64)))",
        "(drop (call $stat (i32.const 4) (i32.const 64)))",
        "(drop (call $fdstat (i32.const 4) (i32.const 64)))",
        "(drop (call $rename (i32.const 3) (i32.const 256) (i32.const 8) (i32.const 3) (i32.const 256) (i32.const 3)))",
        "(drop (call $close (i32.const 4)))",
    ]);
    assert_eq!(
        lines,
        [
            r#"path_open(3, SYMLINK_FOLLOW, "dir/file", CREAT|TRUNC, all, FD_READ, APPEND) = 4"#,
            "fd_write(4, [6]) = 6",
            "fd_seek(4, -4, end) = 2",
            "fd_read(4, [3]) = 3",
            "fd_filestat_get(4) = {file, size 6}",
            "fd_fdstat_get(4) = {file, APPEND, file}",
            r#"path_rename(3, "dir/file", 3, "dir") = ENOTEMPTY (directory not empty)"#,
            "fd_close(4) = 0",
        ]
    );
}

#[test]
fn what_cannot_be_read_is_a_number() {
    let lines = trace(&[
        "(drop (call $open (i32.const 3) (i32.const 2) (i32.const -1) (i32.const 8) (i32.const 64) (i64.const 7) \
         (i64.const 127) (i32.const 32) (i32.const 64)))",
        "(drop (call $write (i32.const 1) (i32.const -8) (i32.const 9) (i32.const 64)))",
        "(drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const -1)))",
        "(drop (call $time (i32.const 9) (i64.const 0) (i32.const 64)))",
        "(drop (call $seek (i32.const 0) (i64.const 0) (i32.const 7) (i32.const 64)))",
    ]);
    assert_eq!(
        lines,
        [
            "path_open(3, 0x2, 0xffffffff+8, 0x40, FD_DATASYNC|FD_READ|FD_SEEK, 0x7f, 0x20) = EINVAL (invalid argument)",
            "fd_write(1, 0xfffffff8+9) = EFAULT (bad address)",
            "fd_read(0, [6]) = EFAULT (bad address)",
            "clock_time_get(9, 0) = EINVAL (invalid argument)",
            "fd_seek(0, 0, 7) = EINVAL (invalid argument)",
        ]
    );
}

/// A subscriber that keeps the fields of all events of one target.
#[cfg(feature = "tracing")]
mod subscriber {
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::{Event, Metadata, Subscriber, span};

    #[derive(Clone, Default)]
    pub(super) struct Keep(pub(super) Arc<Mutex<Vec<String>>>);

    struct Fields(String);

    impl Visit for Fields {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() != "nanoseconds" {
                self.0 += &format!("{}={value:?} ", field.name());
            }
        }
    }

    impl Subscriber for Keep {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "kitbag::wasi"
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut fields = Fields(String::new());
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0.trim_end().to_owned());
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }
}

#[cfg(feature = "tracing")]
#[test]
fn events() {
    let keep = subscriber::Keep::default();
    tracing::subscriber::with_default(keep.clone(), || {
        let calls = ["(drop (call $close (i32.const 9)))", "(drop (call $yield))", "(call $exit (i32.const 3))"];
        run(&calls, Tracer::events());
    });
    assert_eq!(
        *keep.0.lock().unwrap(),
        [
            r#"function="fd_close" arguments="9" result="EBADF" results="""#,
            r#"function="sched_yield" arguments="" result="OK" results="""#,
            r#"function="proc_exit" arguments="3" results="""#,
        ]
    );
}
