/* signals.h - what traps.c needs of the operating system: signals_<system>.c. */
#ifndef IL_SIGNALS_H
#define IL_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

#include "interlock.h"

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

#endif
