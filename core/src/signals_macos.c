/* signals_macos.c - signals, timers and stacks of threads on macOS.  Has not run on a Mac.
 *
 * There is no timer that signals one thread, so one thread of ours waits for the timers of all, in a kernel queue, and passes
 * each on with pthread_kill.  A timer fires once; its own thread's handler asks for the next, so that nothing is left of a timer
 * that was stopped, or of a thread that has ended.
 */
#include <errno.h>
#include <sys/event.h>
#include <sys/ucontext.h>
#include <time.h>
#include <unistd.h>

#include "arch_abi.h"
#include "library.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int queue;         /* valid in the process queue_owner: a fork inherits neither the queue nor the thread */
static pid_t queue_owner;
static _Thread_local uint64_t due; /* of CLOCK_UPTIME_RAW; 0 = no timer */

uint64_t il_stack_low(void) {
    const pthread_t self = pthread_self();
    return (uint64_t)(uintptr_t)pthread_get_stackaddr_np(self) - pthread_get_stacksize_np(self);
}

/* There is none on macOS. */
bool il_barrier_prepare(void) { return false; }

bool il_barrier(void) { return false; }

/* What a process sends has SI_USER or more.  Of SIGSEGV and SIGBUS the kernel does not tell: those count as faults. */
bool il_signal_is_fault(const siginfo_t *info) { return info->si_code < SI_USER; }

uint64_t *il_signal_pc(void *context) { return (uint64_t *)&((ucontext_t *)context)->IL_MACOS_PC; }

uint64_t *il_signal_sp(void *context) { return (uint64_t *)&((ucontext_t *)context)->IL_MACOS_SP; }

static void *pass_timers_on(void *argument) {
    const int kernel_queue = (int)(intptr_t)argument;
    struct kevent64_s fired;
    for (;;) {
        if (kevent64(kernel_queue, NULL, 0, &fired, 1, 0, NULL) == 1) (void)pthread_kill((pthread_t)fired.ident, IL_TIMER_SIGNAL);
        else if (errno != EINTR) return NULL;
    }
}

static il_status open_queue(void) {
    pthread_t thread;
    sigset_t all, before;
    const int opened = kqueue();
    if (opened < 0) return il_fail(IL_SYSTEM, "kqueue", errno);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the thread */
    const int error_number = pthread_create(&thread, NULL, pass_timers_on, (void *)(intptr_t)opened);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error_number != 0) {
        (void)close(opened);
        return il_fail(IL_SYSTEM, "pthread_create", error_number);
    }
    (void)pthread_detach(thread);
    queue = opened;
    __atomic_store_n(&queue_owner, getpid(), __ATOMIC_RELEASE);
    return IL_OK;
}

static bool change_timer(uint16_t flags, uint64_t nanoseconds) {
    struct kevent64_s change;
    EV_SET64(&change, (uint64_t)(uintptr_t)pthread_self(), EVFILT_TIMER, flags, NOTE_NSECONDS, (int64_t)nanoseconds, 0, 0, 0);
    return kevent64(queue, &change, 1, NULL, 0, KEVENT_FLAG_IMMEDIATE, NULL) == 0;
}

il_status il_timer_start(uint64_t nanoseconds) {
    il_status status = IL_OK;
    (void)pthread_mutex_lock(&lock);
    if (queue_owner != getpid()) status = open_queue();
    (void)pthread_mutex_unlock(&lock);
    if (status != IL_OK) return status;
    if (nanoseconds > INT64_MAX / 2) nanoseconds = INT64_MAX / 2;
    due = clock_gettime_nsec_np(CLOCK_UPTIME_RAW) + nanoseconds;
    if (change_timer(EV_ADD | EV_ONESHOT, nanoseconds)) return IL_OK;
    due = 0;
    return il_fail(IL_SYSTEM, "kevent64", errno);
}

void il_timer_stop(void) {
    if (due == 0) return;
    due = 0; /* first: from here on the handler asks for no more */
    (void)change_timer(EV_DELETE, 0);
}

void il_timer_forget(void) { due = 0; }

/* A signal that was on its way when its timer was stopped comes before the next one is due. */
bool il_timer_has_fired(const siginfo_t *info) {
    (void)info;
    if (due == 0 || clock_gettime_nsec_np(CLOCK_UPTIME_RAW) < due) return false;
    (void)change_timer(EV_ADD | EV_ONESHOT, IL_TIMER_REPEAT_NANOSECONDS);
    return true;
}
