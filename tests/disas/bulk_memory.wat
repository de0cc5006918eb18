;; Bulk operations.
(module
  (memory 1)
  (data $d "kitbag")
  (func $copy (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func $copy_constant (param i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const 16)))
  (func $fill (param i32 i32) (memory.fill (local.get 0) (i32.const 0) (local.get 1)))
  (func $fill_constant (param i32) (memory.fill (local.get 0) (i32.const 0) (i32.const 24)))
  (func $init (memory.init $d (i32.const 0) (i32.const 0) (i32.const 6)) (data.drop $d))
  (func $grow (param i32) (result i32) (memory.grow (local.get 0))))
