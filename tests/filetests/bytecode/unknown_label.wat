;;! test malformed
(module (func (block $a (br $b))))
;; expect: 2:29: unknown label $b
