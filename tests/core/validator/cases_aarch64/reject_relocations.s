# V032 a literal load
ldr x0, 1f
1:
ret
---
# V032 a literal load into a vector register
ldr q0, 1f
1:
ret
---
# V032 a prefetch of a literal
prfm pldl1keep, 1f
1:
ret
---
# V032 a page without a relocation
.inst 0x90000000
ret
---
# V032 an address behind the code
adr x0, 1f
ret
1:
---
# V032 an address in front of the code
.inst 0x10ffffe0
ret
---
# V032 an address inside a word
.inst 0x30000000
ret
---
# V032 the page of a place behind the constants
#! rodata 00000000
#! relocation 0 275 4
.inst 0x90000000
ret
---
# V032 the address of a place behind the constants
#! rodata 00000000
#! relocation 0 277 4
add x0, x0, #0
ret
---
# V032 a load that ends behind the constants
#! rodata 000000000000000000000000
#! relocation 0 286 8
ldr x0, [x8]
ret
---
# V032 no constants
#! relocation 0 278 0
ldrb w0, [x8]
ret
---
# V032 a target near the end of the numbers
#! rodata 00000000
#! relocation 0 285 0xfffffffc
ldr w0, [x8]
ret
---
# V040 an unaligned constant, which the field cannot name
#! rodata 00000000000000000000000000000000
#! relocation 0 286 4
ldr x0, [x8]
ret
---
# V040 a page that is not empty
#! rodata 00000000
#! relocation 0 275 0
.inst 0xb0000000
ret
---
# V040 a page on an address of code
#! rodata 00000000
#! relocation 0 275 0
adr x0, .
ret
---
# V040 a load of another size
#! rodata 0000000000000000
#! relocation 0 285 0
ldr x0, [x8]
ret
---
# V040 a vector load of another size
#! rodata 00000000000000000000000000000000
#! relocation 0 286 0
ldr q0, [x8]
ret
---
# V040 a load with a displacement
#! rodata 0000000000000000
#! relocation 0 286 0
ldr x0, [x8, #8]
ret
---
# V040 a store: constants are never written
#! rodata 0000000000000000
#! relocation 0 286 0
str x0, [x8]
ret
---
# V040 a vector store
#! rodata 0000000000000000
#! relocation 0 286 0
str d0, [x8]
ret
---
# V040 an unscaled load
#! rodata 0000000000000000
#! relocation 0 286 0
ldur x0, [x8]
ret
---
# V040 an addition that is not empty
#! rodata 0000000000000000
#! relocation 0 277 0
add x0, x8, #4
ret
---
# V040 a shifted addition
#! rodata 0000000000000000
#! relocation 0 277 0
add x0, x8, #0, lsl #12
ret
---
# V040 a subtraction
#! rodata 0000000000000000
#! relocation 0 277 0
sub x0, x8, #0
ret
---
# V040 sp as the result of an addition
#! rodata 0000000000000000
#! relocation 0 277 0
add sp, sp, #0
ret
---
# V040 a call's kind on a jump
#! imports 1
#! relocation 0 283 0
.inst 0x14000000
---
# V040 a jump's kind on a call
#! imports 1
#! relocation 0 282 0
.inst 0x94000000
ret
---
# V040 a branch that is not empty
#! imports 1
#! relocation 0 282 0
.inst 0x14000001
ret
---
# V040 on a conditional branch
#! imports 1
#! relocation 0 282 0
.inst 0x54000000
ret
---
# V040 on nothing that has a field
#! imports 1
#! relocation 0 283 0
nop
ret
---
# V040 a kind of x86-64
#! imports 1
#! relocation 0 4 0
.inst 0x94000000
ret
---
# V040 beside the word
#! imports 1
#! relocation 2 283 0
.inst 0x94000000
ret
---
# V040 twice on one word
#! imports 1
#! relocation 0 283 0
#! relocation 0 283 0
.inst 0x94000000
ret
---
# V040 out of order
#! imports 1
#! relocation 4 283 0
#! relocation 0 283 0
.inst 0x94000000
.inst 0x94000000
ret
---
# V040 behind the code
#! imports 1
#! relocation 4 283 0
ret
---
# V040 at the highest offset there is
#! imports 1
#! relocation 0xffffffff 283 0
ret
---
# V041 behind the import table
#! imports 1
#! relocation 0 283 1
.inst 0x94000000
ret
---
# V041 no import table
#! relocation 0 282 0
.inst 0x14000000
---
# V001 no code, which a tool of LFI reported as passed (43b7323)
#! count code_bytes 0
ret
---
# V001 more code than the limit
#! count code_bytes 4194308
ret
---
# V001 no entry
#! count entry_count 0
ret
---
# V002 no architecture has this number
#! arch 3
ret
---
# V040 a call whose field is not empty
#! imports 1
#! relocation 0 283 0
bl 1f
1:
ret
