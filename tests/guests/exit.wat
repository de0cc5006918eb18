;; exit N: calls proc_exit with its argument, a decimal number (0 without one). Must print nothing: the trap behind
;; proc_exit is never reached.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)

  ;; The number whose digits begin at $at.
  (func $number (param $at i32) (result i32) (local $n i32) (local $digit i32)
    (loop $next
      (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
      (if (i32.lt_u (local.get $digit) (i32.const 10))
        (then
          (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 10)) (local.get $digit)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next))))
    (local.get $n))

  (func (export "_start") (local $code i32)
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    ;; argv at 16, its strings at 1024
    (drop (call $args_get (i32.const 16) (i32.const 1024)))
    (if (i32.gt_u (i32.load (i32.const 0)) (i32.const 1))
      (then (local.set $code (call $number (i32.load (i32.const 20))))))
    (call $proc_exit (local.get $code))
    (unreachable)))
