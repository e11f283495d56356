/* threads.c - threads run code while others write it.
 *
 *     threads run        executing threads wait for writers and go on; prints how many calls gave a wrong number
 *     threads deadlock   a writer waits for a thread that executes
 *     threads ended      a thread ends in RW state; the others are not kept waiting
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "machine_code.h"

enum { READERS = 3, WRITERS = 2, ROUNDS = 300, SLOT_BYTES = 64 };

static unsigned char *region;
static atomic_int running = WRITERS;
static atomic_int wrong;

/* Writers own different functions, so that no code is half written where a reader calls it. */
static void *write_functions(void *argument) {
    uintptr_t writer = (uintptr_t)argument;
    for (uint16_t round = 1; round <= ROUNDS; round++) {
        unsigned char *slot = region + ((size_t)round * WRITERS + writer) * SLOT_BYTES;
        pthread_jit_write_protect_np(0);
        make_function(slot, round);
        pthread_jit_write_protect_np(1);
        sys_icache_invalidate(slot, FUNCTION_BYTES);
        atomic_fetch_add(&wrong, call_function(slot) != round);
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* With all signals blocked, as many programs have their workers: waiting for a writer must not need one. */
static void *call_functions(void *argument) {
    sigset_t all;
    (void)argument;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    do {
        atomic_fetch_add(&wrong, call_function(region) != 7);
    } while (atomic_load(&running) > 0);
    return NULL;
}

static void *open_and_end(void *argument) {
    (void)argument;
    pthread_jit_write_protect_np(0);
    return NULL;
}

static int run_all(void) {
    pthread_t threads[READERS + WRITERS];
    for (uintptr_t i = 0; i < READERS + WRITERS; i++) {
        void *(*work)(void *) = i < WRITERS ? write_functions : call_functions;
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) {
            return EXIT_FAILURE;
        }
    }
    for (int i = 0; i < READERS + WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("wrong: %d\n", wrong);
    return EXIT_SUCCESS;
}

int main(int count, char **words) {
    pthread_t other;
    region = map_jit((ROUNDS + 2) * WRITERS * SLOT_BYTES);
    pthread_jit_write_protect_np(0);
    make_function(region, 7);
    pthread_jit_write_protect_np(1);
    sys_icache_invalidate(region, FUNCTION_BYTES);
    if (count > 1 && strcmp(words[1], "run") == 0) {
        return run_all();
    }
    atomic_store(&running, 0);
    if (count > 1 && strcmp(words[1], "deadlock") == 0) {
        pthread_jit_write_protect_np(0);
        pthread_create(&other, NULL, call_functions, NULL);
    } else {
        pthread_create(&other, NULL, open_and_end, NULL);
    }
    pthread_join(other, NULL);
    printf("%d\n", call_function(region));
    return EXIT_SUCCESS;
}
