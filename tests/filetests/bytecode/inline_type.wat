;;! test malformed
(module (type $t (func (param i32))) (func (type $t) (param i64)))
;; expect: 2:44: inline function type
