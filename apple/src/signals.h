/* signals.h - the program's signal handlers, which the library calls: SIGSEGV and SIGBUS arrive at the library first. */
#ifndef INTERLOCK_APPLE_SIGNALS_H
#define INTERLOCK_APPLE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* The kernel's sigaction, which the library's takes the place of. */
int il_kernel_sigaction(int number, const struct sigaction *action, struct sigaction *old_out);

/* The kernel's pthread_sigmask, likewise. */
void il_kernel_mask(int how, const sigset_t *set, sigset_t *old_out);

/* Take SIGSEGV and SIGBUS; what was there before is the program's. */
void il_signals_start(void);

/* Call the program's handler of a fault; false if there is none, or if the signal is blocked in `context`. */
bool il_deliver(int number, siginfo_t *info, void *context);

/* Whether the program ignores the signal, which counts for one that a process sends. */
bool il_is_ignored(int number);

#endif
