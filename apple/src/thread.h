/* thread.h - the state of this thread: what it may do with RWX MAP_JIT pages, and the rule that explains how it came to that.
 *
 * The same as interlock.contract.threads.  A processor without a switch for each thread has one protection for all: pages are
 * read-execute while no thread is in RW state, and read-write while one is; the fault handler does the rest.
 */
#ifndef INTERLOCK_APPLE_THREAD_H
#define INTERLOCK_APPLE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "contract.h"

enum il_state {
    IL_STATE_RX,
    IL_STATE_RW,
    IL_STATE_UNSET, /* a forked child of which nothing is known (K3): neither writes nor executes */
};

enum { IL_CALLBACK_FRAMES_MAX = 8 };

/* What a signal handler's return brings back. */
struct il_thread_state {
    enum il_state state;
    enum il_rule_id cause; /* the rule to blame if the next access faults; none in a thread that has done nothing yet */
    uint32_t windows;      /* toggles to RW without one to RX: a Mac has no such count (T6), it serves the explanation */
    uint32_t callbacks;
};

struct il_thread {
    struct il_thread_state now;
    enum il_rule_id rule; /* what il_apple_rule() answers */
    uint8_t blocked;      /* faults that the program has blocked: bits of signals.c */
    bool is_forked;       /* the only thread of a forked child */
    bool has_destructor;
    /* Frames of the callback calls that this thread is in.  A stack pointer above the last one: it was left by a jump (C4). */
    uintptr_t frames[IL_CALLBACK_FRAMES_MAX];
    /* The last access that faulted, how often it was tried again, and whether its handler changed the state in vain (T12). */
    uintptr_t retried_address;
    uint32_t retries;
    bool is_undone;
};

extern _Thread_local struct il_thread il_self;

/* Notice that callback calls were left by a jump. */
void il_thread_settle(uintptr_t stack_pointer);

/* The rule behind the next fault. */
enum il_rule_id il_thread_cause(void);

/* pthread_jit_write_protect_np. */
void il_thread_toggle(bool is_protected);

/* The parts of pthread_jit_write_with_callback_np. */
void il_thread_enter_callback(uintptr_t frame);
void il_thread_refuse_callback(void);
void il_thread_return_from_callback(void);

/* A signal handler starts, and returns (T12): whether that undoes a change of the state. */
struct il_thread_state il_thread_enter_handler(void);
bool il_thread_leave_handler(const struct il_thread_state *before);

/* Wait until no other thread is in RW state; a limit of time makes that a deadlock, which ends the process. */
void il_thread_wait_for_writers(void);

/* In a forked child. */
void il_thread_forked(void);

#endif
