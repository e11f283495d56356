/* calls.S - the only instructions that enter and leave published code (System V AMD64). */
#include "assembly.h"

    .intel_syntax noprefix

/* The integer registers of arguments, as in il_registers at base. */
    .macro load_integers base
    mov rdi, [\base]
    mov rsi, [\base + 8]
    mov rdx, [\base + 16]
    mov rcx, [\base + 24]
    mov r8, [\base + 32]
    mov r9, [\base + 40]
    .endm

/* Jumped to from a stub: arguments as the guest's call left them, r11d = import index, [rsp] = return address in the guest. */
    .macro GATE name, bytes
    FUNCTION \name
    endbr64
    push rbp
    mov rbp, rsp
    sub rsp, \bytes
    mov [rsp], rdi
    mov [rsp + 8], rsi
    mov [rsp + 16], rdx
    mov [rsp + 24], rcx
    mov [rsp + 32], r8
    mov [rsp + 40], r9
    mov esi, r11d
    .endm

/* bool il_enter(il_activation *rdi, uint64_t address rsi, const il_registers *rdx) */
    FUNCTION il_enter
    endbr64
    push rbp
    mov rbp, rsp
    push rbx
    push r12
    push r13
    push r14
    push r15
    push rdi                        /* the activation; rsp is a multiple of 16 */
    mov [rdi], rsp                  /* exit_sp */
    mov rax, rdx
    mov r11, rsi
    mov rcx, [rax + 136]            /* stack_count */
    test rcx, rcx
    jz 2f
    lea rdx, [rcx + 1]
    and rdx, -2
    shl rdx, 3
    sub rsp, rdx
    mov rsi, [rax + 128]
1:  mov rdx, [rsi + rcx * 8 - 8]
    mov [rsp + rcx * 8 - 8], rdx
    dec rcx
    jnz 1b
2:  cmp byte ptr [rax + 144], 0     /* has_vectors */
    je 4f
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    movq xmm\n, qword ptr [rax + 64 + 8 * \n]
    .endr
4:  load_integers rax
    call r11
    lea rsp, [rbp - 48]
    mov rdi, [rsp]
    mov rdi, [rdi + 8]              /* registers */
    mov [rdi], rax
    movq qword ptr [rdi + 64], xmm0
    xor eax, eax
    jmp 3f

/* Arrived at from the fault handler or il_leave, with rsp = exit_sp; nothing else is known. */
    FUNCTION il_trap_exit
    endbr64
    cld
    mov eax, 1
3:  add rsp, 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

/* void il_leave(uint64_t exit_sp) */
    FUNCTION il_leave
    endbr64
    mov rsp, rdi
    jmp C_NAME(il_trap_exit)

    GATE il_gate_host_call, 144     /* il_registers */
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    movq qword ptr [rsp + 64 + 8 * \n], xmm\n
    .endr
    lea rax, [rbp + 16]
    mov [rsp + 128], rax
    mov qword ptr [rsp + 136], 0
    mov rdx, rsp
    mov rcx, [rbp + 8]
    dec rcx
    call C_NAME(il_host_call)
    mov rax, [rsp]
    movq xmm0, qword ptr [rsp + 64]
    leave
    ret

/* The same for a function that is not compiled yet: afterwards it is jumped to with its arguments. */
    GATE il_gate_compile, 176
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    movups [rsp + 48 + 16 * \n], xmm\n
    .endr
    mov rdx, [rbp + 8]
    dec rdx
    call C_NAME(il_compile)
    mov r11, rax
    load_integers rsp
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    movups xmm\n, [rsp + 48 + 16 * \n]
    .endr
    leave
    jmp r11

/* Called by a function whose stack pointer is below its engine's limit; keeps all registers (LLVM's preserve_all). */
    FUNCTION il_gate_stack_check
    endbr64
    .irp r, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
    push \r
    .endr
    mov rdi, [rsp + 72]
    dec rdi
    call C_NAME(il_stack_check)     /* has no use for vector registers */
    .irp r, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
    pop \r
    .endr
    ret
