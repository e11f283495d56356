/* threads.h - one record for each thread that runs published code: what other threads may ask about it. */
#ifndef IL_THREADS_H
#define IL_THREADS_H

#include <pthread.h>

#include "interlock.h"

struct il_activation;

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

/* traps.c: in a forked child. */
void il_deadline_renew(void);

#endif
