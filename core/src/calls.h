/* calls.h - crossings between host and published code: activations, and how a trap leaves through them. */
#ifndef IL_CALLS_H
#define IL_CALLS_H

#include "region.h"
#include "threads.h"

/* One for each il_call in progress, on the caller's stack, linked by thread.  calls.S knows the first two fields. */
typedef struct il_activation {
    uint64_t exit_sp;              /* stack pointer that il_trap_exit needs */
    uint64_t registers;            /* il_registers to fill with the result */
    struct il_activation *previous;
    il_exec *exec;
    uint64_t stack_limit;
    uint64_t vmctx;
    uint64_t trap_pc;
    uint32_t trap_kind;
    uint32_t is_in_host;           /* il_place; unless 0, a fault is not the guest's */
} il_activation;

typedef enum il_place { IL_IN_GUEST = 0, IL_IN_GATE = 1, IL_IN_HOST_FUNCTION = 2, IL_ENTERING = 3 } il_place;

/* The innermost activation of this thread, which has a record. */
static inline il_activation *il_current(void) { return il_self->current; }

/* Not 0: the instance was interrupted. */
static inline uint32_t *il_interrupt_word(uint64_t vmctx) { return (uint32_t *)(uintptr_t)(vmctx + IL_VMCTX_INTERRUPT); }

/* Whether this activation, the innermost of its thread, is to leave at the next occasion. */
static inline bool il_is_to_leave(const il_activation *here) {
    return __atomic_load_n(&il_self->wants, __ATOMIC_RELAXED) != 0 ||
           (!here->exec->is_native && __atomic_load_n(il_interrupt_word(here->vmctx), __ATOMIC_SEQ_CST) != 0);
}

/* calls.S.  Returns false, or true after a trap. */
bool il_enter(il_activation *activation, uint64_t address, const il_registers *regs);
/* Not a function: control arrives here with the stack pointer = exit_sp of the innermost activation, and il_enter returns true. */
extern const char il_trap_exit[];
_Noreturn void il_leave(uint64_t exit_sp);
/* Entered from stubs with the function index in r11d (x86-64) or w16 (AArch64). */
extern const char il_gate_host_call[], il_gate_compile[];
/* Called by prologues below the limit of the il_exec: keeps all registers. */
extern const char il_gate_stack_check[];

/* Ends the innermost activation: for gates, which run in it. */
_Noreturn void il_end(il_trap_kind kind, uint64_t pc);
/* Within a gate that takes long, and before one returns into guest code. */
void il_pause(uint64_t pc);
void il_resume(uint64_t pc);

/* Whether the address lies in, or within 4 GiB of, the reservation of a linear memory (memory.c). */
bool il_is_memory_addr(uint64_t addr);

#endif
