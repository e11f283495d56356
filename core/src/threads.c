/* threads.c - who is inside published code.
 *
 * Who enters: 1 stores its activation, 2 (compiler barrier), 3 loads the address from the funcref.  Who reclaims: 1 unlinks the code,
 * 2 makes all threads execute a full barrier, 3 reads every record.  That barrier comes after the other's store, which is then
 * seen, or before it and so before its load, which then finds nothing to enter (docs/decisions/0009).
 */
#include "threads.h"

#include <pthread.h>
#include <stddef.h>

#include "calls.h"

_Thread_local il_thread *il_self __attribute__((tls_model("initial-exec")));
bool il_has_barrier;

/* Not allocated: pages of threads that never come are never touched. */
static il_thread threads[IL_THREADS_MAX];
static uint32_t thread_count; /* records from here on were never taken */
static pthread_key_t ending;
static bool is_open;

/* Runs as the thread ends.  A call from a destructor that comes later registers it again, and this runs again. */
static void unregister(void *record) {
    il_thread *self = record;
    (void)il_deadline_set(0);
    il_self = NULL;
    __atomic_store_n(&self->current, NULL, __ATOMIC_RELEASE);
    __atomic_store_n(&self->is_taken, false, __ATOMIC_RELEASE);
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

/* Of the threads that the child's memory tells of, only the one that forked is there. */
static void forget_others(void) {
    for (uint32_t i = 0; i < thread_count; i++) {
        if (&threads[i] == il_self) continue;
        threads[i].current = NULL;
        threads[i].is_taken = false;
    }
    if (il_self != NULL) il_self->system_id = il_thread_system_id();
    il_has_barrier = il_barrier_prepare();
    il_deadline_renew();
}

static void open_once(void) {
    if (pthread_key_create(&ending, unregister) != 0) return;
    is_open = pthread_atfork(NULL, NULL, forget_others) == 0;
    il_has_barrier = is_open && il_barrier_prepare();
}

il_status il_threads_open(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, open_once);
    return is_open ? IL_OK : il_fail(IL_NO_MEMORY, "pthread_key_create, pthread_atfork", 0);
}

il_thread *il_thread_register(void) {
    for (uint32_t i = 0; il_threads_open() == IL_OK && il_self == NULL && i < IL_THREADS_MAX; i++) {
        bool is_taken = false;
        if (!__atomic_compare_exchange_n(&threads[i].is_taken, &is_taken, true, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
        uint32_t count = __atomic_load_n(&thread_count, __ATOMIC_SEQ_CST);
        while (count <= i && !__atomic_compare_exchange_n(&thread_count, &count, i + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
        threads[i].wants = 0;
        threads[i].stack_limit = il_stack_low() + IL_STACK_ROOM_BYTES;
        __atomic_store_n(&threads[i].system_id, il_thread_system_id(), __ATOMIC_SEQ_CST);
        (void)pthread_setspecific(ending, &threads[i]); /* if it fails, the record stays taken: one fewer */
        il_self = &threads[i];
    }
    return il_self;
}
