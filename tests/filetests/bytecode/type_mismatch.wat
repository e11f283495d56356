;; An operand of the wrong type, in the second line of the body.
;;! test invalid
(module
  (func (result i32)
    i32.const 1
    f32.const 2
    i32.add))
;; expect: 7:5: type mismatch: expected i32, found f32
