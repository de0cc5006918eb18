;; Locals stay in registers, across loops and calls; those of a leaf in what calls destroy.
(module
  (func $callee (param i32) (result i32) local.get 0)
  (func $leaf (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func $across_calls (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call $callee (local.get $n))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func $floats (param $n i32) (param $x f64) (result f64) (local $sum f64)
    (loop $again
      (local.set $sum (f64.add (f64.mul (local.get $sum) (local.get $x)) (f64.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
