;;! test unsupported
(module (func $f return_call $f))
;; expect: 2:18: not supported: tail calls
