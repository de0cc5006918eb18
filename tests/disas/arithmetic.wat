;; Strength reduction, division, shifts, bit counts.
(module
  (func $mul9 (param i32) (result i32) (i32.mul (local.get 0) (i32.const 9)))
  (func $mul8 (param i64) (result i64) (i64.mul (local.get 0) (i64.const 8)))
  (func $divide_by_power (param i32) (result i32) (i32.div_s (local.get 0) (i32.const 16)))
  (func $divide_u10 (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 10)))
  (func $remainder_u10 (param i64) (result i64) (i64.rem_u (local.get 0) (i64.const 10)))
  (func $divide_u7 (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 7)))
  (func $divide_s (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func $shift (param i64 i64) (result i64) (i64.shl (local.get 0) (local.get 1)))
  (func $rotate (param i32 i32) (result i32) (i32.rotl (local.get 0) (local.get 1)))
  (func $count (param i32) (result i32) (i32.clz (local.get 0)))
  (func $wide_constant (param i64) (result i64) (i64.and (local.get 0) (i64.const 0x123456789abcdef))))
