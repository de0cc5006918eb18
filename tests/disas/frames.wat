;; Stack checks, leaves without one, locals in the frame and their zeros.
(module
  (memory 1)
  (func $empty)
  (func $calls (call $empty))
  (func $homes (param i32) (result i64)
    (local i64 i64 i64 i64 i64 i64 i64 i64)
    (local.set 1 (i64.load (local.get 0)))
    (call $empty)
    (i64.add (local.get 1) (i64.add (local.get 2) (local.get 8))))
  (global $g (mut i32) (i32.const 0))
  (func $global (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g)))
