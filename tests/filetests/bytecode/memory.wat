;; Loads, stores, bulk memory, data segments.
;;! test print
(module
  (memory (export "memory") 1 2)
  (data $a (i32.const 16) "hello\00\ff world")
  (data $b "passive")
  (func (export "copy") (param i32 i32 i32)
    local.get 0 local.get 1 local.get 2 memory.copy
    local.get 0 i32.const 0 local.get 2 memory.fill
    i32.const 0 i32.const 0 i32.const 4 memory.init $b
    data.drop $b)
  (func (export "store") (param i32 i64 f32 f64)
    local.get 0 local.get 1 i64.store offset=8 align=4
    local.get 0 local.get 1 i64.store32 offset=200
    local.get 0 local.get 2 f32.store
    local.get 0 local.get 3 f64.store offset=65535 align=1
    local.get 0 i32.load8_s local.get 0 i32.load16_u offset=2 i32.store8)
  (func (result i32) i32.const 1 memory.grow memory.size i32.add)
  (func (param i32) (result i64) local.get 0 i64.load32_u local.get 0 i64.load16_s i64.xor))
;; expect: memory.init 1
;; expect: data.drop 1
;; expect: i64.store offset=8 align=4
;; expect: i64.store32 offset=200
;; expect: f64.store offset=65535 align=1
;; expect: (memory (;0;) 1 2)
;; expect: (data (;0;) (offset (i32.const 16)) "hello\00\ff world")
;; expect: (data (;1;) "passive")
