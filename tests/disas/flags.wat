;; A comparison that a branch, an `if` or a `select` asks about is not turned into a number.
(module
  (func $branch (param i32 i32) (block (br_if 0 (i32.lt_u (local.get 0) (local.get 1))) unreachable))
  (func $negated (param i64) (block (br_if 0 (i32.eqz (i64.eqz (local.get 0)))) unreachable))
  (func $if (param f64 f64) (result i32) (if (result i32) (f64.lt (local.get 0) (local.get 1)) (then (i32.const 1)) (else (i32.const 2))))
  (func $select (param i32 i32) (result i32) (select (local.get 0) (local.get 1) (i32.gt_s (local.get 0) (local.get 1))))
  (func $select_zero (param i32 i64) (result i64) (select (i64.const 0) (local.get 1) (i32.eqz (local.get 0))))
  (func $equal_floats (param f32 f32) (block (br_if 0 (f32.eq (local.get 0) (local.get 1))) unreachable))
  (func $test (param i32) (block (br_if 0 (i32.and (local.get 0) (i32.const 8))) unreachable))
  (func $after_arithmetic (param i32) (block (br_if 0 (i32.eqz (local.tee 0 (i32.add (local.get 0) (i32.const -1))))) unreachable))
  (func $number (param i32 i32) (result i32) (i32.le_s (local.get 0) (local.get 1))))
