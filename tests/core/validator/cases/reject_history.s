# V030 LFI 67b439c: the second destination of mulx was not tracked
mulx rax, rsp, rcx
ret
---
# V030 LFI 67b439c: the second destination of xadd was not tracked
xadd rax, rsp
ret
---
# V030 the same with bytes
xadd al, spl
ret
---
# V010 LFI 4175dfb: stos outside its guarded sequence; here memory is not confined, and only what compilers emit is listed
stosq
ret
---
# V010 LFI 4175dfb: movs
movsb
ret
---
# V010 LFI 4175dfb: movs with the other repeat prefix, which means the same and is emitted by nobody
.byte 0xf2, 0xa4
ret
---
# V030 LFI 408a6f0: the only sequence of ours, the jump table, must not write a reserved register either
#! table 0 : 0
movsxd rsp, dword ptr [rcx + rax*4]
ret
---
# V030 LFI 408a6f0: the sum in the reserved register
#! table 0 : 0
movsxd rax, dword ptr [rsp + rax*4]
add rsp, rax
ret
---
# V010 LFI 8f0a82a: the host's rounding and exception masks, by x87
fldcw [rax]
ret
---
# V010
fnstcw [rax]
ret
---
# V010
fldenv [rax]
ret
---
# V010
fnstenv [rsp]
ret
---
# V010
frstor [rax]
ret
---
# V010
fnsave [rax]
ret
---
# V010
fninit
ret
---
# V010
fnclex
ret
---
# V010 wait raises what is pending
wait
ret
---
# V016
ldmxcsr [rax]
ret
---
# V016
stmxcsr [rax]
ret
---
# V010 the VEX forms too
vldmxcsr [rax]
ret
---
# V010
vstmxcsr [rax]
ret
---
# V010 MMX state is x87 state
movd mm0, eax
ret
---
# V016
emms
ret
---
# V013 NaCl: rowhammer through flushing
clflush [rax]
ret
---
# V013
clflushopt [rax]
ret
---
# V016 clwb shares its opcode with xsaveopt
clwb [rax]
ret
---
# V010 cldemote
.byte 0x0f, 0x1c, 0x00
ret
---
# V017 NaCl: 66 before a near branch is decoded differently by Intel and AMD
.byte 0x66, 0xeb, 0x00
ret
---
# V017
.byte 0x66, 0x74, 0x00
ret
---
# V017
.byte 0x66, 0xff, 0xd0
ret
---
# V017
.byte 0x66, 0xff, 0xe0
---
# V017
.byte 0x66, 0xc3
---
# V017 a push of 16 bits leaves rsp unaligned
.byte 0x66, 0x50
ret
---
# V017
.byte 0x66, 0x58
ret
---
# V017
.byte 0x66, 0x68, 0, 0, 0x90, 0x90
ret
---
# V017
.byte 0x66, 0x6a, 0
ret
---
# V017
.byte 0x66, 0xff, 0x30
ret
---
# V017
.byte 0x66, 0xc9
ret
---
# V030 NaCl: bsf and bsr may leave the upper half as it was, so they count as a write of all of the register
bsf esp, ecx
ret
---
# V030
bsr esp, ecx
ret
---
# V021 neither may stand between a jump table's sum and its jump
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
bsf eax, edx
jmp rax
---
# V010 NaCl: the direction flag
std
ret
---
# V013 the direction flag by popf
popfq
ret
---
# V010 a 2026 model ignored what it did not list: here an operation without a line is refused
vpdpbusd xmm0, xmm1, xmm2
ret
---
# V010
aesenc xmm0, xmm1
ret
