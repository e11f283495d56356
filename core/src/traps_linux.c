/* traps_linux.c - faults and deadlines on Linux: a signal whose interrupted address lies in published code becomes a trap of
 * the innermost activation; every other signal goes to the handler that was there before.
 *
 * A handler never leaves by longjmp: it redirects the interrupted context to il_trap_exit and returns, so that the signal mask
 * and the alternate stack stay right.  It takes no lock and reads only its own thread's state.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "calls.h"
#include "linux_abi.h"

enum { FAULTS = 5, SIGNALS = FAULTS + 2, DEADLINE_SIGNAL = SIGURG, USER_SIGNAL = SIGINT, REPEAT_NANOSECONDS = 5000000 };
static const int numbers[SIGNALS] = {SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP, DEADLINE_SIGNAL, USER_SIGNAL};

/* original: what was there before we first came.  previous: what was there when we last installed ourselves. */
typedef struct chain {
    struct sigaction original, previous;
    bool is_installed;
} chain;
static chain chains[SIGNALS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

_Thread_local uint32_t il_user_interrupt __attribute__((tls_model("initial-exec")));
static _Thread_local uint32_t chaining __attribute__((tls_model("initial-exec")));
static _Thread_local uint32_t is_interrupted __attribute__((tls_model("initial-exec")));
static _Thread_local uint64_t stack_low __attribute__((tls_model("initial-exec")));
static _Thread_local bool has_timer __attribute__((tls_model("initial-exec")));
static _Thread_local int timer_id __attribute__((tls_model("initial-exec")));

uint64_t il_stack_low(void) {
    if (stack_low != 0) return stack_low;
    pthread_attr_t attributes;
    void *low = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
    if (pthread_attr_getstack(&attributes, &low, &bytes) == 0) stack_low = (uint64_t)(uintptr_t)low;
    (void)pthread_attr_destroy(&attributes);
    /* An unlimited main stack is still one that other mappings bound: believe in 8 MiB of it. */
    const uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0), most = UINT64_C(8) << 20;
    struct rlimit limit;
    if (getpid() == (pid_t)syscall(SYS_gettid) && getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
        stack_low = here > most ? here - most : here;
    return stack_low;
}

/* ---- From a fault to a trap kind -------------------------------------------------------------------------------------------- */
static uint32_t kind_of_fault(int number, const siginfo_t *info, uint64_t pc) {
    switch (number) {
    case SIGILL:
    case SIGTRAP: return il_trap_kind_at((const uint8_t *)(uintptr_t)pc, il_code_base + IL_CODE_VIEW_BYTES - pc);
    case SIGSEGV:
    case SIGBUS: return il_is_memory_addr((uint64_t)(uintptr_t)info->si_addr) ? IL_TRAP_MEMORY_OUT_OF_BOUNDS : IL_TRAP_FAULT;
    default: return IL_TRAP_FAULT;
    }
}

static bool leave_guest(ucontext_t *context, uint32_t kind, uint64_t pc) {
    il_activation *here = il_current;
    if (here == NULL || here->is_in_host != 0) return false;
    here->trap_kind = kind;
    here->trap_pc = pc;
    il_context_redirect(context, (uint64_t)(uintptr_t)il_trap_exit, here->exit_sp);
    return true;
}

/* ---- Handlers of others ------------------------------------------------------------------------------------------------------ */
static int index_of(int number) {
    for (int i = 0; i < SIGNALS; i++)
        if (numbers[i] == number) return i;
    return 0;
}

/* A handler that was chained to may raise the signal again for the one it found when it was installed, which may be us: then
 * we go back to what was there before any of them. */
static void pass_on(int number, siginfo_t *info, void *context) {
    const chain *link = &chains[index_of(number)];
    const struct sigaction *action = chaining == 0 ? &link->previous : &link->original;
    if (action->sa_handler == SIG_IGN && info->si_code <= 0) return;
    if (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN) {
        if (number == DEADLINE_SIGNAL) return; /* ignored by default */
        struct sigaction fallback = {.sa_handler = SIG_DFL};
        (void)sigaction(number, &fallback, NULL);
        /* A fault happens again when we return, and ends the process with its true cause; what was sent must be sent again. */
        if (info->si_code <= 0 || number == SIGTRAP) (void)raise(number);
        return;
    }
    chaining++;
    if (action->sa_flags & SA_SIGINFO) action->sa_sigaction(number, info, context);
    else action->sa_handler(number);
    chaining--;
}

static void on_fault(int number, siginfo_t *info, void *argument) {
    const int error_number = errno;
    ucontext_t *context = argument;
    uint64_t pc = il_context_pc(context);
    if (number == SIGTRAP) pc -= IL_BREAKPOINT_ADVANCE;
    const bool is_ours = info->si_code > 0 && il_is_code_addr(pc) && leave_guest(context, kind_of_fault(number, info, pc), pc);
    if (!is_ours) pass_on(number, info, argument);
    errno = error_number;
}

static void on_deadline(int number, siginfo_t *info, void *argument) {
    const int error_number = errno;
    ucontext_t *context = argument;
    const uint64_t pc = il_context_pc(context);
    if (info->si_code != SI_TIMER || info->si_value.sival_ptr != (void *)chains) {
        pass_on(number, info, argument);
    } else if (has_timer) {
        is_interrupted = 1;
        /* Anywhere else a gate will see the flag, or the next signal will come. */
        if (il_is_code_addr(pc)) (void)leave_guest(context, IL_TRAP_INTERRUPTED, pc);
    }
    errno = error_number;
}

/* Ctrl-C: the host's own handler first, which only takes note of it (as Python's does) and is asked again when guest code has
 * ended.  A host function answers for itself; a gate or a crossing is left at the next return into guest code. */
static void on_user(int number, siginfo_t *info, void *argument) {
    const int error_number = errno;
    ucontext_t *context = argument;
    const uint64_t pc = il_context_pc(context);
    const il_activation *here = il_current;
    pass_on(number, info, argument);
    if (here != NULL && here->is_in_host != IL_IN_HOST_FUNCTION) {
        il_user_interrupt = 1;
        if (il_is_code_addr(pc)) (void)leave_guest(context, IL_TRAP_INTERRUPTED, pc);
    }
    errno = error_number;
}

static bool is_without_handler(const struct sigaction *action) {
    return !(action->sa_flags & SA_SIGINFO) && (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN);
}

static bool install(int index) {
    chain *link = &chains[index];
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART}, found;
    ours.sa_sigaction = numbers[index] == DEADLINE_SIGNAL ? on_deadline : numbers[index] == USER_SIGNAL ? on_user : on_fault;
    if (sigaction(numbers[index], NULL, &found) != 0) return false;
    if ((found.sa_flags & SA_SIGINFO) && found.sa_sigaction == ours.sa_sigaction) return true;
    if (numbers[index] == USER_SIGNAL && is_without_handler(&found)) return true; /* it ends the process, or nothing */
    if (!link->is_installed) link->original = found;
    link->previous = found;
    link->is_installed = true;
    return sigaction(numbers[index], &ours, NULL) == 0;
}

il_status il_traps_install(void) {
    il_status status = IL_OK;
    (void)pthread_mutex_lock(&lock);
    for (int i = 0; i < SIGNALS && status == IL_OK; i++)
        if (!install(i)) status = il_fail(IL_SYSTEM, "sigaction", errno);
    (void)pthread_mutex_unlock(&lock);
    return status;
}

/* ---- Deadlines ----------------------------------------------------------------------------------------------------------------- */
/* The kernel's own calls: librt's would need a library that old systems keep apart. */
il_status il_deadline_set(uint64_t nanoseconds) {
    enum { SECOND = 1000000000 };
    if (has_timer) {
        has_timer = false;
        (void)syscall(SYS_timer_delete, timer_id);
    }
    is_interrupted = 0;
    if (nanoseconds == 0) return IL_OK;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = DEADLINE_SIGNAL, .sigev_value.sival_ptr = chains};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer_id) != 0) return il_fail(IL_SYSTEM, "timer_create", errno);
    has_timer = true;
    const struct itimerspec times = {
        .it_interval = {.tv_nsec = REPEAT_NANOSECONDS},
        .it_value = {.tv_sec = (time_t)(nanoseconds / SECOND), .tv_nsec = (long)(nanoseconds % SECOND)},
    };
    if (syscall(SYS_timer_settime, timer_id, 0, &times, NULL) == 0) return IL_OK;
    const int error_number = errno;
    has_timer = false;
    (void)syscall(SYS_timer_delete, timer_id);
    return il_fail(IL_SYSTEM, "timer_settime", error_number);
}

bool il_is_interrupted(void) { return is_interrupted != 0; }
