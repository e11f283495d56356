;; A block does not see the operands outside of it.
;;! test invalid
(module (func i32.const 1 (block drop)))
;; expect: 3:34: type mismatch: expected a value, found nothing
