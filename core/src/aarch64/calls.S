/* calls.S - the only instructions that enter and leave published code (AAPCS64).  Landing pads are written as hints, which
 * every assembler knows: 34 is bti c, 38 is bti jc. */
    .text

/* bool il_enter(il_activation *x0, uint64_t address x1, const il_registers *x2) */
    .globl il_enter
    .hidden il_enter
    .type il_enter, %function
    .balign 16
il_enter:
    hint #34
    stp x29, x30, [sp, #-176]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
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
2:  ldp d0, d1, [x9, #64]
    ldp d2, d3, [x9, #80]
    ldp d4, d5, [x9, #96]
    ldp d6, d7, [x9, #112]
    ldp x0, x1, [x9]
    ldp x2, x3, [x9, #16]
    ldp x4, x5, [x9, #32]
    ldp x6, x7, [x9, #48]
    blr x16
    mov sp, x29
    ldr x9, [sp, #160]
    ldr x9, [x9, #8]                /* registers */
    str x0, [x9]
    str d0, [x9, #64]
    mov w0, #0
    b 3f

/* Arrived at from the fault handler or il_leave, with sp = exit_sp; nothing else is known. */
    .globl il_trap_exit
    .hidden il_trap_exit
    .balign 16
il_trap_exit:
    hint #38
    mov w0, #1
3:  ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    ldp x29, x30, [sp], #176
    ret
    .size il_enter, . - il_enter

/* void il_leave(uint64_t exit_sp) */
    .globl il_leave
    .hidden il_leave
    .type il_leave, %function
    .balign 16
il_leave:
    hint #34
    mov sp, x0
    b il_trap_exit
    .size il_leave, . - il_leave

/* Jumped to from a stub: arguments as the guest's call left them, w16 = import index, x30 = return address in the guest. */
    .globl il_gate_host_call
    .hidden il_gate_host_call
    .balign 16
il_gate_host_call:
    hint #34
    stp x29, x30, [sp, #-160]!      /* and il_registers */
    mov x29, sp
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    stp d0, d1, [sp, #80]
    stp d2, d3, [sp, #96]
    stp d4, d5, [sp, #112]
    stp d6, d7, [sp, #128]
    add x9, sp, #160
    stp x9, xzr, [sp, #144]
    mov w1, w16
    add x2, sp, #16
    sub x3, x30, #1
    bl il_host_call
    ldr x0, [sp, #16]
    ldr d0, [sp, #80]
    ldp x29, x30, [sp], #160
    ret

/* The same for a function that is not compiled yet: afterwards it is jumped to with its arguments. */
    .globl il_gate_compile
    .hidden il_gate_compile
    .balign 16
il_gate_compile:
    hint #34
    stp x29, x30, [sp, #-208]!
    mov x29, sp
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    stp q0, q1, [sp, #80]
    stp q2, q3, [sp, #112]
    stp q4, q5, [sp, #144]
    stp q6, q7, [sp, #176]
    mov w1, w16
    sub x2, x30, #1
    bl il_compile
    mov x16, x0
    ldp x0, x1, [sp, #16]
    ldp x2, x3, [sp, #32]
    ldp x4, x5, [sp, #48]
    ldp x6, x7, [sp, #64]
    ldp q0, q1, [sp, #80]
    ldp q2, q3, [sp, #112]
    ldp q4, q5, [sp, #144]
    ldp q6, q7, [sp, #176]
    ldp x29, x30, [sp], #208
    br x16

    .section .note.GNU-stack, "", %progbits
