# V020 into the middle of an instruction
.byte 0xeb, 0x01
mov eax, 0x90909090
ret
---
# V020 into its own immediate
.byte 0xeb, 0xff, 0x90
ret
---
# V020 outside, behind
.byte 0xe9, 0xff, 0xff, 0x00, 0x00
---
# V020 outside, in front
.byte 0xe8, 0xf0, 0xff, 0xff, 0xff
ret
---
# V020 to the byte after the last
.byte 0x74, 0x01
ret
---
# V020 a conditional jump into a constant
.byte 0x0f, 0x84, 0x01, 0, 0, 0
mov eax, 0xc3
ret
---
# V020 into a jump-table sequence: the load would be skipped
#! table 0 : 0
jne 1f
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
1:
jmp rax
---
# V003 an entry inside a jump-table sequence
#! table 0 : 0
#! entries 0 4
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
jmp rax
---
# V021 no table
jmp rax
---
# V021 a table, but another register
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
jmp rdx
---
# V021 no load
#! table 0 : 0
add rax, rcx
jmp rax
---
# V021 the base changes in between
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
inc rcx
add rax, rcx
jmp rax
---
# V021 the sum changes afterwards
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
inc rax
jmp rax
---
# V021 a second destination changes the sum
#! table 0 : 0
movsxd rdx, dword ptr [rcx + rax*4]
add rdx, rcx
mulx rax, rdx, rbx
jmp rdx
---
# V021 a call in between
#! table 0 : 0
movsxd rbx, dword ptr [rcx + rax*4]
add rbx, rcx
call rax
jmp rbx
---
# V021 a 32-bit sum
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
add eax, ecx
jmp rax
---
# V021 bytes instead of words as the scale
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax]
add rax, rcx
jmp rax
---
# V021 beside the table
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4 + 4]
add rax, rcx
jmp rax
---
# V021 the load is declared, but the image has no table
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
jmp rax
---
# V021 through memory
jmp qword ptr [rax]
---
# V021 through memory in the constants
#! rodata 0000000000000000
jmp qword ptr [rip + 0x3fffffa]
---
# V021 ret with a stack adjustment
ret 8
---
# V022 a target inside an instruction
#! table 0 : 0 1
nop word ptr [rax]
ret
---
# V022 a target outside
#! table 0 : 0 64
ret
---
# V022 a target in front of the image
#! table 0 : -1
ret
---
# V022 an empty table
#! rodata 00000000
#! raw_table 0 0
ret
---
# V022 an unaligned table
#! rodata 0000000000000000
#! raw_table 2 1
ret
---
# V022 a table past the constants
#! rodata 00000000
#! raw_table 4 1
ret
---
# V022 a count that wraps around
#! rodata 00000000
#! raw_table 0 0x40000001
ret
---
# V022 two tables that share bytes
#! table 0 : 0
#! raw_table 0 1
ret
---
# V023 nothing ends the flow
nop
---
# V023 a conditional jump last
1:
je 1b
---
# V023 a call last
1:
call 1b
---
# V023 an entry names the nop behind the end
#! entries 0 1
ret
nop
---
# V023 padding behind an instruction which does not end the flow
ret
mov eax, 1
nop
---
# V021 the load destroys its base
#! table 0 : 0
movsxd rax, dword ptr [rax + rcx*4]
add rax, rax
jmp rax
---
# V021 too far from the load
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
.rept 130
nop
.endr
jmp rax
---
# V022 an unaligned table whose entries are right
#! table 2 : 0
ret
---
# V014 notrack twice
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
.byte 0x3e, 0x3e, 0xff, 0xe0
---
# V021 lea is no load
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
lea rax, [rcx + rdx*4]
add rax, rcx
jmp rax
---
# V021 no index, though there is a scale
#! table 0 : 0
.byte 0x48, 0x63, 0x04, 0xa1
add rax, rcx
jmp rax
---
# V021 a difference is no sum
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
.byte 0x48, 0x2b, 0xc1 # sub rax, rcx, with its result in the field that an addition's would be in
jmp rax
---
# V021 the sum is doubled
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
add rax, rax
jmp rax
---
# V021 what is added lies in memory
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
.byte 0x48, 0x03, 0x01
jmp rax
---
# V021 something else than the base is added
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
add rax, rdx
jmp rax
---
# V021 one byte too far from the load
#! table 0 : 0
movsxd rax, dword ptr [rcx + rax*4]
add rax, rcx
.rept 122
nop
.endr
jmp rax
---
# V020 a call into a constant
.byte 0xe8, 1, 0, 0, 0
mov eax, 0xc3
ret
