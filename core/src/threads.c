/* threads.c - who is inside published code.
 *
 * Who enters: 1 stores its activation, 2 (compiler barrier), 3 loads the address from the funcref.  Who reclaims: 1 unlinks the
 * code, 2 makes all threads execute a full barrier, 3 reads every record.  That barrier comes after the other's store, which is
 * then seen, or before it and so before its load, which then finds nothing to enter (docs/decisions/0009).
 */
#include <time.h>

#include "library.h"

_Thread_local il_thread *il_self __attribute__((tls_model("initial-exec")));
bool il_has_barrier;

/* Not allocated: pages of threads that never come are never touched.  Taken and given back with the lock held, which therefore
 * also keeps the thread of a taken record alive. */
static il_thread threads[IL_THREADS_MAX];
static uint32_t thread_count; /* records from here on were never taken */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t ending;
static bool is_open;

/* Runs as the thread ends.  A call from a destructor that comes later registers it again, and this runs again. */
static void unregister(void *record) {
    il_thread *self = record;
    (void)il_deadline_set(0);
    il_self = NULL;
    __atomic_store_n(&self->current, NULL, __ATOMIC_RELEASE);
    (void)pthread_mutex_lock(&lock);
    self->is_taken = false;
    (void)pthread_mutex_unlock(&lock);
}

il_thread *il_thread_register(void) {
    if (!is_open) return NULL;
    (void)pthread_mutex_lock(&lock);
    uint32_t i = 0;
    while (i < thread_count && threads[i].is_taken) i++;
    if (i < IL_THREADS_MAX && pthread_setspecific(ending, &threads[i]) == 0) {
        threads[i].wants = 0;
        threads[i].stack_limit = il_stack_low() + IL_STACK_ROOM_BYTES;
        threads[i].handle = pthread_self();
        threads[i].is_taken = true;
        if (i == thread_count) __atomic_store_n(&thread_count, i + 1, __ATOMIC_SEQ_CST);
        il_self = &threads[i];
    }
    (void)pthread_mutex_unlock(&lock);
    return il_self;
}

static bool is_any_inside(void) {
    const uint32_t count = __atomic_load_n(&thread_count, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < count; i++)
        if (__atomic_load_n(&threads[i].current, __ATOMIC_SEQ_CST) != NULL) return true;
    return false;
}

bool il_is_running(void) {
    if (is_any_inside()) return true; /* without disturbing anyone */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (il_has_barrier && !il_barrier()) return true; /* unknown means yes */
    return is_any_inside();
}

/* Signals those that are inside, and again those that could not act upon it: whether all have. */
static bool nudge(bool is_first) {
    bool is_done = true;
    for (uint32_t i = 0; i < thread_count; i++) {
        il_thread *each = &threads[i];
        if (!each->is_taken || each == il_self || __atomic_load_n(&each->current, __ATOMIC_SEQ_CST) == NULL) continue;
        if (is_first) __atomic_store_n(&each->is_nudged, true, __ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&each->is_nudged, __ATOMIC_SEQ_CST)) continue;
        is_done = false;
        (void)pthread_kill(each->handle, IL_TIMER_SIGNAL);
    }
    return is_done;
}

il_status il_interrupt(void *const *contexts, uint32_t count) {
    enum { TRIES = 5000 };
    static const struct timespec pause = {.tv_nsec = 200000};
    for (uint32_t i = 0; i < count; i++)
        __atomic_store_n(il_interrupt_word((uint64_t)(uintptr_t)contexts[i]), 1, __ATOMIC_SEQ_CST);
    (void)pthread_mutex_lock(&lock);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* A thread that is entering now has been announced before, or finds the instance closed.  Without the barrier: it has its
     * own. */
    if (il_has_barrier) (void)il_barrier();
    bool is_done = nudge(true);
    for (uint32_t tries = 0; !is_done && tries < TRIES; tries++) {
        (void)nanosleep(&pause, NULL);
        is_done = nudge(false);
    }
    (void)pthread_mutex_unlock(&lock);
    return is_done ? IL_OK : il_fail(IL_SYSTEM, "a thread takes no signal", 0);
}

/* Of the threads that the child's memory tells of, only the one that forked is there. */
void il_threads_forget(void) {
    (void)pthread_mutex_init(&lock, NULL); /* one of them may have held it */
    for (uint32_t i = 0; i < thread_count; i++) {
        if (&threads[i] == il_self) continue;
        threads[i].current = NULL;
        threads[i].is_taken = false;
    }
    il_has_barrier = il_barrier_prepare();
    il_deadline_renew();
}

il_status il_threads_open(void) {
    if (is_open) return IL_OK;
    const int error_number = pthread_key_create(&ending, unregister);
    if (error_number != 0) return il_fail(IL_NO_MEMORY, "pthread_key_create", error_number);
    is_open = true;
    il_has_barrier = il_barrier_prepare();
    return IL_OK;
}
