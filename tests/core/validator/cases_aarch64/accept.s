# a return
ret
---
# a frame, pushed and popped by writeback
stp x29, x30, [sp, #-32]!
mov x29, sp
str x19, [sp, #16]
ldr x19, [sp, #16]
ldp x29, x30, [sp], #32
ret
---
# a frame of the largest size, and one beyond 4 KiB in two steps
sub sp, sp, #64, lsl #12
add sp, sp, #64, lsl #12
sub sp, sp, #2, lsl #12
sub sp, sp, #48
add sp, sp, #2, lsl #12
add sp, sp, #48
ret
---
# the stack pointer from the frame pointer
mov sp, x29
sub sp, x29, #16
ret
---
# the farthest writebacks of sp
stp q0, q1, [sp, #-1024]!
ldp q0, q1, [sp], #1008
str x0, [sp, #-256]!
ldr x0, [sp], #255
st1 {v0.16b, v1.16b, v2.16b, v3.16b}, [sp], #64
ret
---
# x29 and x30 are free
mov x29, x0
mov x30, x1
ret
---
# x18 may be read; where 31 is zr nothing is written
mov x0, x18
cmp x18, x0
str x18, [x0]
adds xzr, x0, x1
ands xzr, x0, #16
ldr xzr, [x0]
ret
---
# branches of every kind, to the first and the last instruction
1:
b.eq 2f
cbz x0, 1b
tbnz w0, #31, 2f
bl 1b
cbnz w1, 2f
b 2f
2:
ret
---
# a branch to itself ends the flow
b .
---
# a call through a register
blr x8
ret
---
# a trap ends the flow
brk #0x5507
---
# hints that do nothing
nop
yield
bti
bti c
bti j
bti jc
ret
---
# a jump table as LLVM writes it
#! code_table 0 4 : 20 24
cmp x0, #1
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
br x9
brk #1
ret
---
# other instructions between the addition and the jump
#! code_table 0 0 : 24
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x11, x9, x10
mov x1, x2
str x3, [sp, #8]
br x11
ret
---
# a branch to the beginning of the sequence
#! code_table 0 0 : 16
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
br x9
cbz x0, 1b
ret
---
# the address of an instruction
adr x0, 1f
blr x0
1:
ret
---
# calls and a tail call of imports
#! imports 2
#! relocation 0 283 1
#! relocation 4 282 0
.inst 0x94000000
.inst 0x14000000
---
# constants: the page, then each kind of access to the last place it fits
#! rodata 00000000000000000000000000000000
#! relocation 0 275 15
#! relocation 4 277 15
#! relocation 8 278 15
#! relocation 12 284 14
#! relocation 16 285 12
#! relocation 20 286 8
#! relocation 24 299 0
#! relocation 28 278 3
#! relocation 32 285 4
#! relocation 36 286 8
.inst 0x90000008
add x0, x8, #0
ldrb w0, [x8]
ldrsh x0, [x8]
ldr w0, [x8]
ldr x0, [x8]
ldr q0, [x8]
ldr b0, [x8]
ldr s0, [x8]
ldr d0, [x8]
ret
---
# atomics, with and without LSE
1:
ldaxr x8, [x0]
stlxr w9, x1, [x0]
cbnz w9, 1b
clrex
ldaddal x1, x2, [x0]
casp x2, x3, x4, x5, [x0]
casal w1, w2, [x0]
swpb w1, w2, [x0]
ldapr x1, [x0]
ldapur x1, [x0, #8]
dmb ish
dmb ishld
ret
---
# a post-index register, when the base is not sp
ld1 {v0.16b}, [x0], x1
ret
---
# writeback with both fields 31 is sp and zr
str xzr, [sp, #-16]!
ldr xzr, [sp], #16
ret
---
# a policy that permits the frame it uses
#! policy frame_bytes_max 48
stp x29, x30, [sp, #-48]!
sub sp, sp, #48
add sp, sp, #48
ldp x29, x30, [sp], #48
ret
---
# a jump as far from its base as it may be
#! code_table 0 0 : 132
1:
adr x9, 1b
ldrsw x10, [x8, x0, lsl #2]
add x9, x9, x10
.rept 29
nop
.endr
br x9
ret
---
# exclusive stores of pairs
stxp w0, x1, x2, [x3]
stlxp w0, w1, w2, [sp]
ret
---
# the stack pointer as base has zr's number in other fields
ldp x1, xzr, [sp], #16
stp xzr, xzr, [sp, #-16]!
stxp w0, x1, xzr, [sp]
stxr wzr, x1, [sp]
ret
---
# each kind of access may write sp back
ldrsw x0, [sp], #16
ldpsw x0, x1, [sp], #8
str q0, [sp, #-16]!
ldr d0, [sp], #16
stp s0, s1, [sp, #-16]!
ldp d0, d1, [sp], #16
ld1 {v0.16b}, [sp], #16
ld2 {v0.16b, v1.16b}, [sp], #32
ld3 {v0.16b, v1.16b, v2.16b}, [sp], #48
ld1 {v0.b}[1], [sp], #1
st1 {v0.h}[1], [sp], #2
ld1 {v0.s}[1], [sp], #4
st1 {v0.d}[1], [sp], #8
ld1r {v0.16b}, [sp], #1
ret
