/* registers.c - what an x86-64 fault says about itself. */
#include <ucontext.h>

#include "../fault.h"

enum { ERROR_WRITE = 1 << 1, ERROR_FETCH = 1 << 4 };

enum il_access il_fault_access(const siginfo_t *info, const void *context) {
    const ucontext_t *interrupted = context;
    unsigned long long error = (unsigned long long)interrupted->uc_mcontext.gregs[REG_ERR];
    if ((error & ERROR_FETCH) != 0 || (uintptr_t)info->si_addr == (uintptr_t)interrupted->uc_mcontext.gregs[REG_RIP]) {
        return IL_ACCESS_EXECUTE;
    }
    return (error & ERROR_WRITE) != 0 ? IL_ACCESS_WRITE : IL_ACCESS_READ;
}

uintptr_t il_fault_stack_pointer(const void *context) {
    const ucontext_t *interrupted = context;
    return (uintptr_t)interrupted->uc_mcontext.gregs[REG_RSP];
}
