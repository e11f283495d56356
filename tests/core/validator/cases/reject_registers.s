# V030
mov rsp, rax
ret
---
# V030 the low half clears the high one
mov esp, eax
ret
---
# V030
mov sp, ax
ret
---
# V030 the byte register
mov spl, al
ret
---
# V030 a byte is widened into it
movzx esp, al
ret
---
# V030
mov rsp, [rax]
ret
---
# V030
mov rsp, 0x1000
ret
---
# V030
movabs rsp, 0x1122334455667788
ret
---
# V030 pop has two destinations
pop rsp
ret
---
# V030
add rsp, rax
ret
---
# V030
sub rsp, [rax]
ret
---
# V030
add esp, 8
ret
---
# V030
inc rsp
ret
---
# V030
neg rsp
ret
---
# V030
shl rsp, 1
ret
---
# V030
bts rsp, 3
ret
---
# V030
bswap rsp
ret
---
# V030 both operands of xchg are written
xchg rsp, rbx
ret
---
# V030
xchg rbx, rsp
ret
---
# V030
xchg rax, rsp
ret
---
# V030 with memory too
xchg [rax], rsp
ret
---
# V030 the second destination of xadd
xadd rax, rsp
ret
---
# V030
xadd rsp, rax
ret
---
# V030 under lock too
lock xadd [rax], rsp
ret
---
# V030 the second destination of mulx
mulx rax, rsp, rcx
ret
---
# V030 the first
mulx rsp, rax, rcx
ret
---
# V030
cmpxchg rsp, rcx
ret
---
# V030
cmove rsp, rax
ret
---
# V030
sete spl
ret
---
# V030
lea rsp, [rax]
ret
---
# V030 upwards from the frame pointer
lea rsp, [rbp + 8]
ret
---
# V030
lea rsp, [rbp + rax]
ret
---
# V030 32 bits
lea esp, [rbp - 8]
ret
---
# V030 a mask which aligns nothing
and rsp, -8
ret
---
# V030 a mask which loses the stack
and rsp, 16
ret
---
# V030
imul rsp, rax, 3
ret
---
# V030
popcnt rsp, rax
ret
---
# V030
andn rsp, rax, rcx
ret
---
# V030 VEX.vvvv as destination
blsr rsp, rax
ret
---
# V030
rorx rsp, rax, 3
ret
---
# V030
crc32 esp, al
ret
---
# V030 a vector goes there
movq rsp, xmm0
ret
---
# V030
pextrq rsp, xmm0, 1
ret
---
# V030
vmovd esp, xmm0
ret
---
# V030
cvttsd2si rsp, xmm0
ret
---
# V030
pmovmskb esp, xmm0
ret
---
# V030
movsxd rsp, eax
ret
---
# V030
shld rsp, rax, 1
ret
---
# V030
movbe rsp, [rax]
ret
---
# V030
adcx rsp, rax
ret
---
# V031 one byte more than a frame
sub rsp, 262145
ret
---
# V031
add rsp, 0x7fffffff
ret
---
# V031
sub rsp, -262145
ret
---
# V031
lea rsp, [rbp - 262145]
ret
---
# V031
lea rsp, [rsp + 262145]
ret
---
# V032 no constants
lea rax, [rip]
ret
---
# V032 the code itself
#! rodata 0011223344556677
mov rax, [rip - 7]
ret
---
# V032 the last byte of the load is outside
#! rodata 0011223344556677
mov rax, [rip + 0x3fffffa]
ret
---
# V032 in front of the constants
#! rodata 0011223344556677
mov al, [rip + 0x3fffff9]
ret
---
# V032 a vector load of which half is outside
#! rodata 00112233445566778899aabbccddeeff
vmovups ymm0, [rip + 0x3fffff8]
ret
---
# V032 a write
#! rodata 0011223344556677
mov [rip + 0x3fffff9], rax
ret
---
# V032 a read and write
#! rodata 0011223344556677
lock inc dword ptr [rip + 0x3fffff9]
ret
---
# V032 a bit offset reaches beyond
#! rodata 0011223344556677
bt [rip + 0x3fffff9], eax
ret
---
# V032 the immediate counts for where the instruction ends
#! rodata 00
cmp byte ptr [rip + 0x3fffff8], 0
ret
---
# V030 a load through the frame pointer is no copy of it
mov rsp, [rbp + 8]
ret
---
# V030 r13 is encoded like the frame pointer
lea rsp, [r13 - 8]
ret
---
# V030 r13 again
mov rsp, r13
ret
---
# V030 r12 is an index, though its low bits say none
lea rsp, [rsp + r12]
ret
