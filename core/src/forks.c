/* forks.c - what a fork changes: the child's memory shows the parent's views, whose code goes on running in it, but the child talks
 * to a writer of its own, about a reservation of its own.
 *
 * The parent's writer goes on writing the views that both see.  Code that the parent retires is poison in the child too, and traps
 * there; but it must not be replaced by other code as long as a child may be inside.  So each reservation has a page, shared by all
 * who see its views, in which forks announce themselves.  What cannot be known for sure (more children than the page has places, a
 * child killed in its first instructions, a fork that failed) counts as a child that lives.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "library.h"
#include "validate.h"

enum { PROCESSES_MAX = 1000 };

typedef struct il_family {
    uint32_t begun, arrived; /* forks */
    pid_t processes[PROCESSES_MAX];
} il_family;
static il_family *families[IL_RESERVATIONS_MAX]; /* of the reservations in il_code_bases */

il_status il_forks_track(uint32_t reservation) {
    il_family *family = mmap(NULL, sizeof *family, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (family == MAP_FAILED) return il_fail(IL_NO_MEMORY, "mmap of a shared page", errno);
    families[reservation] = family;
    return IL_OK;
}

void il_forks_untrack(uint32_t reservation) {
    (void)munmap(families[reservation], sizeof **families);
    families[reservation] = NULL;
}

bool il_forks_live(uint32_t reservation) {
    il_family *family = families[reservation];
    if (__atomic_load_n(&family->begun, __ATOMIC_SEQ_CST) != __atomic_load_n(&family->arrived, __ATOMIC_SEQ_CST)) return true;
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        const pid_t process = __atomic_load_n(&family->processes[i], __ATOMIC_SEQ_CST);
        if (process == 0) continue;
        if (kill(process, 0) == 0 || errno != ESRCH) return true;
        __atomic_store_n(&family->processes[i], 0, __ATOMIC_SEQ_CST);
    }
    return false;
}

static bool announce(il_family *family, pid_t self) {
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        pid_t nobody = 0;
        if (__atomic_compare_exchange_n(&family->processes[i], &nobody, self, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return true;
    }
    return false;
}

static void before_fork(void) {
    il_region_lock();
    il_traps_lock();
    for (uint32_t i = 0; i < IL_RESERVATIONS_MAX && families[i] != NULL; i++)
        (void)__atomic_fetch_add(&families[i]->begun, 1, __ATOMIC_SEQ_CST);
}

static void in_parent(void) {
    il_traps_unlock();
    il_region_unlock();
}

static void in_child(void) {
    const pid_t self = getpid();
    for (uint32_t i = 0; i < IL_RESERVATIONS_MAX && families[i] != NULL; i++)
        if (announce(families[i], self)) (void)__atomic_fetch_add(&families[i]->arrived, 1, __ATOMIC_SEQ_CST);
    il_region_forget();
    il_validate_forget();
    il_threads_forget();
    in_parent();
}

/* When the library is loaded, so that no lock can be held by a fork that does not know of it. */
static bool is_prepared;
__attribute__((constructor)) static void prepare(void) { is_prepared = pthread_atfork(before_fork, in_parent, in_child) == 0; }

bool il_forks_prepared(void) {
    if (!is_prepared) prepare();
    return is_prepared;
}
