/* library.h - the application's side of code memory: what the parts of the library share.  Nothing here can write code. */
#ifndef IL_LIBRARY_H
#define IL_LIBRARY_H

#include <pthread.h>
#include <signal.h>

#include "protocol.h"

/* The code views that this process can run: its own last, before it those of the processes that it was forked from.  They never
 * go away.  Safe to read in a signal handler. */
extern uint64_t il_code_bases[IL_RESERVATIONS_MAX];
extern uint32_t il_reservations;
/* il_harden has succeeded: there is no new executable memory any more. */
extern bool il_is_hardened;

/* First byte behind the code view in which the address lies; 0 when it lies in none. */
static inline uint64_t il_code_end(uint64_t addr) {
    for (uint32_t i = __atomic_load_n(&il_reservations, __ATOMIC_ACQUIRE); i-- > 0;)
        if (addr - il_code_bases[i] < (uint64_t)IL_CODE_VIEW_BYTES) return il_code_bases[i] + IL_CODE_VIEW_BYTES;
    return 0;
}

static inline bool il_is_code_addr(uint64_t addr) { return il_code_end(addr) != 0; }

/* Remembers the detail for il_last_failure and returns status.  operation: a string that lives for ever. */
il_status il_fail(il_status status, const char *operation, int error_number);

/* What the system made when the region was opened: region_<system>.c. */
typedef struct il_views {
    uint64_t code_base;
    il_writer writer;
    bool has_seals, has_mseal;
    uint8_t *payload;     /* IL_PAYLOAD_BYTES_MAX that the writer copies from (protocol.h) */
    /* Of a writer process: */
    int requests, requests_end, replies;
    int writer_pid;
} il_views;

/* IL_OK; or IL_SYSTEM / IL_UNSUPPORTED, with nothing left behind. */
il_status il_views_open(const char *writer_path, il_views *views_out);
/* One request and its whole reply.  False, with failure_out, when the writer is lost.  Calls are serialised by region.c. */
bool il_views_exchange(il_views *views, il_request *request, il_reply *reply_out, il_failure *failure_out);
/* Gives up the way to the writer; the views stay.  Called in forked children too. */
void il_views_close(il_views *views);
/* Makes other threads drop instructions fetched before: needed when a slot is used again. */
void il_views_synchronise(void);

/* Of traps.c: taken before a fork, so that what it guards is whole in the child. */
extern pthread_mutex_t il_traps_mutex;

/* ---- Threads: one record for each that runs published code, what others may ask about it ----------------------------------- */
/* What a thread's signal handlers want of its guest code; it is looked at wherever guest code is entered. */
typedef enum il_want { IL_WANT_DEADLINE = 1, IL_WANT_USER = 2 } il_want;

/* Written by its own thread, but for is_nudged.  Aligned so that no two threads write the same (pair of) cache lines. */
typedef struct il_thread {
    struct il_activation *current; /* the innermost; NULL: outside.  Others ask only whether it is NULL */
    uint64_t stack_limit;          /* lowest stack pointer at which guest code may begin a frame */
    uint32_t wants;                /* il_want */
    pthread_t handle;              /* as long as it is taken */
    bool is_taken;
    bool is_nudged;                /* il_interrupt sent it a signal that it has not acted upon yet */
} __attribute__((aligned(128))) il_thread;

/* This thread's record, NULL before its first call.  initial-exec: signal handlers read it, and must not allocate. */
extern _Thread_local il_thread *il_self __attribute__((tls_model("initial-exec")));

/* Whether other threads can make this one execute a barrier (il_barrier), so that entering code needs none. */
extern bool il_has_barrier;

/* Before any code can be published; calls are serialised by region.c. */
il_status il_threads_open(void);
void il_threads_forget(void); /* in a forked child */
/* The record of the calling thread; NULL when IL_THREADS_MAX threads have one. */
il_thread *il_thread_register(void);

/* Of the system: signals_<system>.c and region_<system>.c. */
uint64_t il_stack_low(void);    /* lowest address of the calling thread's stack; 0 when the system does not tell */
bool il_barrier_prepare(void);  /* whether il_barrier can be had in this process */
bool il_barrier(void);          /* every thread of the process has executed a full memory barrier since the call began */

/* traps.c. */
uint64_t il_now(void);          /* nanoseconds of the monotonic clock */
void il_deadline_renew(void);   /* in a forked child */

/* ---- Signals: signals_<system>.c ------------------------------------------------------------------------------------------- */
enum { IL_TIMER_SIGNAL = SIGURG, IL_TIMER_REPEAT_NANOSECONDS = 5000000 };

/* Of a handler's arguments.  Whether the processor raised the signal, and nobody sent it. */
bool il_signal_is_fault(const siginfo_t *info);
/* The interrupted thread's, with which it goes on when the handler returns. */
uint64_t *il_signal_pc(void *context);
uint64_t *il_signal_sp(void *context);

/* Sends IL_TIMER_SIGNAL to the calling thread after the time, and again and again until il_timer_stop.  One for each thread. */
il_status il_timer_start(uint64_t nanoseconds);
void il_timer_stop(void); /* of a thread that has none: nothing */
void il_timer_forget(void); /* in a forked child, which inherits no timers */
/* Asked once by the handler of IL_TIMER_SIGNAL: whether the calling thread's timer sent it. */
bool il_timer_has_fired(const siginfo_t *info);

/* ---- Crossings ------------------------------------------------------------------------------------------------------------- */
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
/* Not a function: control arrives here with the stack pointer = exit_sp of the innermost activation, and il_enter returns
 * true. */
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
