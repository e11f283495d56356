# the smallest image
ret
---
# traps
nop
.byte 0x67, 0x0f, 0xb9, 0x40, 0x05
ud2
int3
---
# landing pad and prologue
endbr64
push rbp
mov rbp, rsp
push r15
sub rsp, 262144
and rsp, -32
and rsp, -64
and rsp, -16
.byte 0x48, 0x81, 0xe4, 0xf0, 0xff, 0xff, 0xff # the same, by a wider immediate
lea rsp, [rbp - 8]
pop r15
pop rbp
ret
---
# epilogues
add rsp, 262144
lea rsp, [rsp - 128]
sub rsp, -128
mov rsp, rbp
leave
ret
---
# the other encoding of a copy
.byte 0x48, 0x8b, 0xe5
ret
---
# registers 4 to 7 as bytes are not rsp
mov ah, 1
mov ch, al
xchg ah, bl
.byte 0x40, 0x88, 0xee
ret
---
# rsp may be read
mov rax, rsp
cmp rsp, [rax]
mov [rsp + 8], rsp
push rsp
lea rax, [rsp + 8]
test rsp, rsp
mulx rax, rcx, rsp
xadd [rsp], rax
xor eax, [rsp + rcx*8]
ret
---
# r12 is not rsp
mov r12, rax
pop r12
xchg rax, r12
mulx r12, rax, rcx
ret
---
# nops of each length
nop
.byte 0x66, 0x90
nop dword ptr [rax]
nop dword ptr [rax + 8]
nop dword ptr [rax + rax + 8]
nop word ptr [rax + rax + 8]
nop dword ptr [rax + 512]
.byte 0x0f,0x1f,0x84,0,0,0,0,0
.byte 0x66,0x0f,0x1f,0x84,0,0,0,0,0
.byte 0x66,0x2e,0x0f,0x1f,0x84,0,0,0,0,0
.byte 0x66,0x66,0x2e,0x0f,0x1f,0x84,0,0,0,0,0
.byte 0x66,0x66,0x66,0x66,0x66,0x66,0x2e,0x0f,0x1f,0x84,0,0,0,0,0
ret
---
# integer forms
adc eax, 1
sbb r8, [rax]
imul rax, rcx
imul rax, rcx, 1000
mul r9
idiv dword ptr [rax]
neg byte ptr [rax]
shl rax, cl
sar dword ptr [rax], 3
rcl eax, 1
shrd rax, rcx, cl
bt [rax], ecx
btr qword ptr [rax], 5
bsf eax, ecx
bsr eax, ecx
bswap r9
cmovg eax, ecx
setne byte ptr [rax]
movzx eax, word ptr [rax]
movsx rax, byte ptr [rax]
movsxd rax, ecx
movabs rax, 0x1122334455667788
cqo
cdqe
cwd
lock cmpxchg16b [rax]
lock cmpxchg [rax], ecx
lock xadd [rax], rcx
xchg [rax], cl
pause
mfence
lfence
sfence
prefetcht0 [rax]
rep stosq
rep movsb
ret
---
# bit manipulation
popcnt ax, cx
lzcnt rax, rcx
tzcnt eax, ecx
andn rax, rcx, rdx
bextr rax, rcx, rdx
blsi rax, rcx
bzhi rax, rcx, rdx
pdep rax, rcx, rdx
pext rax, rcx, rdx
rorx rax, rcx, 5
shlx rax, rcx, rdx
adcx rax, rcx
adox rax, rcx
crc32 rax, rcx
crc32 eax, cx
movbe [rax], ecx
ret
---
# vectors
movd xmm0, eax
movq rax, xmm8
pinsrq xmm0, rax, 1
pextrb [rax], xmm0, 3
cvtsi2sd xmm0, rax
roundsd xmm0, xmm1, 11
pcmpistri xmm0, xmm1, 12
vaddpd ymm0, ymm1, ymm2
vfmadd231sd xmm0, xmm1, [rax]
vcvtph2ps xmm0, xmm1
vperm2i128 ymm0, ymm1, ymm2, 1
vpsllvq ymm0, ymm1, ymm2
vblendvps ymm0, ymm1, ymm2, ymm3
vextracti128 xmm0, ymm1, 1
vpmovmskb eax, ymm1
vzeroupper
ret
---
# branches
1:
jne 1b
jne 2f
call 1b
.byte 0xe9, 0xf2, 0xff, 0xff, 0xff
2:
jmp 1b
---
# indirect calls
call rax
call r11
call qword ptr [rax + 8]
call qword ptr [rsp + rcx*8 + 16]
ret
---
# calls and tail calls of imports
#! imports 2
#! relocation 1 4 1
#! relocation 6 4 0
.byte 0xe8, 0, 0, 0, 0
.byte 0xe9, 0, 0, 0, 0
---
# constants, up to their last byte
#! rodata 00112233445566778899aabbccddeeff
mov rax, [rip + 0x3fffff9]
movaps xmm0, [rip + 0x3fffff2]
lea rax, [rip + 0x3fffffa]
cmp byte ptr [rip + 0x3fffff1], 0
call qword ptr [rip + 0x3ffffe5]
ret
---
# a jump table
#! table 0 : 10 11 10
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
notrack jmp rax
ret
ud2
---
# the sum in the base register, other work in between
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
mov rdx, [rsp + 8]
add rcx, rax
mov esi, 5
jmp rcx
---
# the other encoding of the addition
#! table 0 : 0
movsxd rax, dword ptr [r13 + rax*4]
.byte 0x49, 0x03, 0xc5
jmp rax
---
# two entries
#! entries 0 1
ret
ret
---
# a policy that refuses what is not there
#! policy refused_classes 0x110
#! policy image_code_bytes_max 1
#! policy image_entries_max 1
ret
---
# a policy at each of its limits
#! policy image_rodata_bytes_max 4
#! policy image_entries_max 1
#! policy image_relocations_max 1
#! policy image_tables_max 1
#! policy frame_bytes_max 8
#! policy refused_imports 0x1
#! imports 2
#! relocation 10 4 1
#! table 0 : 0
sub rsp, 8
lea rsp, [rsp + 8]
.byte 0xe9, 0, 0, 0, 0
---
# rep movs and rep stos are stores like others: the policy `permitted` confines no memory, and the direction flag is always clear
rep movsq
rep stosd
rep movsd
rep stosb
ret
---
# bsf and bsr where nothing depends on the upper half
bsf ecx, eax
bsr rcx, rax
ret
---
# an empty REX tells sil from dh, in the opcode too
.byte 0x40, 0xb6, 0x01
.byte 0x40, 0x88, 0xf0
.byte 0x40, 0x0f, 0xb6, 0xc6
ret
---
# a frame of nothing
lea rsp, [rbp]
lea rsp, [rsp]
ret
---
# a jump as far from its load as it may be
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
.rept 121
nop
.endr
jmp rax
