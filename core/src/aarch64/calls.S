/* calls.S - the only instructions that enter and leave published code (AAPCS64).  Landing pads are written as hints, which
 * every assembler knows: 34 is bti c, 38 is bti jc. */
#include "assembly.h"

    .macro callee_saved op
    \op x19, x20, [sp, #16]
    \op x21, x22, [sp, #32]
    \op x23, x24, [sp, #48]
    \op x25, x26, [sp, #64]
    \op x27, x28, [sp, #80]
    \op d8, d9, [sp, #96]
    \op d10, d11, [sp, #112]
    \op d12, d13, [sp, #128]
    \op d14, d15, [sp, #144]
    .endm

    .macro arguments op, kind, base, at, step
    \op \kind\()0, \kind\()1, [\base, #\at + 0 * \step]
    \op \kind\()2, \kind\()3, [\base, #\at + 1 * \step]
    \op \kind\()4, \kind\()5, [\base, #\at + 2 * \step]
    \op \kind\()6, \kind\()7, [\base, #\at + 3 * \step]
    .endm

/* bool il_enter(il_activation *x0, uint64_t address x1, const il_registers *x2) */
    FUNCTION il_enter
    hint #34
    stp x29, x30, [sp, #-176]!
    mov x29, sp
    callee_saved stp
    str x0, [sp, #160]              /* the activation */
    str x29, [x0]                   /* exit_sp */
    mov x16, x1
    mov x9, x2
    ldr x10, [x9, #136]             /* stack_count */
    cbz x10, 2f
    add x11, x10, #1
    and x11, x11, #-2
    sub sp, sp, x11, lsl #3
    ldr x12, [x9, #128]
1:  sub x10, x10, #1
    ldr x13, [x12, x10, lsl #3]
    str x13, [sp, x10, lsl #3]
    cbnz x10, 1b
2:  arguments ldp, d, x9, 64, 16
    arguments ldp, x, x9, 0, 16
    blr x16
    mov sp, x29
    ldr x9, [sp, #160]
    ldr x9, [x9, #8]                /* registers */
    str x0, [x9]
    str d0, [x9, #64]
    mov w0, #0
    b 3f

/* Arrived at from the fault handler or il_leave, with sp = exit_sp; nothing else is known. */
    FUNCTION il_trap_exit
    hint #38
    mov w0, #1
3:  callee_saved ldp
    ldp x29, x30, [sp], #176
    ret

/* void il_leave(uint64_t exit_sp) */
    FUNCTION il_leave
    hint #34
    mov sp, x0
    b C_NAME(il_trap_exit)

/* Jumped to from a stub: arguments as the guest's call left them, w16 = import index, x30 = return address in the guest. */
    FUNCTION il_gate_host_call
    hint #34
    stp x29, x30, [sp, #-160]!      /* and il_registers */
    mov x29, sp
    arguments stp, x, sp, 16, 16
    arguments stp, d, sp, 80, 16
    add x9, sp, #160
    stp x9, xzr, [sp, #144]
    mov w1, w16
    add x2, sp, #16
    sub x3, x30, #1
    bl C_NAME(il_host_call)
    ldr x0, [sp, #16]
    ldr d0, [sp, #80]
    ldp x29, x30, [sp], #160
    ret

/* The same for a function that is not compiled yet: afterwards it is jumped to with its arguments. */
    FUNCTION il_gate_compile
    hint #34
    stp x29, x30, [sp, #-208]!
    mov x29, sp
    arguments stp, x, sp, 16, 16
    arguments stp, q, sp, 80, 32
    mov w1, w16
    sub x2, x30, #1
    bl C_NAME(il_compile)
    mov x16, x0
    arguments ldp, x, sp, 16, 16
    arguments ldp, q, sp, 80, 32
    ldp x29, x30, [sp], #208
    br x16

/* Called by a function whose stack pointer is below its engine's limit; keeps all registers (LLVM's preserve_all). */
    FUNCTION il_gate_stack_check
    hint #34
    stp x29, x30, [sp, #-144]!
    mov x29, sp
    arguments stp, x, sp, 16, 16
    stp x8, x9, [sp, #80]
    stp x10, x11, [sp, #96]
    stp x12, x13, [sp, #112]
    stp x14, x15, [sp, #128]
    sub x0, x30, #1
    bl C_NAME(il_stack_check)       /* has no use for vector registers */
    arguments ldp, x, sp, 16, 16
    ldp x8, x9, [sp, #80]
    ldp x10, x11, [sp, #96]
    ldp x12, x13, [sp, #112]
    ldp x14, x15, [sp, #128]
    ldp x29, x30, [sp], #144
    ret
