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

_Thread_local il_activation *il_current __attribute__((tls_model("initial-exec")));
static uint64_t running; /* activations of all threads */

bool il_is_running(void) { return __atomic_load_n(&running, __ATOMIC_SEQ_CST) != 0; }

static uint64_t stack_limit_of(const il_exec *exec, uint64_t sp) {
    uint64_t limit = il_stack_low() + IL_STACK_ROOM_BYTES, bytes_max = exec->stack_bytes_max;
    if (bytes_max != 0 && bytes_max < sp && sp - bytes_max > limit) limit = sp - bytes_max;
    /* An activation below another of the same engine does not get more than the outermost was given. */
    if (bytes_max != 0 && il_current != NULL && il_current->exec == exec && il_current->stack_limit > limit)
        limit = il_current->stack_limit;
    return limit;
}

il_status il_call(il_exec *exec, uint64_t address, il_registers *regs, uint32_t *trap_kind_out, uint64_t *trap_pc_out) {
    if (exec == NULL || regs == NULL || trap_kind_out == NULL || trap_pc_out == NULL || !il_is_code_addr(address) ||
        regs->stack_count > ARGUMENTS_MAX || (regs->stack == NULL && regs->stack_count != 0))
        return il_fail(IL_INVALID_ARGUMENT, "address or registers of il_call", 0);
    const uint64_t sp = (uint64_t)(uintptr_t)__builtin_frame_address(0), limit = stack_limit_of(exec, sp);
    if (sp < limit + regs->stack_count * sizeof *regs->stack) {
        *trap_kind_out = IL_TRAP_STACK_EXHAUSTED;
        *trap_pc_out = address;
        return IL_TRAPPED;
    }
    il_activation here = {.registers = (uint64_t)(uintptr_t)regs, .previous = il_current, .exec = exec, .stack_limit = limit,
                          .is_in_host = IL_IN_GATE};
    (void)__atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
    exec->stack_limit = limit;
    il_current = &here;
    il_user_interrupt = 0;
    here.is_in_host = IL_IN_GUEST;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    const bool is_trapped = il_enter(&here, address, regs);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    il_current = here.previous;
    (void)__atomic_fetch_sub(&running, 1, __ATOMIC_SEQ_CST);
    /* Whatever ended this call, what the user interrupted has ended, unless calls above go on. */
    if (here.previous == NULL || here.trap_kind == IL_TRAP_INTERRUPTED) il_user_interrupt = 0;
    if (!is_trapped) return IL_OK;
    *trap_kind_out = here.trap_kind;
    *trap_pc_out = here.trap_pc;
    return IL_TRAPPED;
}

void il_trap(il_trap_kind kind, uint64_t pc) {
    il_activation *here = il_current;
    here->trap_kind = kind;
    here->trap_pc = pc;
    il_leave(here->exit_sp);
}

void il_resume(uint64_t pc) {
    il_activation *here = il_current;
    here->exec->stack_limit = here->stack_limit; /* another thread, or a call below, may have set its own */
    here->is_in_host = IL_IN_GUEST;
    if (il_is_interrupted() || il_user_interrupt != 0) il_trap(IL_TRAP_INTERRUPTED, pc);
}

/* The C halves of the two gates that present registers.  pc: in the guest's function that called. */
void il_host_call(void *vmctx, uint32_t import_index, il_registers *regs, uint64_t pc);
void il_host_call(void *vmctx, uint32_t import_index, il_registers *regs, uint64_t pc) {
    il_current->is_in_host = IL_IN_HOST_FUNCTION;
    const uint32_t kind = il_current->exec->host_call(vmctx, import_index, regs);
    if (kind != IL_TRAP_NONE) il_trap((il_trap_kind)kind, pc);
    il_resume(pc);
}

uint64_t il_compile(void *vmctx, uint32_t func_index, uint64_t pc);
uint64_t il_compile(void *vmctx, uint32_t func_index, uint64_t pc) {
    uint64_t address = 0;
    il_current->is_in_host = IL_IN_HOST_FUNCTION;
    const uint32_t kind = il_current->exec->compile(vmctx, func_index, &address);
    if (kind != IL_TRAP_NONE) il_trap((il_trap_kind)kind, pc);
    if (!il_is_code_addr(address)) il_trap(IL_TRAP_FAULT, pc);
    il_resume(pc);
    return address;
}
