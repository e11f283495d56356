/* stress_test.c - publishing, retiring, calling, trapping, interrupting, ending and forking threads, all at once, for a while.
 *
 *     stress_test WRITER SECONDS [with-fork]
 *
 * Every function returns a number which tells its slot and its generation, so that a thread which enters code that was reused
 * under it is found out by what it gets.  Exits 0 and says what happened how often, or says what does not hold.
 * Run by tests/core/test_stress.py: plainly, and under ThreadSanitizer (thread_sanitizer.c).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "interlock.h"

#define CHECK(claim)                                                              \
    do {                                                                          \
        if (!(claim)) {                                                           \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #claim);     \
            abort();                                                              \
        }                                                                         \
    } while (0)

enum { SLOTS = 64, GENERATIONS = 1 << 16, PUBLISHERS = 2, CALLERS = 3, LOOPERS = 2, CODE_BYTES = 16, ADVANCE_BYTES = 4096 };
typedef enum event { PUBLISHED, CALLED, CLOSED, RETIRED_UNDER, TRAPPED, INTERRUPTED, TIMED_OUT, ENDED, FORKED, EVENTS } event;
static const char *const event_names[EVENTS] = {"published", "called", "closed", "retired while it ran", "trapped",
                                                "interrupted", "timed out", "threads ended", "forked"};
static uint64_t counts[EVENTS];
static bool is_over;
static uint32_t pausing; /* publishers that wait for a moment in which nobody is inside */

typedef struct slot {
    pthread_mutex_t lock; /* of publishers */
    il_funcref function;
    il_code code;
    uint32_t generation;
} slot;
static slot slots[SLOTS];
static il_arena arena;
static il_exec shared = {.stack_limit = UINT64_MAX, .is_shared = true};
static il_funcref trap_function, loop_function;

static void count(event what) { (void)__atomic_fetch_add(&counts[what], 1, __ATOMIC_RELAXED); }

static bool goes_on(void) { return !__atomic_load_n(&is_over, __ATOMIC_SEQ_CST); }

static void sleep_for(uint32_t microseconds) {
    const struct timespec time = {.tv_nsec = (long)microseconds * 1000};
    (void)nanosleep(&time, NULL);
}

/* What was retired becomes room only when no thread is inside (docs/decisions/0009): whoever calls lets that happen. */
static bool goes_on_calling(void) {
    while (__atomic_load_n(&pausing, __ATOMIC_SEQ_CST) != 0) sleep_for(50);
    return goes_on();
}

static uint32_t draw(uint64_t *seed, uint32_t below) {
    *seed ^= *seed << 13, *seed ^= *seed >> 7, *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 11) % below;
}

static uint64_t seed_of(const void *argument) { return 88172645463325252u + (uint64_t)(uintptr_t)argument * 2654435761u; }

/* Publishes machine code; when the arena is full of what was retired, all others pause. */
static uint64_t publish(const uint8_t *code, uint32_t bytes, il_code *code_out) {
    const uint32_t entry = 0;
    const il_image image = {.arch = IL_ARCH_X86_64, .code_bytes = bytes, .code = code, .entry_count = 1, .entries = &entry};
    uint64_t address = 0;
    il_verdict verdict;
    il_status status = il_publish(arena, &image, code_out, &address, &verdict);
    if (status == IL_OK) return address;
    (void)__atomic_fetch_add(&pausing, 1, __ATOMIC_SEQ_CST);
    for (uint32_t tries = 0; status != IL_OK && tries < 1000000; tries++) {
        CHECK(status == IL_NO_MEMORY);
        sleep_for(20);
        status = il_publish(arena, &image, code_out, &address, &verdict);
    }
    (void)__atomic_fetch_sub(&pausing, 1, __ATOMIC_SEQ_CST);
    CHECK(status == IL_OK);
    return address;
}

/* endbr64; mov eax, number; ret */
static uint64_t publish_number(uint32_t number, il_code *code_out) {
    uint8_t code[CODE_BYTES] = {0xf3, 0x0f, 0x1e, 0xfa, 0xb8, 0, 0, 0, 0, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc};
    memcpy(code + 5, &number, sizeof number);
    return publish(code, 10, code_out);
}

/* ---- What the threads do --------------------------------------------------------------------------------------------------- */
static void renew(uint32_t at) {
    slot *each = &slots[at];
    static uint64_t context[3];
    (void)pthread_mutex_lock(&each->lock);
    __atomic_store_n(&each->function.vmctx, NULL, __ATOMIC_SEQ_CST);
    if (each->code != 0) CHECK(il_retire(each->code) == IL_OK);
    const uint32_t generation = (each->generation + 1) % GENERATIONS;
    const uint64_t address = publish_number(at * GENERATIONS + generation, &each->code);
    __atomic_store_n(&each->generation, generation, __ATOMIC_SEQ_CST);
    __atomic_store_n(&each->function.code, address, __ATOMIC_SEQ_CST);
    __atomic_store_n(&each->function.vmctx, (void *)context, __ATOMIC_SEQ_CST);
    (void)pthread_mutex_unlock(&each->lock);
    count(PUBLISHED);
}

static void *publishes(void *argument) {
    for (uint64_t seed = seed_of(argument); goes_on();) renew(draw(&seed, SLOTS));
    return NULL;
}

static void call_slot(uint32_t at) {
    il_registers regs = {.stack_count = 0};
    il_trap trap;
    const uint32_t before = __atomic_load_n(&slots[at].generation, __ATOMIC_SEQ_CST);
    const il_status status = il_call(&shared, &slots[at].function, &regs, &trap);
    if (status == IL_STALE) return count(CLOSED);
    if (status == IL_TRAPPED) {
        CHECK(trap.kind == IL_TRAP_CODE_RETIRED);
        return count(RETIRED_UNDER);
    }
    CHECK(status == IL_OK);
    const uint32_t after = __atomic_load_n(&slots[at].generation, __ATOMIC_SEQ_CST), found = (uint32_t)regs.integer[0];
    CHECK(found / GENERATIONS == at);
    /* Published after it is known to be, so one more than `after` may have been called. */
    CHECK((found - before) % GENERATIONS <= (after - before) % GENERATIONS + 1);
    count(CALLED);
}

static void call_trap(void) {
    il_registers regs = {.stack_count = 0};
    il_trap trap;
    CHECK(il_call(&shared, &trap_function, &regs, &trap) == IL_TRAPPED && trap.kind == IL_TRAP_UNREACHABLE);
    count(TRAPPED);
}

static void *calls(void *argument) {
    for (uint64_t seed = seed_of(argument); goes_on_calling();) {
        if (draw(&seed, 16) == 0) call_trap();
        else call_slot(draw(&seed, SLOTS));
    }
    return NULL;
}

/* A thread in an endless loop, and the one that ends it. */
typedef struct looper {
    uint64_t context[3];
    il_funcref function;
    uint32_t round; /* odd: the loop may be interrupted; even: the looper has come back */
} looper;
static looper loopers[LOOPERS];

static void *loops(void *argument) {
    looper *self = argument;
    while (goes_on_calling()) {
        il_registers regs = {.stack_count = 0};
        il_trap trap;
        self->context[2] = 0;
        self->function.code = loop_function.code;
        __atomic_store_n(&self->function.vmctx, (void *)self->context, __ATOMIC_SEQ_CST);
        __atomic_store_n(&self->round, self->round + 1, __ATOMIC_SEQ_CST);
        const il_status status = il_call(&shared, &self->function, &regs, &trap);
        if (status == IL_TRAPPED) CHECK(trap.kind == IL_TRAP_INTERRUPTED);
        else CHECK(status == IL_STALE);
        count(status == IL_TRAPPED ? INTERRUPTED : CLOSED);
        /* The other has returned too: il_interrupt may still be looking at the context. */
        while ((__atomic_load_n(&self->round, __ATOMIC_SEQ_CST) & 1) != 0) sleep_for(10);
    }
    return NULL;
}

static void *interrupts(void *argument) {
    looper *other = argument;
    void *const context = other->context;
    for (uint64_t seed = seed_of(argument);;) {
        for (uint32_t tries = 0; (__atomic_load_n(&other->round, __ATOMIC_SEQ_CST) & 1) == 0; tries++) {
            if (!goes_on() && tries > 10000) return NULL;
            sleep_for(10);
        }
        if (draw(&seed, 2) == 0) sleep_for(draw(&seed, 200));
        __atomic_store_n(&other->function.vmctx, NULL, __ATOMIC_SEQ_CST);
        CHECK(il_interrupt(&context, 1) == IL_OK);
        __atomic_store_n(&other->round, other->round + 1, __ATOMIC_SEQ_CST);
    }
}

static void run_into_deadline(uint32_t microseconds) {
    il_registers regs = {.stack_count = 0};
    il_trap trap;
    CHECK(il_deadline_set((uint64_t)microseconds * 1000 + 1) == IL_OK);
    CHECK(il_call(&shared, &loop_function, &regs, &trap) == IL_TRAPPED && trap.kind == IL_TRAP_INTERRUPTED);
    CHECK(il_is_interrupted());
    CHECK(il_deadline_set(0) == IL_OK);
    CHECK(!il_is_interrupted());
    count(TIMED_OUT);
}

static void *times_out(void *argument) {
    for (uint64_t seed = seed_of(argument); goes_on_calling();) run_into_deadline(draw(&seed, 500));
    return NULL;
}

static void *calls_once(void *argument) {
    uint64_t seed = seed_of(argument);
    call_slot(draw(&seed, SLOTS));
    if (draw(&seed, 2) == 0) CHECK(il_deadline_set(1000000000) == IL_OK); /* not taken back: the end of the thread does */
    return NULL;
}

static void *ends_threads(void *argument) {
    for (uint64_t number = 1; goes_on_calling(); number++) {
        pthread_t thread;
        (void)argument;
        CHECK(pthread_create(&thread, NULL, calls_once, (void *)(uintptr_t)number) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        count(ENDED);
    }
    return NULL;
}

/* What is published runs in the child, with deadlines of its own, and nobody else is inside. */
static void *forks(void *argument) {
    (void)argument;
    while (goes_on_calling()) {
        CHECK(il_deadline_set(UINT64_C(1) << 62) == IL_OK);
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            CHECK(!il_is_running());
            for (uint32_t at = 0; at < SLOTS; at++) call_slot(at);
            call_trap();
            run_into_deadline(100);
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        CHECK(il_deadline_set(0) == IL_OK);
        count(FORKED);
        sleep_for(2000);
    }
    return NULL;
}

/* ---- Start and end --------------------------------------------------------------------------------------------------------- */
static uint64_t used_bytes(void) {
    il_region_info info;
    CHECK(il_region_describe(&info) == IL_OK);
    return info.code_bytes_used;
}

static void start(const char *writer) {
    /* endbr64; ud1 eax, [eax + 1]: llvm.ubsantrap(1) / endbr64; jmp to itself */
    static const uint8_t trap[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x67, 0x0f, 0xb9, 0x40, 0x01, 0xc3}, loop[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xeb, 0xfe};
    static uint64_t context[3];
    il_code code;
    CHECK(il_region_open(writer) == IL_OK && il_traps_install() == IL_OK);
    CHECK(il_arena_open(NULL, 0, NULL, 1 << 20, &arena) == IL_OK);
    trap_function = (il_funcref){publish(trap, sizeof trap, &code), context, 1};
    loop_function = (il_funcref){publish(loop, sizeof loop, &code), context, 1};
    for (uint32_t at = 0; at < SLOTS; at++) {
        CHECK(pthread_mutex_init(&slots[at].lock, NULL) == 0);
        renew(at);
    }
}

int main(int argc, char **argv) {
    enum { THREADS_MAX = 32 };
    CHECK(argc >= 3);
    pthread_t threads[THREADS_MAX];
    uint32_t thread_count = 0;
    start(argv[1]);
    const uint64_t used = used_bytes();
#define START(function, argument) CHECK(pthread_create(&threads[thread_count++], NULL, function, argument) == 0)
    for (uintptr_t i = 0; i < PUBLISHERS; i++) START(publishes, (void *)(i + 1));
    for (uintptr_t i = 0; i < CALLERS; i++) START(calls, (void *)(i + 11));
    for (uint32_t i = 0; i < LOOPERS; i++) START(loops, &loopers[i]);
    for (uint32_t i = 0; i < LOOPERS; i++) START(interrupts, &loopers[i]);
    START(times_out, (void *)21);
    START(ends_threads, NULL);
    if (argc > 3) START(forks, NULL);
    (void)sleep((unsigned)atoi(argv[2]));
    __atomic_store_n(&is_over, true, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < thread_count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(!il_is_running());
    renew(0); /* nobody is inside: all that was retired is free again, but what this retires */
    renew(0);
    CHECK(used_bytes() <= used + 2 * ADVANCE_BYTES);
    for (event what = 0; what < EVENTS; what++) printf("%s %llu\n", event_names[what], (unsigned long long)counts[what]);
    return 0;
}
