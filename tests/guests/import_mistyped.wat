;; Imports fd_write with an i64 where its third parameter, an i32, should be: it must not link, although it never calls it.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
