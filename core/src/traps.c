/* traps.c - faults, deadlines and interrupts: a signal whose interrupted address lies in published code becomes a trap of
 * the innermost activation; every other signal goes to the handler that was there before.
 *
 * A handler never leaves by longjmp: it redirects the interrupted context to il_trap_exit and returns, so that the signal mask
 * and the alternate stack stay right.  It takes no lock and reads only its own thread's state.
 */
#include <errno.h>
#include <time.h>

#include "arch.h"
#include "library.h"

enum { USER_SIGNAL = SIGINT };
static const int numbers[] = {SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP, IL_TIMER_SIGNAL, USER_SIGNAL};

/* original: what was there before we first came.  previous: what was there when we last installed ourselves. */
typedef struct chain {
    struct sigaction original, previous;
    bool is_installed;
} chain;
static chain chains[NSIG];
pthread_mutex_t il_traps_mutex = PTHREAD_MUTEX_INITIALIZER;

static _Thread_local uint32_t chaining __attribute__((tls_model("initial-exec")));
static _Thread_local bool has_deadline __attribute__((tls_model("initial-exec")));
static _Thread_local uint64_t deadline __attribute__((tls_model("initial-exec"))); /* nanoseconds of the monotonic clock */

/* ---- From a fault to a trap kind ------------------------------------------------------------------------------------------- */
static uint32_t kind_of_fault(int number, const siginfo_t *info, uint64_t pc) {
    switch (number) {
    case SIGILL:
    case SIGTRAP: return il_trap_kind_at((const uint8_t *)(uintptr_t)pc, il_code_end(pc) - pc);
    case SIGSEGV:
    case SIGBUS: return il_is_memory_addr((uint64_t)(uintptr_t)info->si_addr) ? IL_TRAP_MEMORY_OUT_OF_BOUNDS : IL_TRAP_FAULT;
    default: return IL_TRAP_FAULT;
    }
}

static bool leave_guest(void *context, uint32_t kind, uint64_t pc) {
    il_activation *here = il_self != NULL ? il_self->current : NULL;
    if (here == NULL || here->is_in_host != 0) return false;
    here->trap_kind = kind;
    here->trap_pc = pc;
    *il_signal_pc(context) = (uint64_t)(uintptr_t)il_trap_exit;
    *il_signal_sp(context) = here->exit_sp;
    return true;
}

/* ---- Handlers of others ---------------------------------------------------------------------------------------------------- */
/* A handler that was chained to may raise the signal again for the one it found when it was installed, which may be us: then
 * we go back to what was there before any of them. */
static void pass_on(int number, siginfo_t *info, void *context) {
    const chain *link = &chains[number];
    const struct sigaction *action = chaining == 0 ? &link->previous : &link->original;
    if (action->sa_handler == SIG_IGN && !il_signal_is_fault(info)) return;
    if (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN) {
        if (number == IL_TIMER_SIGNAL) return; /* ignored by default */
        struct sigaction fallback = {.sa_handler = SIG_DFL};
        (void)sigaction(number, &fallback, NULL);
        /* A fault happens again when we return, and ends the process with its true cause; what was sent must be sent again. */
        if (!il_signal_is_fault(info) || number == SIGTRAP) (void)raise(number);
        return;
    }
    chaining++;
    if (action->sa_flags & SA_SIGINFO) action->sa_sigaction(number, info, context);
    else action->sa_handler(number);
    chaining--;
}

static void on_fault(int number, siginfo_t *info, void *context) {
    const int error_number = errno;
    uint64_t pc = *il_signal_pc(context);
    if (number == SIGTRAP) pc -= IL_BREAKPOINT_ADVANCE;
    const bool is_ours = il_signal_is_fault(info) && il_is_code_addr(pc) && leave_guest(context, kind_of_fault(number, info, pc), pc);
    if (!is_ours) pass_on(number, info, context);
    errno = error_number;
}

static void want(uint32_t what) { (void)__atomic_fetch_or(&il_self->wants, what, __ATOMIC_RELAXED); }

/* Of il_interrupt: whether this thread is leaving, or will see at its next gate whether it has to. */
static bool is_acknowledged(void *context, uint64_t pc) {
    const il_activation *here = il_self->current;
    if (here == NULL || here->is_in_host == IL_IN_GATE || here->is_in_host == IL_IN_HOST_FUNCTION) return true;
    if (here->is_in_host == IL_ENTERING) return false;
    if (!il_is_to_leave(here)) return true;
    return il_is_code_addr(pc) && leave_guest(context, IL_TRAP_INTERRUPTED, pc);
}

static void on_urgent(int number, siginfo_t *info, void *context) {
    const int error_number = errno;
    const uint64_t pc = *il_signal_pc(context);
    const bool is_nudged = il_self != NULL && __atomic_load_n(&il_self->is_nudged, __ATOMIC_SEQ_CST);
    if (il_timer_has_fired(info)) {
        if (has_deadline) want(IL_WANT_DEADLINE);
        /* Anywhere else a gate will see it, or the next signal will come. */
        if (has_deadline && il_is_code_addr(pc)) (void)leave_guest(context, IL_TRAP_INTERRUPTED, pc);
    } else if (!is_nudged) {
        pass_on(number, info, context);
    }
    if (is_nudged && is_acknowledged(context, pc)) __atomic_store_n(&il_self->is_nudged, false, __ATOMIC_SEQ_CST);
    errno = error_number;
}

/* Ctrl-C: the host's own handler first, which only takes note of it (as Python's does) and is asked again when guest code has
 * ended.  A host function answers for itself; a gate or a crossing is left at the next return into guest code. */
static void on_user(int number, siginfo_t *info, void *context) {
    const int error_number = errno;
    const uint64_t pc = *il_signal_pc(context);
    const il_activation *here = il_self != NULL ? il_self->current : NULL;
    pass_on(number, info, context);
    if (here != NULL && here->is_in_host != IL_IN_HOST_FUNCTION) {
        want(IL_WANT_USER);
        if (il_is_code_addr(pc)) (void)leave_guest(context, IL_TRAP_INTERRUPTED, pc);
    }
    errno = error_number;
}

static bool is_without_handler(const struct sigaction *action) {
    return !(action->sa_flags & SA_SIGINFO) && (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN);
}

static bool install(int number) {
    chain *link = &chains[number];
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART}, found;
    ours.sa_sigaction = number == IL_TIMER_SIGNAL ? on_urgent : number == USER_SIGNAL ? on_user : on_fault;
    if (sigaction(number, NULL, &found) != 0) return false;
    if ((found.sa_flags & SA_SIGINFO) && found.sa_sigaction == ours.sa_sigaction) return true;
    if (number == USER_SIGNAL && is_without_handler(&found)) return true; /* it ends the process, or nothing */
    if (!link->is_installed) link->original = found;
    link->previous = found;
    link->is_installed = true;
    return sigaction(number, &ours, NULL) == 0;
}

il_status il_traps_install(void) {
    il_status status = IL_OK;
    (void)pthread_mutex_lock(&il_traps_mutex);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && status == IL_OK; i++)
        if (!install(numbers[i])) status = il_fail(IL_SYSTEM, "sigaction", errno);
    (void)pthread_mutex_unlock(&il_traps_mutex);
    return status;
}

/* ---- Deadlines ------------------------------------------------------------------------------------------------------------- */
uint64_t il_now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

il_status il_deadline_set(uint64_t nanoseconds) {
    if (il_self == NULL && il_thread_register() == NULL) return il_fail(IL_NO_MEMORY, "too many threads run published code", 0);
    has_deadline = false;
    il_timer_stop();
    (void)__atomic_fetch_and(&il_self->wants, ~(uint32_t)IL_WANT_DEADLINE, __ATOMIC_RELAXED);
    if (nanoseconds == 0) return IL_OK;
    has_deadline = true;
    deadline = il_now() + nanoseconds;
    const il_status status = il_timer_start(nanoseconds);
    has_deadline = status == IL_OK;
    return status;
}

bool il_is_interrupted(void) {
    if (il_self == NULL) return false;
    if (__atomic_load_n(&il_self->wants, __ATOMIC_RELAXED) & IL_WANT_DEADLINE) return true;
    return il_self->current != NULL && il_is_to_leave(il_self->current);
}

void il_deadline_renew(void) {
    if (!has_deadline) return;
    const uint64_t time = il_now();
    il_timer_forget();
    (void)il_deadline_set(deadline > time ? deadline - time : 1);
}
