/* signals.c - the program's handlers are the program's: what sigaction answers, what a handler is told. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "machine_code.h"

static unsigned char *region;
static sigjmp_buf after;
static volatile sig_atomic_t calls;
static void *volatile seen_address;
static volatile sig_atomic_t seen_number;

static void on_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    calls++;
    seen_number = info->si_signo == number ? number : -1;
    seen_address = info->si_addr;
    siglongjmp(after, 1);
}

static void on_plain(int number) {
    calls++;
    seen_number = number;
}

/* A fault at `address` arrives as `number`, with the address. */
static int is_told(int number, volatile unsigned char *address) {
    calls = 0;
    if (sigsetjmp(after, 1) == 0) {
        *address = 1;
    }
    return calls == 1 && seen_number == number && seen_address == (void *)(uintptr_t)address;
}

static int check(const char *name, int is_right) {
    printf("%s: %s\n", name, is_right ? "yes" : "no");
    return is_right;
}

static void on_toggling(int number) {
    (void)number;
    calls++;
    pthread_jit_write_protect_np(0);
}

/* The return of a handler brings the state back: the next store faults. */
static int is_toggle_undone(void) {
    signal(SIGUSR1, on_toggling);
    raise(SIGUSR1);
    return is_told(SIGBUS, region);
}

static int are_masks_answered(void) {
    sigset_t faults;
    sigset_t old;
    sigemptyset(&faults);
    sigaddset(&faults, SIGBUS);
    int is_right = sigprocmask(SIG_BLOCK, &faults, &old) == 0 && !sigismember(&old, SIGBUS);
    is_right &= pthread_sigmask(SIG_UNBLOCK, &faults, &old) == 0 && sigismember(&old, SIGBUS) && !sigismember(&old, SIGSEGV);
    is_right &= sigprocmask(SIG_SETMASK, NULL, &old) == 0 && !sigismember(&old, SIGBUS);
    return is_right && sigprocmask(77, &faults, NULL) == -1;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction old;
    int right = 1;
    region = map_jit(4096);
    unsigned char *unmapped = map_jit(4096);
    munmap(unmapped, 4096);

    right &= check("at first there is no handler", sigaction(SIGBUS, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    right &= check("then it is the program's", sigaction(SIGBUS, NULL, &old) == 0 && old.sa_sigaction == on_fault);
    right &= check("protection is SIGBUS", is_told(SIGBUS, region));
    right &= check("its rule", strcmp(il_apple_rule(), "T1") == 0 && il_apple_rule()[0] == '\0');
    right &= check("twice", is_told(SIGBUS, region));
    right &= check("nothing mapped is SIGSEGV", is_told(SIGSEGV, unmapped));
    right &= check("read-only data is SIGBUS", is_told(SIGBUS, (unsigned char *)(uintptr_t) "text"));
    right &= check("a handler's toggle is undone", is_toggle_undone());

    right &= check("signal answers the one before", signal(SIGUSR1, on_plain) == on_toggling);
    raise(SIGUSR1);
    right &= check("and calls", seen_number == SIGUSR1);
    action.sa_flags = SA_SIGINFO | (int)SA_RESETHAND;
    sigaction(SIGBUS, &action, NULL);
    right &= check("once", is_told(SIGBUS, region) && sigaction(SIGBUS, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
    signal(SIGBUS, SIG_IGN);
    right &= check("ignored ones that a process sends", raise(SIGBUS) == 0);
    right &= check("masks are answered as asked for", are_masks_answered());
    right &= check("no such signal", sigaction(65, &action, NULL) == -1 && sigaction(SIGKILL, &action, NULL) == -1);
    return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
