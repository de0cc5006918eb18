;; Few cases are compared one by one, five and more go through a table.
(module
  (func $few (param i32) (result i32)
    (block $c (block $b (block $a (br_table $a $b $c (local.get 0))) (return (i32.const 10))) (return (i32.const 20)))
    (i32.const 30))
  (func $many (param i32) (result i32)
    (block $e (block $d (block $c (block $b (block $a (br_table $a $b $c $d $e $a (local.get 0)))
      (return (i32.const 10))) (return (i32.const 20))) (return (i32.const 30))) (return (i32.const 40)))
    (i32.const 50))
  (func $with_value (param i32) (result i64)
    (block $b (result i64)
      (block $a (result i64) (br_table $a $b $a $b $a $b (i64.const 7) (local.get 0)))
      (i64.add (i64.const 1)))))
