/* lock.c - see lock.h; and what fork does to everything it guards. */
#include "lock.h"

#include <pthread.h>

#include "contract.h"
#include "memory_map.h"
#include "signals.h"
#include "thread.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sigset_t mask_before_fork;

void il_lock(sigset_t *mask_out) {
    sigset_t all;
    sigfillset(&all);
    il_kernel_mask(SIG_BLOCK, &all, mask_out);
    pthread_mutex_lock(&mutex);
}

void il_unlock(const sigset_t *mask) {
    pthread_mutex_unlock(&mutex);
    il_kernel_mask(SIG_SETMASK, mask, NULL);
}

static void before_fork(void) {
    sigset_t mask;
    il_lock(&mask);
    mask_before_fork = mask; /* one at a time: the lock is held */
}

static void after_fork_in_parent(void) {
    sigset_t mask = mask_before_fork;
    il_unlock(&mask);
}

static void after_fork_in_child(void) {
    sigset_t mask = mask_before_fork;
    if (il_effect(IL_RULE_K1, IL_EFFECT_SIGNAL) != NULL) {
        il_map_lose_jit();
    }
    pthread_mutex_init(&mutex, NULL); /* its owner is a thread of the parent */
    il_thread_forked();
    il_kernel_mask(SIG_SETMASK, &mask, NULL);
}

__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
