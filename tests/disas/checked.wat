;; Memories with 64-bit indices are checked by comparing; others than the first are found through the instance.
(module
  (memory $first 1)
  (memory $wide i64 1)
  (memory $second 1)
  (func $wide (param i64) (result i32) (i32.load $wide offset=8 (local.get 0)))
  (func $second (param i32) (result i32) (i32.load $second (local.get 0)))
  (func $size (result i32) (memory.size $second)))
