;; A misspelt instruction is found by line and column.
;;! test malformed
(module
  (func
    i32.ad))
;; expect: 5:5: unknown operator i32.ad
