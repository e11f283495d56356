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
#! policy refused_classes 0x100
vaddps xmm0, xmm1, xmm2
ret
---
# V050 atomics under lock
#! policy refused_classes 0x20
lock inc dword ptr [rax]
ret
---
# V050 an image larger than the embedder permits
#! policy image_code_bytes_max 3
nop
nop
nop
ret
---
# V050 a constant where the embedder permits none
#! policy image_rodata_bytes_max 0
#! rodata 00
ret
---
# V050 one entry more than the embedder permits
#! policy image_entries_max 1
#! entries 0 1
ret
ret
---
# V050 one relocation more than the embedder permits
#! policy image_relocations_max 0
#! imports 1
#! relocation 1 4 0
.byte 0xe9, 0, 0, 0, 0
---
# V050 an import that the embedder refuses
#! policy refused_imports 0x2
#! imports 2
#! relocation 1 4 1
.byte 0xe9, 0, 0, 0, 0
---
# V050 a jump table where the embedder permits none
#! policy image_tables_max 0
#! table 0 : 0
ret
---
# V050 a frame one byte larger than the embedder permits
#! policy frame_bytes_max 8
sub rsp, 9
ret
---
# V050 the same, given back
#! policy frame_bytes_max 8
add rsp, 9
ret
---
# V050 the same by lea
#! policy frame_bytes_max 8
lea rsp, [rsp - 9]
ret
