/* signals.c - see signals.h. */
#include "signals.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "api.h"
#include "fault.h"
#include "lock.h"
#include "thread.h"

enum { SIGNALS = 65 };

/* What the program asked for.  Written under the lock; a handler reads it without, as the kernel would read its own table. */
static struct sigaction actions[SIGNALS];

static bool has_handler(const struct sigaction *action) {
    return (action->sa_flags & SA_SIGINFO) != 0 || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

bool il_is_ignored(int number) {
    return (actions[number].sa_flags & SA_SIGINFO) == 0 && actions[number].sa_handler == SIG_IGN;
}

static bool is_fault(int number) {
    return number == SIGSEGV || number == SIGBUS;
}

int il_kernel_sigaction(int number, const struct sigaction *action, struct sigaction *old_out) {
    return __sigaction(number, action, old_out);
}

void il_kernel_mask(int how, const sigset_t *set, sigset_t *old_out) {
    syscall(SYS_rt_sigprocmask, how, set, old_out, SIGNALS / 8);
}

/* ---- Calling a handler ----------------------------------------------------------------------------------------------------- */

/* Whether its return undid a change of the thread's state. */
static bool call(const struct sigaction *action, int number, siginfo_t *info, void *context) {
    struct il_thread_state before = il_thread_enter_handler();
    if ((action->sa_flags & SA_SIGINFO) != 0) {
        action->sa_sigaction(number, info, context);
    } else {
        action->sa_handler(number);
    }
    return il_thread_leave_handler(&before);
}

static void forget_if_once(const struct sigaction *action, int number) {
    if ((action->sa_flags & (int)SA_RESETHAND) != 0) {
        actions[number].sa_flags = 0;
        actions[number].sa_handler = SIG_DFL;
    }
}

/* Every handler of the program but those of faults. */
static void on_signal(int number, siginfo_t *info, void *context) {
    struct sigaction action = actions[number];
    forget_if_once(&action, number);
    if (has_handler(&action)) {
        call(&action, number, info, context);
    }
}

bool il_deliver(int number, siginfo_t *info, void *context) {
    struct sigaction action = actions[number];
    const ucontext_t *interrupted = context;
    if (!has_handler(&action) || sigismember(&interrupted->uc_sigmask, number) == 1) {
        return false;
    }
    forget_if_once(&action, number);
    if ((action.sa_flags & SA_NODEFER) == 0) {
        sigaddset(&action.sa_mask, number);
    }
    il_kernel_mask(SIG_BLOCK, &action.sa_mask, NULL); /* the kernel puts the old mask back when the fault handler returns */
    il_self.is_undone = call(&action, number, info, context);
    return true;
}

/* ---- sigaction and signal -------------------------------------------------------------------------------------------------- */

/* The kernel's action for both faults: a protection failure is SIGBUS on a Mac and SIGSEGV here.  The library's handler runs on
 * the alternate stack if one of the program's does, or if it has none. */
static int take_faults(void) {
    struct sigaction action = {.sa_sigaction = il_on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    bool has_any = has_handler(&actions[SIGSEGV]) || has_handler(&actions[SIGBUS]);
    action.sa_flags |= has_any ? (actions[SIGSEGV].sa_flags | actions[SIGBUS].sa_flags) & (SA_ONSTACK | SA_RESTART) : SA_ONSTACK;
    return il_kernel_sigaction(SIGSEGV, &action, NULL) | il_kernel_sigaction(SIGBUS, &action, NULL);
}

static int take(int number) {
    struct sigaction action = actions[number];
    if (is_fault(number)) {
        return take_faults();
    }
    if (has_handler(&action)) {
        sigdelset(&action.sa_mask, SIGSEGV); /* blocked, a fault would end the process instead of waiting for a writer */
        sigdelset(&action.sa_mask, SIGBUS);
        action.sa_flags |= SA_SIGINFO;
        action.sa_sigaction = on_signal;
    }
    return il_kernel_sigaction(number, &action, NULL);
}

IL_APPLE_API int sigaction(int number, const struct sigaction *restrict action, struct sigaction *restrict old_out) {
    sigset_t mask;
    struct sigaction old = {0}; /* not written for the C library's own signals, which are refused */
    if (number <= 0 || number >= SIGNALS) {
        return il_kernel_sigaction(number, action, old_out);
    }
    il_lock(&mask);
    int status = il_kernel_sigaction(number, NULL, &old);
    bool is_ours = is_fault(number) || ((old.sa_flags & SA_SIGINFO) != 0 && old.sa_sigaction == on_signal);
    if (is_ours) {
        old = actions[number];
    }
    if (status == 0 && action != NULL) {
        actions[number] = *action;
        status = take(number);
    }
    il_unlock(&mask);
    if (status == 0 && old_out != NULL) {
        *old_out = old;
    }
    return status;
}

static sighandler_t set_handler(int number, sighandler_t handler, int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    struct sigaction old;
    return sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

IL_APPLE_API sighandler_t signal(int number, sighandler_t handler) {
    return set_handler(number, handler, SA_RESTART);
}

/* What signal() is without BSD's extensions, as with -std=c11. */
IL_APPLE_API sighandler_t __sysv_signal(int number, sighandler_t handler) {
    return set_handler(number, handler, (int)(SA_RESETHAND | SA_NODEFER));
}

/* ---- Masks: the kernel never blocks a fault, whatever the program asked for and is told ------------------------------------ */

enum { BLOCKS_SIGSEGV = 1, BLOCKS_SIGBUS = 2 };

static uint8_t faults_in(const sigset_t *set) {
    unsigned has_segv = sigismember(set, SIGSEGV) == 1 ? BLOCKS_SIGSEGV : 0;
    return (uint8_t)(has_segv | (sigismember(set, SIGBUS) == 1 ? BLOCKS_SIGBUS : 0));
}

static uint8_t faults_after(int how, uint8_t asked) {
    if (how == SIG_SETMASK) {
        return asked;
    }
    return how == SIG_BLOCK ? il_self.blocked | asked : (uint8_t)(il_self.blocked & ~asked);
}

IL_APPLE_API int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old_out) {
    sigset_t wanted;
    sigset_t old;
    uint8_t before = il_self.blocked;
    if (set != NULL && how != SIG_BLOCK && how != SIG_UNBLOCK && how != SIG_SETMASK) {
        return EINVAL;
    }
    if (set != NULL) {
        wanted = *set;
        il_self.blocked = faults_after(how, faults_in(set));
        sigdelset(&wanted, SIGSEGV);
        sigdelset(&wanted, SIGBUS);
    }
    sigemptyset(&old);
    il_kernel_mask(how, set != NULL ? &wanted : NULL, &old);
    if (old_out != NULL) {
        *old_out = old;
        if ((before & BLOCKS_SIGSEGV) != 0) {
            sigaddset(old_out, SIGSEGV);
        }
        if ((before & BLOCKS_SIGBUS) != 0) {
            sigaddset(old_out, SIGBUS);
        }
    }
    return 0;
}

IL_APPLE_API int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old_out) {
    int error = pthread_sigmask(how, set, old_out);
    if (error != 0) {
        errno = error;
    }
    return error == 0 ? 0 : -1;
}

void il_signals_start(void) {
    il_kernel_sigaction(SIGSEGV, NULL, &actions[SIGSEGV]);
    il_kernel_sigaction(SIGBUS, NULL, &actions[SIGBUS]);
    take_faults();
}
