;; Blocks, branches, calls, globals, imports, start; multi-value blocks; unreachable code.
;;! test print
(module
  (type $pair (func (param i32 i32) (result i32 i32)))
  (import "env" "log" (func $log (param i32)))
  (import "env" "base" (global $base i32))
  (import "env" "memory" (memory 1 4))
  (global $count (mut i32) (i32.const 7))
  (global $copy i32 (global.get $base))
  (func $swap (type $pair) local.get 1 local.get 0)
  (func $loop (param $n i32) (result i32) (local $i i32)
    (block $done
      (loop $again
        (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
        (global.set $count (i32.add (global.get $count) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (call $log (local.get $i))
        (br $again)))
    (global.get $count))
  (func $switch (param i32) (result i32)
    (block (block (block (br_table 0 1 2 (local.get 0))) (return (i32.const 1))) (return (i32.const 2)))
    i32.const 3)
  (func $multi (param i32 i32) (result i32)
    local.get 0 local.get 1
    (loop (type $pair) call $swap local.get 0 br_if 0)
    block (param i32 i32) (result i32) i32.sub end)
  (func $dead (result f32) unreachable drop f32.add drop br 0)
  (start $init)
  (func $init (drop (call $loop (i32.const 3))))
  (export "loop" (func $loop)) (export "switch" (func $switch)) (export "count" (global $count)))
;; expect: (import "env" "log" (func $log (;0;) (type 1)))
;; expect: (import "env" "memory" (memory (;0;) 1 4))
;; expect: (func $swap (;1;) (type 0) (param i32 i32) (result i32 i32)
;; expect: (func $loop (;2;) (type 2) (param $n i32) (result i32)
;; expect: (local $i i32)
;; expect:         local.get $i
;; expect:         local.get $n
;; expect: br_table 0 1 2
;; expect:     loop (type 0)
;; expect: block (type 3)
;; expect: (global (;1;) (mut i32) (i32.const 7))
;; expect: (global (;2;) i32 (global.get 0))
;; expect: (export "loop" (func $loop))
;; expect: (start $init)
