;; Copies standard input to standard output until its end. Status: the errno of the call that failed, or 0.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  ;; 0: an iov; 8: the bytes that a call moved; 1024: the buffer of 4096 bytes

  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))

  (func $iov (param $at i32) (param $bytes i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $bytes)))

  ;; The bytes read, 0 at the end.
  (func $fill (result i32)
    (call $iov (i32.const 1024) (i32.const 4096))
    (call $check (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.load (i32.const 8)))

  ;; A write may take less than it is given.
  (func $drain (param $bytes i32) (local $at i32)
    (local.set $at (i32.const 1024))
    (loop $again
      (call $iov (local.get $at) (local.get $bytes))
      (call $check (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
      (local.set $bytes (i32.sub (local.get $bytes) (i32.load (i32.const 8))))
      (br_if $again (local.get $bytes))))

  (func (export "_start") (local $bytes i32)
    (loop $next
      (local.set $bytes (call $fill))
      (if (local.get $bytes)
        (then
          (call $drain (local.get $bytes))
          (br $next))))))
