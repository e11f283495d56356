# V012 the system call
syscall
ret
---
# V012 the old system call
sysenter
ret
---
# V012 prefixes do not hide it
.byte 0xf3, 0x66, 0x48, 0x0f, 0x05
ret
---
# V013
hlt
ret
---
# V013
in al, dx
ret
---
# V013
out 0x80, al
ret
---
# V013
insb
ret
---
# V013
outsd
ret
---
# V013
cli
ret
---
# V013
sti
ret
---
# V013
rdmsr
ret
---
# V013
wrmsr
ret
---
# V013
rdtsc
ret
---
# V013
rdtscp
ret
---
# V013
rdpmc
ret
---
# V013
mov rax, cr0
ret
---
# V013
mov cr3, rax
ret
---
# V013
mov dr7, rax
ret
---
# V013
lgdt [rax]
ret
---
# V013
sidt [rax]
ret
---
# V013
str ax
ret
---
# V013
lsl eax, ecx
ret
---
# V013
invlpg [rax]
ret
---
# V013
swapgs
ret
---
# V013
monitor
ret
---
# V013
mwait
ret
---
# V013
wbinvd
ret
---
# V013
sysretq
---
# V013 rowhammer
clflush [rax]
ret
---
# V013 popf can set the trap and alignment flags
popfq
ret
---
# V014
mov rax, fs:[0x28]
ret
---
# V014
mov gs:[rax], ecx
ret
---
# V014 a segment prefix without effect
.byte 0x2e, 0x89, 0x00
ret
---
# V014 a branch hint
.byte 0x3e, 0x74, 0x00
ret
---
# V014 notrack on a call
.byte 0x3e, 0xff, 0xd0
ret
---
# V014
mov ds, eax
ret
---
# V014
mov eax, ss
ret
---
# V014
push fs
ret
---
# V014
pop gs
ret
---
# V014
lss rax, [rcx]
ret
---
# V014
wrfsbase rax
ret
---
# V014
rdgsbase rax
ret
---
# V015
lcall [rax]
ret
---
# V015
ljmp [rax]
---
# V015
.byte 0x48, 0xcb
---
# V015
.byte 0xca, 8, 0
---
# V015
iretq
---
# V015 the 32-bit system call is a software interrupt
int 0x80
ret
---
# V015
.byte 0xf1
ret
---
# V016
wrpkru
ret
---
# V016
rdpkru
ret
---
# V016
xsetbv
ret
---
# V016
xgetbv
ret
---
# V016
xrstor [rax]
ret
---
# V016
xsave [rax]
ret
---
# V016
xsaveopt64 [rax]
ret
---
# V016
xrstors [rax]
ret
---
# V016
fxrstor [rax]
ret
---
# V016
fxsave64 [rax]
ret
---
# V016 the host's rounding and exception masks
ldmxcsr [rax]
ret
---
# V012 whatever calls the system
syscall; sysenter
ret
---
# V013 whatever is privileged or touches a system register
clts; sysretq; invd; wbinvd; wrmsr; rdtsc; rdmsr; rdpmc; sysexit; getsec; rsm; sldt eax; lar eax, ecx; lsl eax, ecx
mov rax, cr0; mov rax, dr0; mov cr0, rax; mov dr0, rax
sgdt [rax]; sidt [rax]; lgdt [rax]; lidt [rax]; smsw [rax]; rstorssp [rax]; lmsw [rax]; invlpg [rax]
vmcall; monitor; vmrun; smsw eax; lmsw ax; swapgs; clflush [rax]
insb; insd; outsb; outsd; in al, dx; in eax, dx; out dx, al; out dx, eax; in al, 1; in eax, 1; out 1, al; out 1, eax
hlt; cli; sti; popfq
ret
---
# V014 whatever reads or writes a segment register or its base
mov eax, ss; mov ds, eax; push fs; pop fs; push gs; pop gs; lss rax, [rcx]; lfs rax, [rcx]; lgs rax, [rcx]
rdfsbase rax; rdgsbase rax; wrfsbase rax; wrgsbase rax
ret
---
# V015 whatever goes through a far pointer or an interrupt
.byte 0x48, 0xcb; iretq; .byte 0xf1; .byte 0xca, 8, 0; int 0x80; lcall [rax]; ljmp [rax]
ret
---
# V016 whatever changes protection keys or the extended state
xsetbv; wrpkru; fxsave [rax]; fxrstor [rax]; ldmxcsr [rax]; stmxcsr [rax]
xsave [rax]; xrstor [rax]; xsaveopt [rax]; xrstors [rax]; xsavec [rax]; xsaves [rax]; emms
ret
---
# V021 whatever takes its target from memory, or more than a return does from the stack
ret 8; jmp [rax]
ret
