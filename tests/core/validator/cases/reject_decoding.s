# V010 x87
fldz
ret
---
# V010 MMX
paddb mm0, mm1
ret
---
# V010 EVEX
vaddps zmm0, zmm1, zmm2
ret
---
# V010 the direction flag must stay clear for the host
std
ret
---
# V010 cld would be harmless, but no compiler needs it
cld
ret
---
# V010 loop
.byte 0xe2, 0xfe
ret
---
# V010 jrcxz
.byte 0xe3, 0x00
ret
---
# V010 enter
enter 16, 0
ret
---
# V010 cpuid
cpuid
ret
---
# V010 xlat: implicit memory
xlatb
ret
---
# V010 a store to anywhere without rep
stosb
ret
---
# V010 lodsb
lodsb
ret
---
# V010 scasb with rep
repne scasb
ret
---
# V010 maskmovdqu stores through rdi
maskmovdqu xmm0, xmm1
ret
---
# V010 clzero
.byte 0x0f, 0xc7, 0xf8
ret
---
# V010 gathers
vpgatherdd ymm0, [rax + ymm1*4], ymm2
ret
---
# V010 an absolute address
movabs al, [0x1122334455667788]
ret
---
# V010 pop to memory
pop qword ptr [rax]
ret
---
# V010 rdrand
rdrand eax
ret
---
# V010 xbegin
.byte 0xc7, 0xf8, 0, 0, 0, 0
ret
---
# V010 VEX.vvvv must be 1111 where no operand uses it
.byte 0xc5, 0xf0, 0x28, 0xc1
ret
---
# V010 VEX.L = 1 where only 128 bits exist
.byte 0xc5, 0xfd, 0x6e, 0xc0
ret
---
# V010 VEX.W = 1 where hardware would ignore it
.byte 0xc4, 0xe1, 0xf8, 0x28, 0xc1
ret
---
# V010 a VEX map that does not exist
.byte 0xc4, 0xe4, 0x78, 0x28, 0xc1
ret
---
# V010 an alias of shl
.byte 0xc1, 0xf0, 0x03
ret
---
# V010 an alias of mfence
.byte 0x0f, 0xae, 0xf1
ret
---
# V010 endbr32
endbr32
ret
---
# V010 rdsspq reads the shadow stack pointer
rdsspq rax
ret
---
# V010 ud0 is no trap word of ours
.byte 0x0f, 0xff, 0xc0
ret
---
# V010 ud1 without its prefix
.byte 0x0f, 0xb9, 0x40, 0x03
ret
---
# V011 an immediate that is missing
ret
.byte 0xb8, 0, 0, 0
---
# V011 an opcode that is missing
ret
.byte 0x0f
---
# V011 a displacement that is missing
ret
.byte 0x48, 0x8b, 0x80, 0, 0
---
# V011 the trap word without its kind
ret
.byte 0x67, 0x0f, 0xb9, 0x40
---
# V017 the operand prefix twice
.byte 0x66, 0x66, 0x89, 0xc0
ret
---
# V017 rep on no string instruction
.byte 0xf3, 0xc3
---
# V017 both repeat prefixes
.byte 0xf2, 0xf3, 0x0f, 0x58, 0xc1
ret
---
# V017 REX not directly before the opcode
.byte 0x48, 0x66, 0x89, 0xc0
ret
---
# V017 two REX prefixes
.byte 0x48, 0x41, 0x89, 0xc0
ret
---
# V017 an empty REX without a byte register
.byte 0x40, 0x89, 0xc0
ret
---
# V010 a nop that names a register
.byte 0x0f, 0x1f, 0xc0
ret
---
# V017 REX.W before a nop
.byte 0x48, 0x90
ret
---
# V017 REX.W with the operand prefix, of which one is ignored
.byte 0x66, 0x48, 0x89, 0xc0
ret
---
# V017 REX.B on ret
.byte 0x41, 0xc3
---
# V017 Intel and AMD disagree about the length of this jump
.byte 0x66, 0xe9, 0, 0, 0, 0
ret
---
# V017 the same for a conditional jump
.byte 0x66, 0x0f, 0x84, 0, 0, 0, 0
ret
---
# V017 the same for a call
.byte 0x66, 0xe8, 0, 0, 0, 0
ret
---
# V017 bnd
.byte 0xf2, 0xe9, 0, 0, 0, 0
---
# V017 a 32-bit address
mov eax, [ebx]
ret
---
# V017 lock on a register
.byte 0xf0, 0x01, 0xc0
ret
---
# V017 lock on a load
.byte 0xf0, 0x8b, 0x00
ret
---
# V017 lock twice
.byte 0xf0, 0xf0, 0x01, 0x00
ret
---
# V017 elided locks
.byte 0xf2, 0xf0, 0x01, 0x00
ret
---
# V017 the operand prefix before VEX
.byte 0x66, 0xc5, 0xf8, 0x28, 0xc1
ret
---
# V017 REX before VEX
.byte 0x48, 0xc5, 0xf8, 0x28, 0xc1
ret
---
# V017 REX.B with nop is an exchange
.byte 0x41, 0x90
ret
---
# V017 REX on a landing pad
.byte 0xf3, 0x44, 0x0f, 0x1e, 0xfa
ret
---
# V017 the manual leaves the result of a 16-bit bswap undefined
.byte 0x66, 0x0f, 0xc8
ret
---
# V010 VEX bits for registers where there is none
.byte 0xc5, 0x78, 0x77
ret
---
# V017 a long nop with a seventh operand prefix would be sixteen bytes
.byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
ret
---
# V014 a long nop without an operand prefix
.byte 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
ret
---
# V017 notrack before VEX
.byte 0x3e, 0xc5, 0xf8, 0x28, 0xc1
ret
---
# V017 movsxd without REX.W only copies
.byte 0x63, 0xc1
ret
---
# V010 vpermq with VEX.W = 0
.byte 0xc4, 0xe3, 0x7d, 0x00, 0xc1, 0x00
ret
---
# V010 behind 0f there are no prefixes
.byte 0x0f, 0x26, 0xc0
ret
