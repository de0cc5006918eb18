;; Loads four bytes of which the last lies behind the end of the memory, in the function $peek. The load of the memory's
;; last four bytes before it must succeed.
(module
  (memory (export "memory") 1)
  (func $peek (param $at i32) (result i32) (i32.load (local.get $at)))
  (func $_start (export "_start")
    (drop (call $peek (i32.const 65532)))
    (drop (call $peek (i32.const 65533)))))
