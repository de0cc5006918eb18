;; Constants and locals take no instruction until an operator needs them; a local that changes is kept for who read it before.
(module
  (func $constants (result i32) (i32.add (i32.const 40) (i32.const 2)))
  (func $dropped (param i32) (result i32) (drop (i32.mul (local.get 0) (i32.const 7))) (drop (i32.const 1)) (local.get 0))
  (func $read_before (param $x i32) (result i32)
    local.get $x
    (local.set $x (i32.add (local.get $x) (i32.const 1)))
    local.get $x
    i32.mul)
  (func $swap (param $a i64) (param $b i64) (result i64)
    (local.get $a) (local.get $b) (local.set $a) (local.set $b)
    (i64.sub (local.get $a) (local.get $b)))
  (func $deep (param $a i32) (result i32)
    (i32.xor (i32.add (local.get $a) (i32.const 1))
      (i32.xor (i32.add (local.get $a) (i32.const 2))
        (i32.xor (i32.add (local.get $a) (i32.const 3))
          (i32.xor (i32.add (local.get $a) (i32.const 4))
            (i32.xor (i32.add (local.get $a) (i32.const 5))
              (i32.xor (i32.add (local.get $a) (i32.const 6)) (i32.add (local.get $a) (i32.const 7))))))))))
