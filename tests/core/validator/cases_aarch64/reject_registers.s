# V030 x18
mov x18, x0
ret
---
# V030 w18
mov w18, #1
ret
---
# V030 x18 is loaded
ldr x18, [x0]
ret
---
# V030 x18 is the second register of a pair (LFI x64 67b439c: a second destination not tracked)
ldp x1, x18, [x0]
ret
---
# V030 x18 is the second register of an exclusive pair (LFI x64 67b439c)
ldxp x1, x18, [x0]
ret
---
# V030 x18 is the status of an exclusive store (LFI x64 67b439c)
stxr w18, x1, [x0]
ret
---
# V030 x18 is what was there before an exchange (LFI x64 67b439c)
swp x1, x18, [x0]
ret
---
# V030 x18 is what was there before an addition (LFI x64 67b439c)
ldadd x1, x18, [x0]
ret
---
# V030 x18 is what compare and swap found (LFI x64 67b439c)
cas x18, x1, [x0]
ret
---
# V030 x18 is the first of what compare and swap of a pair found
casp x18, x19, x2, x3, [x0]
ret
---
# V030 x18 is the base of a writeback
str x0, [x18, #8]!
ret
---
# V030 x18 is the base of a pair's writeback
ldp x0, x1, [x18], #16
ret
---
# V030 x18 is the base of a vector's writeback
ldr q0, [x18], #16
ret
---
# V030 x18 is the base of a structure's writeback
ld1 {v0.16b}, [x18], #16
ret
---
# V030 x18 from a vector register
umov w18, v0.b[1]
ret
---
# V030 x18 from a floating-point register
fcvtzs x18, d0
ret
---
# V030 x18 from a lane
fmov x18, v0.d[1]
ret
---
# V030 x18 in the jump-table sequence (LFI x64 408a6f0: sequences touched reserved registers)
#! code_table 0 0 : 16
1:
adr x9, 1b
ldrsw x18, [x8, x0, lsl #2]
add x9, x9, x18
br x9
ret
---
# V030 sp from any register
mov sp, x0
ret
---
# V030 sp from a sum of registers
add sp, sp, x0
ret
---
# V030 sp from another register and an immediate
add sp, x0, #16
ret
---
# V030 sp above the frame pointer
add sp, x29, #16
ret
---
# V030 the lower half of sp
add wsp, wsp, #16
ret
---
# V030 sp by a mask
and sp, x0, #-16
ret
---
# V030 sp by a constant
orr sp, xzr, #0x7000
ret
---
# V030 a post-index register moves sp by any amount (LFI arm64 677cbf1)
ld1 {v0.16b}, [sp], x1
ret
---
# V030 the same for one lane (LFI arm64 677cbf1)
st1 {v0.b}[0], [sp], x1
ret
---
# V030 the same for four registers (LFI arm64 677cbf1)
ld4 {v0.16b, v1.16b, v2.16b, v3.16b}, [sp], x1
ret
---
# V030 the same for all lanes (LFI arm64 677cbf1)
ld1r {v0.16b}, [sp], x1
ret
---
# V031 down by more than a frame
sub sp, sp, #65, lsl #12
ret
---
# V031 up by more than a frame
add sp, sp, #4095, lsl #12
ret
---
# V031 more than a frame below the frame pointer
sub sp, x29, #65, lsl #12
ret
---
# V050 a frame larger than the policy permits
#! policy frame_bytes_max 32
sub sp, sp, #48
ret
---
# V050 a writeback larger than the policy permits
#! policy frame_bytes_max 32
stp x29, x30, [sp, #-48]!
ret
---
# V050 a vector writeback larger than the policy permits
#! policy frame_bytes_max 32
stp q0, q1, [sp, #-64]!
ret
---
# V050 a structure's writeback larger than the policy permits
#! policy frame_bytes_max 63
st1 {v0.16b, v1.16b, v2.16b, v3.16b}, [sp], #64
ret
---
# V050 a distance from the frame pointer larger than the policy permits
#! policy frame_bytes_max 32
sub sp, x29, #48
ret
---
# V050 a single writeback larger than the policy permits
#! policy frame_bytes_max 32
str x0, [sp, #-48]!
ret
---
# V050 a class that the policy refuses
#! policy refused_classes 0x1000
fadd s0, s1, s2
ret
---
# V050 more code than the policy permits
#! policy image_code_bytes_max 4
nop
ret
---
# V050 an import that the policy refuses
#! policy refused_imports 1
#! imports 1
#! relocation 0 282 0
.inst 0x14000000
