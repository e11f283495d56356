;; Tables, references, element segments.
;;! test print
(module
  (type $binary (func (param i32 i32) (result i32)))
  (table $t (export "t") 10 20 funcref)
  (table $e 4 externref)
  (elem $active (table $t) (i32.const 1) func $add $sub)
  (elem $passive func $add $sub $add)
  (elem $items funcref (ref.func $sub) (ref.null func))
  (elem declare func $own)
  (func $add (type $binary) local.get 0 local.get 1 i32.add)
  (func $sub (type $binary) local.get 0 local.get 1 i32.sub)
  (func $own (result funcref) ref.func $own)
  (func (export "call") (param i32 i32 i32) (result i32)
    local.get 0 local.get 1 local.get 2 call_indirect $t (type $binary))
  (func (param externref i32) (result i32)
    local.get 1 local.get 0 table.set $e
    local.get 1 table.get $e ref.is_null
    ref.null extern i32.const 2 table.grow $e i32.add
    table.size $t i32.add)
  (func (param i32)
    local.get 0 i32.const 0 i32.const 2 table.init $t $passive elem.drop $passive
    i32.const 0 i32.const 1 i32.const 1 table.copy $t $t
    i32.const 0 ref.null func i32.const 3 table.fill $t)
  (func (param funcref externref i32) (result funcref)
    ref.null func local.get 0 local.get 2 select (result funcref)))
;; expect: ref.func $own
;; expect: call_indirect (type 0)
;; expect: table.set 1
;; expect: table.get 1
;; expect: ref.null extern
;; expect: table.grow 1
;; expect: table.size
;; expect: table.init 1
;; expect: elem.drop 1
;; expect: table.copy
;; expect: table.fill
;; expect: select (result funcref)
;; expect: (elem (;0;) (offset (i32.const 1)) func $add $sub)
;; expect: (elem (;1;) func $add $sub $add)
;; expect: (elem (;2;) funcref (item (ref.func $sub)) (item (ref.null func)))
;; expect: (elem (;3;) declare func $own)
