;; Base, index and offset in one operand; guard pages check, but for offsets beyond them.
(module
  (memory $m 1)
  (func $load (param i32) (result i32) (i32.load offset=8 (local.get 0)))
  (func $constant (result i64) (i64.load (i32.const 1024)))
  (func $far (param i32) (result i32) (i32.load8_s offset=0x7fff0000 (local.get 0)))
  (func $store (param i32) (i32.store16 offset=2 (local.get 0) (i32.const 7)))
  (func $wraps (param i32 i32) (result f64) (f64.load (i32.add (local.get 0) (local.get 1))))
  (func $scaled (param i32 i32) (result i32) (i32.load (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 2))))))
