;; Divides by zero in the function $divide. The division of other numbers before it must succeed.
(module
  (memory (export "memory") 1)
  (func $divide (param $a i32) (param $b i32) (result i32) (i32.div_s (local.get $a) (local.get $b)))
  (func $_start (export "_start")
    (if (i32.ne (call $divide (i32.const -7) (i32.const 2)) (i32.const -3)) (then (unreachable)))
    (drop (call $divide (i32.const 1) (i32.const 0)))))
