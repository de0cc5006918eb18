;; Loads from the last address that an index and an offset can make, 2^33 - 2: far behind what 32 bits address.
(module
  (memory (export "memory") 1)
  (func $peek (param $at i32) (result i32) (i32.load8_u offset=0xffffffff (local.get $at)))
  (func $_start (export "_start") (drop (call $peek (i32.const -1)))))
