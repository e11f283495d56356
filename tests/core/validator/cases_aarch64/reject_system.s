# V012 a system call
svc #0
ret
---
# V012 of the hypervisor
hvc #0
ret
---
# V012 of the firmware
smc #0
ret
---
# V012 semihosting: a system call where the code is emulated
hlt #0xf000
ret
---
# V013 switching to a debugging state
dcps1
ret
---
# V013 returning from an exception
eret
---
# V013 leaving the debugging state
drps
---
# V013 the thread pointer
mrs x0, tpidr_el0
ret
---
# V013 the thread pointer, written
msr tpidr_el0, x0
ret
---
# V013 floating-point control, which LFI x64 allowed at first (8f0a82a)
msr fpcr, x0
ret
---
# V013 floating-point status
mrs x0, fpsr
ret
---
# V013 the flags as a register
msr nzcv, x0
ret
---
# V013 a counter
mrs x0, cntvct_el0
ret
---
# V013 an immediate into the processor state
msr daifset, #2
ret
---
# V013 inverting a flag
cfinv
ret
---
# V013 cleaning a cache line
dc cvau, x0
ret
---
# V013 zeroing a cache line
dc zva, x0
ret
---
# V013 invalidating instructions
ic ivau, x0
ret
---
# V013 translating an address
at s1e0r, x0
ret
---
# V013 invalidating translations
tlbi vmalle1
ret
---
# V013 a system instruction with a result
sysl x0, #0, c0, c0, #0
ret
---
# V013 switching to the matrix mode
smstart
ret
