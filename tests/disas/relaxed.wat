(module
  (func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))
  (func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))
  (func (param v128 v128 v128) (result v128) (i8x16.relaxed_laneselect (local.get 0) (local.get 1) (local.get 2)))
  (func (param v128 v128) (result v128) (f32x4.relaxed_min (local.get 0) (local.get 1)))
  (func (param v128 v128 v128) (result v128)
    (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get 0) (local.get 1) (local.get 2)))
  ;; A sum of products, kept in one register.
  (func (param $at i32) (result v128) (local $sum v128)
    (loop $next
      (local.set $sum (f32x4.relaxed_madd
        (v128.load (local.get $at)) (v128.load offset=1024 (local.get $at)) (local.get $sum)))
      (br_if $next (local.tee $at (i32.sub (local.get $at) (i32.const 16)))))
    (local.get $sum))
  ;; Onto a factor, and onto neither.
  (func (param v128 v128 v128) (result v128)
    (local.set 0 (f64x2.relaxed_nmadd (local.get 0) (local.get 1) (local.get 2)))
    (f64x2.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))
  (memory 1))
