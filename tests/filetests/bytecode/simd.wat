;; The table knows SIMD; this version does not validate it.
;;! test unsupported
(module (func (drop (v128.const i32x4 0 0 0 0))))
;; expect: 3:22: not supported: SIMD
