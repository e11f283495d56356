/* thread_sanitizer.c - what a program needs that runs published code under ThreadSanitizer on x86-64 Linux.
 *
 * ThreadSanitizer puts its own handler in front of every other and calls ours later, with a copy of the context, when a thread
 * that was interrupted calls something it knows.  A guest in a loop calls nothing, and a copy cannot be redirected.  So handlers
 * are installed with the kernel's own call (link with -Wl,--wrap=sigaction), and traps.c and signals_linux.c, in which they run,
 * are compiled without instrumentation: a handler may come while ThreadSanitizer's own state is half changed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
} kernel_action;

enum { RESTORER = 0x04000000 };

void return_from_signal(void);
__asm__(".globl return_from_signal\nreturn_from_signal:\n\tmov $15, %eax\n\tsyscall\n");

int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *previous);
int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *previous) {
    kernel_action new_action = {0}, old_action = {0};
    if (action != NULL) {
        new_action.handler = action->sa_handler;
        new_action.flags = (unsigned long)action->sa_flags | RESTORER;
        new_action.restorer = return_from_signal;
        memcpy(&new_action.mask, &action->sa_mask, sizeof new_action.mask);
    }
    if (syscall(SYS_rt_sigaction, number, action != NULL ? &new_action : NULL, &old_action, sizeof new_action.mask) != 0) return -1;
    if (previous != NULL) {
        memset(previous, 0, sizeof *previous);
        previous->sa_handler = old_action.handler;
        previous->sa_flags = (int)(old_action.flags & ~(unsigned long)RESTORER);
        memcpy(&previous->sa_mask, &old_action.mask, sizeof old_action.mask);
    }
    return 0;
}
