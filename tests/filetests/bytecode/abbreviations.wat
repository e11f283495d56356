;; Inline exports and imports, segments inside tables and memories, omitted module keyword, nested comments.
;;! test print
(func $imported (export "again") (import "m" "f") (param $x i32)) (; a (; nested ;) comment ;)
(table (export "t") funcref (elem $imported $g))
(memory (export "m") (data "ab" "\63\u{64}"))
(global (export "g") (mut i64) (i64.const -0x8000_0000_0000_0000))
(@annotation (with "strings" ")"))
(func $g (param i32) (drop (f32.const nan:0x200000)) (drop (f64.const -0x1.fffffffffffffp+1023)))
;; expect: (import "m" "f" (func $imported (;0;) (type 0)))
;; expect: (func $g (;1;) (type 0) (param i32)
;; expect: f32.const nan:0x200000
;; expect: f64.const -1.7976931348623157e+308
;; expect: (table (;0;) 2 2 funcref)
;; expect: (memory (;0;) 1 1)
;; expect: (global (;0;) (mut i64) (i64.const -9223372036854775808))
;; expect: (export "again" (func $imported))
;; expect: (elem (;0;) (offset (i32.const 0)) func $imported $g)
;; expect: (data (;0;) (offset (i32.const 0)) "abcd")
