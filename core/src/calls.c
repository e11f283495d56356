/* calls.c - calling published code, and the gates through which it calls back. */
#include "library.h"

_Static_assert(offsetof(il_activation, exit_sp) == 0 && offsetof(il_activation, registers) == 8, "calls.S");
_Static_assert(offsetof(il_registers, vector) == 64 && offsetof(il_registers, stack) == 128 &&
                   offsetof(il_registers, stack_count) == 136 && offsetof(il_registers, has_vectors) == 144,
               "calls.S");
_Static_assert(offsetof(il_exec, stack_limit) == 0, "prologues read the first word");

/* Pushing arguments and entering a function needs this much more than the limit leaves. */
enum { ARGUMENTS_MAX = 4096 };

#define HOT static inline __attribute__((always_inline))

HOT uint64_t stack_limit_of(const il_thread *self, const il_exec *exec, uint64_t sp) {
    const uint64_t bytes_max = exec->stack_bytes_max;
    uint64_t limit = self->stack_limit;
    if (bytes_max == 0) return limit;
    if (bytes_max < sp && sp - bytes_max > limit) limit = sp - bytes_max;
    /* An activation below another of the same engine does not get more than the outermost was given. */
    if (self->current != NULL && self->current->exec == exec && self->current->stack_limit > limit)
        limit = self->current->stack_limit;
    return limit;
}

/* Why code cannot be entered: what is_ready found.  Apart from the good case, as all that is rare: that keeps nothing for it. */
static __attribute__((noinline)) il_status refuse(il_thread *self, const il_activation *here, const il_registers *regs, uint64_t address,
                                                  uint64_t vmctx, il_trap *trap_out) {
    il_status status = IL_TRAPPED;
    if (vmctx == 0) status = il_fail(IL_STALE, "the function is closed", 0);
    else if (!il_is_code_addr(address)) status = il_fail(IL_INVALID_ARGUMENT, "the function's address is not that of code", 0);
    else if (regs->stack_count > ARGUMENTS_MAX || (regs->stack_count != 0 && regs->stack == NULL))
        status = il_fail(IL_INVALID_ARGUMENT, "stack of il_registers", 0);
    else *trap_out = (il_trap){.pc = address, .kind = IL_TRAP_STACK_EXHAUSTED};
    __atomic_store_n(&self->current, here->previous, __ATOMIC_RELEASE);
    return status;
}

HOT bool is_ready(const il_activation *here, const il_registers *regs, uint64_t address, uint64_t vmctx) {
    const uint64_t sp = (uint64_t)(uintptr_t)here;
    if (vmctx == 0 || !il_is_code_addr(address) || sp < here->stack_limit) return false;
    return regs->stack_count == 0 ||
           (regs->stack_count <= ARGUMENTS_MAX && regs->stack != NULL && sp - here->stack_limit >= regs->stack_count * sizeof *regs->stack);
}

/* A trap, or something that a handler wanted while this ran. */
static __attribute__((noinline)) il_status end_oddly(il_thread *self, const il_activation *here, bool is_trapped, il_trap *trap_out) {
    /* Whatever ended this call, what the user interrupted has ended, unless calls above go on. */
    if (here->previous == NULL || (is_trapped && here->trap_kind == IL_TRAP_INTERRUPTED))
        (void)__atomic_fetch_and(&self->wants, ~(uint32_t)IL_WANT_USER, __ATOMIC_RELAXED);
    if (!is_trapped) return IL_OK;
    *trap_out = (il_trap){.pc = here->trap_pc, .kind = here->trap_kind};
    return IL_TRAPPED;
}

HOT il_status call(il_thread *self, il_exec *exec, const il_funcref *callee, il_registers *regs, il_trap *trap_out) {
    il_activation here;
    here.registers = (uint64_t)(uintptr_t)regs;
    here.previous = self->current;
    here.exec = exec;
    here.is_in_host = IL_ENTERING; /* il_interrupt tries again until this thread is in the guest */
    here.stack_limit = stack_limit_of(self, exec, (uint64_t)(uintptr_t)&here);
    __atomic_store_n(&self->current, &here, __ATOMIC_RELAXED);
    if (il_has_barrier) __atomic_signal_fence(__ATOMIC_SEQ_CST);
    else __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* Only now, and once (threads.c says why); whoever closes an instance clears vmctx. */
    const uint64_t address = __atomic_load_n(&callee->code, __ATOMIC_RELAXED);
    const uint64_t vmctx = (uint64_t)(uintptr_t)__atomic_load_n(&callee->vmctx, __ATOMIC_RELAXED);
    if (!is_ready(&here, regs, address, vmctx)) return refuse(self, &here, regs, address, vmctx, trap_out);
    if (!exec->is_native) regs->integer[0] = vmctx;
    here.vmctx = vmctx;
    if (!exec->is_shared) exec->stack_limit = here.stack_limit;
    here.is_in_host = IL_IN_GUEST;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    here.trap_pc = address;
    here.trap_kind = IL_TRAP_INTERRUPTED; /* unless someone says otherwise */
    const bool is_trapped = self->wants != 0 || il_enter(&here, address, regs);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (!exec->is_shared) exec->stack_limit = UINT64_MAX;
    __atomic_store_n(&self->current, here.previous, __ATOMIC_RELEASE);
    return !is_trapped && self->wants == 0 ? IL_OK : end_oddly(self, &here, is_trapped, trap_out);
}

static __attribute__((noinline)) il_status call_first(il_exec *exec, const il_funcref *callee, il_registers *regs, il_trap *trap_out) {
    il_thread *self = il_thread_register();
    if (self == NULL) return il_fail(IL_NO_MEMORY, "too many threads run published code", 0);
    return call(self, exec, callee, regs, trap_out);
}

/* Not watched by a canary, which would cost as much as all its checks: nothing in it is written by index. */
__attribute__((no_stack_protector)) il_status il_call(il_exec *exec, const il_funcref *callee, il_registers *regs, il_trap *trap_out) {
    il_thread *self = il_self;
    return self != NULL ? call(self, exec, callee, regs, trap_out) : call_first(exec, callee, regs, trap_out);
}

void il_end(il_trap_kind kind, uint64_t pc) {
    il_activation *here = il_current();
    here->trap_kind = kind;
    here->trap_pc = pc;
    il_leave(here->exit_sp);
}

void il_pause(uint64_t pc) {
    if (il_is_to_leave(il_current())) il_end(IL_TRAP_INTERRUPTED, pc);
}

void il_resume(uint64_t pc) {
    il_activation *here = il_current();
    if (!here->exec->is_shared) here->exec->stack_limit = here->stack_limit;
    here->is_in_host = IL_IN_GUEST;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    il_pause(pc);
}

static void leave_for_host(void) {
    il_activation *here = il_current();
    if (!here->exec->is_shared) here->exec->stack_limit = UINT64_MAX; /* another thread may run this engine's code meanwhile */
    here->is_in_host = IL_IN_HOST_FUNCTION;
}

/* The C halves of the two gates that present registers.  pc: in the guest's function that called. */
void il_host_call(void *vmctx, uint32_t import_index, il_registers *regs, uint64_t pc) {
    leave_for_host();
    const uint32_t kind = il_current()->exec->host_call(vmctx, import_index, regs);
    if (kind != IL_TRAP_NONE) il_end((il_trap_kind)kind, pc);
    il_resume(pc);
}

uint64_t il_compile(void *vmctx, uint32_t func_index, uint64_t pc) {
    uint64_t address = 0;
    leave_for_host();
    const uint32_t kind = il_current()->exec->compile(vmctx, func_index, &address);
    if (kind != IL_TRAP_NONE) il_end((il_trap_kind)kind, pc);
    if (!il_is_code_addr(address)) il_end(IL_TRAP_FAULT, pc);
    il_resume(pc);
    return address;
}

/* The limit in an il_exec is that of the thread whose activation of it is in guest code, or UINT64_MAX: always ask.  The gate
 * saves no vector register. */
__attribute__((target("general-regs-only"))) void il_stack_check(uint64_t pc) {
    if ((uint64_t)(uintptr_t)__builtin_frame_address(0) < il_self->current->stack_limit) il_end(IL_TRAP_STACK_EXHAUSTED, pc);
}
