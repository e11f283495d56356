/* signals_linux.c - signals, timers and stacks of threads on Linux. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "arch_abi.h"
#include "library.h"

static _Thread_local bool has_timer __attribute__((tls_model("initial-exec")));
static _Thread_local int timer_id __attribute__((tls_model("initial-exec")));
static const char timer_mark; /* its address tells our timers from others */

uint64_t il_stack_low(void) {
    pthread_attr_t attributes;
    void *low = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
    const bool is_known = pthread_attr_getstack(&attributes, &low, &bytes) == 0;
    (void)pthread_attr_destroy(&attributes);
    /* An unlimited main stack is still one that other mappings bound: believe in 8 MiB of it. */
    const uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0), most = UINT64_C(8) << 20;
    struct rlimit limit;
    if (getpid() == (pid_t)syscall(SYS_gettid) && getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
        return here > most ? here - most : here;
    return is_known ? (uint64_t)(uintptr_t)low : 0;
}

bool il_signal_is_fault(const siginfo_t *info) { return info->si_code > 0; }

bool il_timer_has_fired(const siginfo_t *info) {
    return info->si_code == SI_TIMER && info->si_value.sival_ptr == (const void *)&timer_mark;
}

uint64_t *il_signal_pc(void *context) { return (uint64_t *)&((ucontext_t *)context)->IL_LINUX_PC; }

uint64_t *il_signal_sp(void *context) { return (uint64_t *)&((ucontext_t *)context)->IL_LINUX_SP; }

/* The kernel's own calls: librt's would need a library that old systems keep apart. */
il_status il_timer_start(uint64_t nanoseconds) {
    enum { SECOND = 1000000000 };
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = IL_TIMER_SIGNAL};
    event.sigev_value.sival_ptr = (void *)(uintptr_t)&timer_mark;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer_id) != 0) return il_fail(IL_SYSTEM, "timer_create", errno);
    has_timer = true;
    const struct itimerspec times = {
        .it_interval = {.tv_nsec = IL_TIMER_REPEAT_NANOSECONDS},
        .it_value = {.tv_sec = (time_t)(nanoseconds / SECOND), .tv_nsec = (long)(nanoseconds % SECOND)},
    };
    if (syscall(SYS_timer_settime, timer_id, 0, &times, NULL) == 0) return IL_OK;
    const int error_number = errno;
    il_timer_stop();
    return il_fail(IL_SYSTEM, "timer_settime", error_number);
}

void il_timer_stop(void) {
    if (!has_timer) return;
    has_timer = false;
    (void)syscall(SYS_timer_delete, timer_id);
}

void il_timer_forget(void) { has_timer = false; }
