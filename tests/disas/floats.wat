;; Scalar floats.
(module
  (memory 1)
  (func $add_constant (param f64) (result f64) (f64.add (local.get 0) (f64.const 2.5)))
  (func $mul_loaded (param f64 i32) (result f64) (f64.mul (local.get 0) (f64.load (local.get 1))))
  (func $less_than_constant (param f32) (result i32) (f32.lt (local.get 0) (f32.const 4)))
  (func $min (param f64 f64) (result f64) (f64.min (local.get 0) (local.get 1)))
  (func $negate (param f64) (result f64) (f64.neg (local.get 0)))
  (func $truncate (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func $saturate (param f32) (result i64) (i64.trunc_sat_f32_u (local.get 0)))
  (func $convert (param i64) (result f64) (f64.convert_i64_s (local.get 0))))
