;;! test unsupported
(module (memory 1) (memory 1))
;; expect: 2:20: not supported: multi-memory
