;; Calls through a table: with the argument "null" an empty element, "type" a function of another type, and else an
;; element behind the end.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (type $unary (func (param i32) (result i32)))
  (table 3 funcref)
  (elem (i32.const 0) $same $nothing)
  (func $same (param i32) (result i32) (local.get 0))
  (func $nothing)
  (func $call (param $element i32) (result i32) (call_indirect (type $unary) (i32.const 5) (local.get $element)))
  ;; The element that argv[1] asks for, told by its first letter. argv at 0, its strings at 1024.
  (func $asked (result i32) (local $letter i32)
    (drop (call $args_get (i32.const 0) (i32.const 1024)))
    (local.set $letter (i32.load8_u (i32.load (i32.const 4))))
    (if (i32.eq (local.get $letter) (i32.const 0x6e)) (then (return (i32.const 2))))
    (if (i32.eq (local.get $letter) (i32.const 0x74)) (then (return (i32.const 1))))
    (i32.const 3))
  (func $_start (export "_start")
    (if (i32.ne (call $call (i32.const 0)) (i32.const 5)) (then (unreachable)))
    (drop (call $call (call $asked)))))
