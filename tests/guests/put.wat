;; put NAME TEXT: makes the file NAME below descriptor 3 and writes TEXT to it. Status: the errno of the call that
;; failed, or 0.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  ;; 0: the descriptor; 8: an iov; 16: the bytes written; 64: argv; 1024: its strings

  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))

  (func $length (param $at i32) (result i32) (local $end i32)
    (local.set $end (local.get $at))
    (loop $next
      (if (i32.load8_u (local.get $end))
        (then
          (local.set $end (i32.add (local.get $end) (i32.const 1)))
          (br $next))))
    (i32.sub (local.get $end) (local.get $at)))

  ;; O_CREAT and O_TRUNC, for the right to write.
  (func $create (param $name i32)
    (call $check (call $path_open (i32.const 3) (i32.const 0) (local.get $name) (call $length (local.get $name))
      (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 0))))

  (func (export "_start")
    (call $check (call $args_get (i32.const 64) (i32.const 1024)))
    (call $create (i32.load (i32.const 68)))
    (i32.store (i32.const 8) (i32.load (i32.const 72)))
    (i32.store (i32.const 12) (call $length (i32.load (i32.const 72))))
    (call $check (call $fd_write (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i32.const 16)))))
