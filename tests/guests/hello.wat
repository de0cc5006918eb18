;; Prints "hello, world" with one fd_write. Status 0 by returning.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; 0: an iov of the 13 bytes at 16; 8: nwritten
  (data (i32.const 0) "\10\00\00\00\0d\00\00\00")
  (data (i32.const 16) "hello, world\n")
  (func (export "_start")
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
    (if (i32.ne (i32.load (i32.const 8)) (i32.const 13)) (then (unreachable)))))
