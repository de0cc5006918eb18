;; Prints its arguments, argv[0] too, a line each, an empty line, and its environment, a line each (K=V).
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  ;;      0  count, bytes of the strings
  ;;      8  a newline
  ;;     16  an iov, then the bytes written
  ;;     64  the pointers
  ;; 131072  the strings
  (data (i32.const 8) "\n")

  (func $length (param $at i32) (result i32) (local $end i32)
    (local.set $end (local.get $at))
    (loop $next
      (if (i32.load8_u (local.get $end))
        (then
          (local.set $end (i32.add (local.get $end) (i32.const 1)))
          (br $next))))
    (i32.sub (local.get $end) (local.get $at)))

  ;; A write may take less than it is given.
  (func $print (param $at i32) (param $bytes i32)
    (loop $again
      (i32.store (i32.const 16) (local.get $at))
      (i32.store (i32.const 20) (local.get $bytes))
      (if (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)) (then (unreachable)))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.const 24))))
      (local.set $bytes (i32.sub (local.get $bytes) (i32.load (i32.const 24))))
      (br_if $again (local.get $bytes))))

  (func $print_line (param $at i32)
    (call $print (local.get $at) (call $length (local.get $at)))
    (call $print (i32.const 8) (i32.const 1)))

  (func $print_all (local $at i32) (local $left i32)
    (local.set $at (i32.const 64))
    (local.set $left (i32.load (i32.const 0)))
    (loop $next
      (if (local.get $left)
        (then
          (call $print_line (i32.load (local.get $at)))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $next)))))

  (func (export "_start")
    (if (call $args_sizes_get (i32.const 0) (i32.const 4)) (then (unreachable)))
    (if (call $args_get (i32.const 64) (i32.const 131072)) (then (unreachable)))
    (call $print_all)
    (call $print_line (i32.const 9)) ;; a zero byte: the empty string
    (if (call $environ_sizes_get (i32.const 0) (i32.const 4)) (then (unreachable)))
    (if (call $environ_get (i32.const 64) (i32.const 131072)) (then (unreachable)))
    (call $print_all)))
