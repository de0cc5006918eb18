;; Vectors: operands from memory and constants where the instruction takes them.
(module
  (memory 1)
  (func $add (param v128 v128) (result v128) (i32x4.add (local.get 0) (local.get 1)))
  (func $constant (param v128) (result v128) (f32x4.mul (local.get 0) (v128.const f32x4 2 2 2 2)))
  (func $shuffle (param v128 v128) (result v128) (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get 0) (local.get 1)))
  (func $splat_load (param i32) (result v128) (v128.load32_splat (local.get 0)))
  (func $lane (param v128) (result i32) (i16x8.extract_lane_u 3 (local.get 0)))
  (func $any (param v128) (result i32) (if (result i32) (v128.any_true (local.get 0)) (then (i32.const 1)) (else (i32.const 2))))
  (func $select (param v128 v128 v128) (result v128) (v128.bitselect (local.get 0) (local.get 1) (local.get 2)))
  (func $dot (param $a i32) (param $b i32) (param $n i32) (result v128) (local $sum v128)
    (loop $again
      (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul (v128.load (local.get $a)) (v128.load (local.get $b)))))
      (local.set $a (i32.add (local.get $a) (i32.const 16)))
      (local.set $b (i32.add (local.get $b) (i32.const 16)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
