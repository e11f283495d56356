# V020 behind the code
b 1f
ret
1:
---
# V020 in front of the code
.inst 0x17ffffff
---
# V020 a conditional branch behind the code
b.eq 1f
ret
1:
---
# V020 a call behind the code
bl 1f
ret
1:
---
# V020 compare and branch, in front
.inst 0xb5ffffe0
ret
---
# V020 test and branch, behind
tbz x0, #40, 1f
ret
1:
---
# V020 into a jump-table sequence: the load would be skipped
#! code_table 0 4 : 20
cbz x0, 2f
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
2:
br x9
ret
---
# V020 the last word, into a jump-table sequence
#! code_table 0 0 : 16
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
2:
add x9, x9, x10
br x9
b 2b
---
# V020 an address of the middle of a sequence
#! code_table 0 4 : 20
adr x0, 2f
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
2:
add x9, x9, x10
br x9
ret
---
# V003 an entry inside a word
#! entries 0 2
nop
ret
---
# V003 an entry inside a jump-table sequence
#! code_table 0 0 : 16
#! entries 0 4
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
br x9
ret
---
# V003 behind the code
#! entries 0 4
ret
---
# V003 not in ascending order
#! entries 4 0
nop
ret
---
# V021 no table declared
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
br x9
---
# V021 no sequence
#! code_table 0 0 : 0
br x9
---
# V021 another register
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
br x10
---
# V021 what follows the base is no load
#! code_table 0 0 : 0
1:
adr x9, 1b
eor x10, x8, x0
add x9, x9, x10
br x9
---
# V021 what follows the base is an addition already
#! code_table 0 0 : 0
1:
adr x9, 1b
add x10, x8, x0
add x9, x9, x10
br x9
---
# V021 what follows the load is no addition
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
sub x9, x9, x10
br x9
---
# V021 what follows the load is another load, of the same registers
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
ldrsw x11, [x9, x10, lsl #2]
br x11
---
# V021 the sum is loaded anew
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x11, x9, x10
ldrsw x11, [x8, x0, lsl #2]
br x11
---
# V021 no base
#! code_table 0 0 : 0
nop
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
br x9
---
# V021 something between base and load
#! code_table 0 0 : 0
1:
adr x9, 1b
nop
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
br x9
---
# V021 something between load and addition: it could change the value
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
mov x10, x0
add x9, x9, x10
br x9
---
# V021 another register is added
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x11
br x9
---
# V021 added to another register than the base
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x11, x10
br x9
---
# V021 the load overwrites the base
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x9, [x8, x0, lsl #2]
add x9, x9, x9
br x9
---
# V021 an unscaled load
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0]
add x9, x9, x10
br x9
---
# V021 a shifted addition
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10, lsl #1
br x9
---
# V021 zr as the base: the table would hold addresses
#! code_table 0 0 : 0
1:
adr xzr, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, xzr, x10
br x9
---
# V021 zr as the sum
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add xzr, x9, x10
br xzr
---
# V021 the sum changes before the jump
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
mov x9, x0
br x9
---
# V021 the sum is the second result of a load, which LFI x64 did not track (67b439c)
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
ldp x1, x9, [x0]
br x9
---
# V021 a call in between
#! code_table 0 0 : 0
1:
adr x19, 1b
ldrsw x10, [x8, x0, lsl #2]
add x19, x19, x10
blr x0
br x19
---
# V021 a branch in between
#! code_table 0 0 : 20
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
cbz x0, 2f
br x9
2:
ret
---
# V021 too far apart
#! code_table 0 0 : 0
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
.rept 30
nop
.endr
br x9
---
# V021 a return through another register
ret x0
---
# V021 an authenticated return
retaa
---
# V021 an authenticated return, by the other key
retab
---
# V021 an authenticated jump
braaz x0
---
# V021 an authenticated call
blraa x0, x1
ret
---
# V022 a target behind the code
#! code_table 0 0 : 16
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
br x9
---
# V022 a target inside a word
#! code_table 0 0 : 18
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
br x9
ret
---
# V022 a target inside the sequence
#! code_table 0 0 : 12
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
br x9
ret
---
# V022 an unaligned table
#! rodata 0000000000000000
#! raw_table 2 1
ret
---
# V022 an empty table
#! rodata 0000000000000000
#! raw_table 0 0
ret
---
# V022 a table that ends behind the constants
#! rodata 0000000000000000
#! raw_table 4 2
ret
---
# V022 tables that share bytes
#! rodata 000000fc
#! raw_table 0 1
#! raw_table 0 1
ret
---
# V023 no end
nop
---
# V023 a nop behind the return: an entry could name it
ret
nop
---
# V023 a conditional branch at the end
1:
ret
b.al 1b
---
# V023 a call at the end
1:
ret
bl 1b
