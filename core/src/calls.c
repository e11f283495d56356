/* calls.c - calling published code, and the gates through which it calls back. */
#include "calls.h"

#include <stddef.h>

_Static_assert(offsetof(il_activation, exit_sp) == 0 && offsetof(il_activation, registers) == 8, "calls.S");
_Static_assert(offsetof(il_registers, vector) == 64 && offsetof(il_registers, stack) == 128 &&
                   offsetof(il_registers, stack_count) == 136 && sizeof(il_registers) == 144,
               "calls.S");
_Static_assert(offsetof(il_exec, stack_limit) == 0, "prologues read the first word");

/* Pushing arguments and entering a function needs this much more than the limit leaves. */
enum { ARGUMENTS_MAX = 4096 };

static uint64_t stack_limit_of(const il_thread *self, const il_exec *exec, uint64_t sp) {
    const uint64_t bytes_max = exec->stack_bytes_max;
    uint64_t limit = self->stack_limit;
    if (bytes_max == 0) return limit;
    if (bytes_max < sp && sp - bytes_max > limit) limit = sp - bytes_max;
    /* An activation below another of the same engine does not get more than the outermost was given. */
    if (self->current != NULL && self->current->exec == exec && self->current->stack_limit > limit) limit = self->current->stack_limit;
    return limit;
}

/* Between the announcement that this thread is inside and its first guest instruction.  The funcref is read here (threads.c says
 * why), once, with its vmctx: whoever closes an instance clears both. */
static il_status begin(il_activation *here, const il_funcref *callee, il_registers *regs, uint64_t *address_out) {
    const uint64_t address = __atomic_load_n(&callee->code, __ATOMIC_RELAXED);
    const uint64_t vmctx = (uint64_t)(uintptr_t)__atomic_load_n(&callee->vmctx, __ATOMIC_RELAXED);
    if (vmctx == 0) return il_fail(IL_STALE, "the function is closed", 0);
    if (!il_is_code_addr(address)) return il_fail(IL_INVALID_ARGUMENT, "the function's address is not that of code", 0);
    if (!here->exec->is_native) regs->integer[0] = vmctx;
    *address_out = address;
    here->trap_pc = address;
    here->trap_kind = IL_TRAP_STACK_EXHAUSTED;
    if ((uint64_t)(uintptr_t)here < here->stack_limit + regs->stack_count * sizeof *regs->stack) return IL_TRAPPED;
    here->exec->stack_limit = here->stack_limit;
    here->is_in_host = IL_IN_GUEST;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    here->trap_kind = IL_TRAP_INTERRUPTED;
    return __atomic_load_n(&il_self->wants, __ATOMIC_RELAXED) == 0 ? IL_OK : IL_TRAPPED;
}

il_status il_call(il_exec *exec, const il_funcref *callee, il_registers *regs, uint32_t *trap_kind_out, uint64_t *trap_pc_out) {
    if (exec == NULL || callee == NULL || regs == NULL || trap_kind_out == NULL || trap_pc_out == NULL ||
        regs->stack_count > ARGUMENTS_MAX || (regs->stack == NULL && regs->stack_count != 0))
        return il_fail(IL_INVALID_ARGUMENT, "function or registers of il_call", 0);
    il_thread *const self = il_self != NULL ? il_self : il_thread_register();
    if (self == NULL) return il_fail(IL_NO_MEMORY, "too many threads run published code", 0);
    il_activation here = {.registers = (uint64_t)(uintptr_t)regs, .previous = self->current, .exec = exec, .is_in_host = IL_IN_GATE};
    here.stack_limit = stack_limit_of(self, exec, (uint64_t)(uintptr_t)&here);
    __atomic_store_n(&self->current, &here, __ATOMIC_RELAXED);
    if (il_has_barrier) __atomic_signal_fence(__ATOMIC_SEQ_CST);
    else __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t address = 0;
    il_status status = begin(&here, callee, regs, &address);
    if (status == IL_OK && il_enter(&here, address, regs)) status = IL_TRAPPED;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&self->current, here.previous, __ATOMIC_RELEASE);
    /* Whatever ended this call, what the user interrupted has ended, unless calls above go on. */
    if (self->wants != 0 && (here.previous == NULL || status == IL_TRAPPED))
        (void)__atomic_fetch_and(&self->wants, ~(uint32_t)IL_WANT_USER, __ATOMIC_RELAXED);
    if (status != IL_TRAPPED) return status;
    *trap_kind_out = here.trap_kind;
    *trap_pc_out = here.trap_pc;
    return IL_TRAPPED;
}

void il_trap(il_trap_kind kind, uint64_t pc) {
    il_activation *here = il_current();
    here->trap_kind = kind;
    here->trap_pc = pc;
    il_leave(here->exit_sp);
}

void il_resume(uint64_t pc) {
    il_activation *here = il_current();
    here->exec->stack_limit = here->stack_limit; /* another thread, or a call below, may have set its own */
    here->is_in_host = IL_IN_GUEST;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (il_self->wants != 0) il_trap(IL_TRAP_INTERRUPTED, pc);
}

/* The C halves of the two gates that present registers.  pc: in the guest's function that called. */
void il_host_call(void *vmctx, uint32_t import_index, il_registers *regs, uint64_t pc);
void il_host_call(void *vmctx, uint32_t import_index, il_registers *regs, uint64_t pc) {
    il_current()->is_in_host = IL_IN_HOST_FUNCTION;
    const uint32_t kind = il_current()->exec->host_call(vmctx, import_index, regs);
    if (kind != IL_TRAP_NONE) il_trap((il_trap_kind)kind, pc);
    il_resume(pc);
}

uint64_t il_compile(void *vmctx, uint32_t func_index, uint64_t pc);
uint64_t il_compile(void *vmctx, uint32_t func_index, uint64_t pc) {
    uint64_t address = 0;
    il_current()->is_in_host = IL_IN_HOST_FUNCTION;
    const uint32_t kind = il_current()->exec->compile(vmctx, func_index, &address);
    if (kind != IL_TRAP_NONE) il_trap((il_trap_kind)kind, pc);
    if (!il_is_code_addr(address)) il_trap(IL_TRAP_FAULT, pc);
    il_resume(pc);
    return address;
}
