;; Traps by `unreachable`, two named functions deep: the backtrace shows $inner, $outer and _start, in this order.
;; "before" is on standard output by then.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\07\00\00\00before\n")
  (func $inner (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 7)) (then (unreachable)))
    (local.get 0))
  (func $outer (param i32) (result i32)
    (i32.add (call $inner (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func $_start (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
    (drop (call $outer (i32.const 6)))))
