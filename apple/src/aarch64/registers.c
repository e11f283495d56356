/* registers.c - what an AArch64 fault says about itself. */
#include <asm/sigcontext.h>
#include <stddef.h>
#include <ucontext.h>

#include "../fault.h"

enum {
    CLASS_SHIFT = 26, /* ESR_EL1.EC */
    CLASS_FETCH = 0x20,
    CLASS_MASK = 0x3e, /* from a lower exception level or the same */
    WRITE = 1 << 6,    /* ESR_EL1.WnR */
    RECORDS_MAX = 64,
};

/* The syndrome register, in one of the records behind the general registers; 0 if there is none. */
static uint64_t syndrome(const mcontext_t *registers) {
    size_t at = 0;
    for (int i = 0; i < RECORDS_MAX && at + sizeof(struct esr_context) <= sizeof registers->__reserved; i++) {
        const struct _aarch64_ctx *head = (const void *)(registers->__reserved + at);
        if (head->magic == ESR_MAGIC) {
            return ((const struct esr_context *)(const void *)head)->esr;
        }
        if (head->magic == 0 || head->size == 0) {
            return 0;
        }
        at += head->size;
    }
    return 0;
}

enum il_access il_fault_access(const siginfo_t *info, const void *context) {
    const ucontext_t *interrupted = context;
    uint64_t esr = syndrome(&interrupted->uc_mcontext);
    if ((esr >> CLASS_SHIFT & CLASS_MASK) == CLASS_FETCH || (uintptr_t)info->si_addr == interrupted->uc_mcontext.pc) {
        return IL_ACCESS_EXECUTE;
    }
    return (esr & WRITE) != 0 ? IL_ACCESS_WRITE : IL_ACCESS_READ;
}

uintptr_t il_fault_stack_pointer(const void *context) {
    const ucontext_t *interrupted = context;
    return interrupted->uc_mcontext.sp;
}
