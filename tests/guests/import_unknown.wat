;; Imports a function that no host has. Where it may run at all (`--unknown-imports`), it calls the function and exits
;; with its result.
(module
  (import "nobody" "has_this" (func $has_this (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $_start (export "_start")
    (call $proc_exit (call $has_this (i32.const 1) (i64.const 2)))))
