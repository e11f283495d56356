# V040 not on a branch
#! imports 1
#! relocation 1 4 0
mov eax, 0
ret
---
# V040 beside the field
#! imports 1
#! relocation 0 4 0
.byte 0xe8, 0, 0, 0, 0
ret
---
# V040 the field is not empty
#! imports 1
#! relocation 1 4 0
.byte 0xe8, 1, 0, 0, 0
ret
---
# V040 another kind
#! imports 1
#! relocation 1 2 0
.byte 0xe8, 0, 0, 0, 0
ret
---
# V040 on a conditional branch
#! imports 1
#! relocation 2 4 0
.byte 0x0f, 0x84, 0, 0, 0, 0
ret
---
# V040 twice on one field
#! imports 1
#! relocation 1 4 0
#! relocation 1 4 0
.byte 0xe8, 0, 0, 0, 0
ret
---
# V040 out of order
#! imports 1
#! relocation 6 4 0
#! relocation 1 4 0
.byte 0xe8, 0, 0, 0, 0
.byte 0xe8, 0, 0, 0, 0
ret
---
# V040 past the code
#! imports 1
#! relocation 9 4 0
ret
---
# V041 past the table
#! imports 1
#! relocation 1 4 1
.byte 0xe8, 0, 0, 0, 0
ret
---
# V041 no table
#! relocation 1 4 0
.byte 0xe9, 0, 0, 0, 0
---
# V050 a class that the embedder refuses
#! refused 0x100
vaddps xmm0, xmm1, xmm2
ret
---
# V050 atomics under lock
#! refused 0x20
lock inc dword ptr [rax]
ret
---
# V050 an image larger than the embedder permits
#! code_max 3
nop
nop
nop
ret
