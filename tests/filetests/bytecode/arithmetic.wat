;; Numbers: folded and plain instructions, conversions, floats.
;;! test print
(module
  (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
  (func (export "fac") (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0))
      (then (i64.const 1))
      (else (i64.mul (local.get 0) (call 1 (i64.sub (local.get 0) (i64.const 1)))))))
  (func (param f32 f64) (result f64) (local i32 i32 f64)
    local.get 0 f64.promote_f32 local.get 1 f64.add local.tee 4 f64.sqrt
    local.get 4 local.get 4 f64.const 0x1.8p+3 f64.lt select)
  (func (param f64) (result i32 i64)
    local.get 0 i32.trunc_sat_f64_s i32.extend8_s
    local.get 0 i64.trunc_f64_u i64.extend32_s))
;; expect: (type (;0;) (func (param i32 i32) (result i32)))
;; expect: (func (;1;) (type 1) (param i64) (result i64)
;; expect:     if (result i64)
;; expect:     else
;; expect:       call 1
;; expect: f64.const 12.0
;; expect: i32.trunc_sat_f64_s
;; expect: (export "add" (func 0))
