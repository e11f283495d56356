;;! test unsupported
(module (memory i64 1))
;; expect: 2:17: not supported: memory64
