/* publish.c - what it costs to publish, beside the code validator alone and beside the peer: a JIT that opens a write window over
 * its own code (mprotect), copies the same bytes and closes it.  Linked with libinterlock.
 *
 * Each has the whole of a 64 MiB region, places every image behind the last one, and is measured round by round, in turns.  Before
 * that both regions were used once from end to end (`warm`, as in a process that has retired code), or the first touch of every
 * page is part of what is measured (`fresh`).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "interlock.h"

enum { PAGE_BYTES = 4096, BATCH = 16, ROUNDS_MAX = 100000 };

typedef enum contestant { PAIR, VALIDATE, PUBLISH, CONTESTANTS } contestant;
static double samples[CONTESTANTS][ROUNDS_MAX];

static double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void require(int holds, const char *what) {
    il_failure failure;
    il_last_failure(&failure);
    if (holds) return;
    (void)fprintf(stderr, "publish: %s (%s, %d)\n", what, failure.operation != NULL ? failure.operation : "", failure.error_number);
    exit(1);
}

/* endbr64, then lea and add in turn (4 bytes an instruction on the average), nops to the end, ret. */
static void make_code(uint8_t *code, uint32_t bytes) {
    static const uint8_t body[] = {0x48, 0x8d, 0x84, 0xf7, 0x34, 0x12, 0, 0, 0x48, 0x01, 0xf8};
    memset(code, 0x90, bytes);
    memcpy(code, "\xf3\x0f\x1e\xfa", 4);
    for (uint32_t at = 4; at + sizeof body < bytes; at += sizeof body) memcpy(code + at, body, sizeof body);
    code[bytes - 1] = 0xc3;
}

static uint8_t *peer;
static uint64_t peer_at;

static void window(const uint8_t *code, uint32_t bytes) {
    if (peer_at + bytes > IL_CODE_VIEW_BYTES) peer_at = 0;
    uint8_t *to = peer + peer_at, *start = peer + peer_at / PAGE_BYTES * PAGE_BYTES;
    const size_t length = (size_t)(to + bytes - start);
    require(mprotect(start, length, PROT_READ | PROT_WRITE) == 0, "mprotect RW");
    memcpy(to, code, bytes);
    require(mprotect(start, length, PROT_READ | PROT_EXEC) == 0, "mprotect RX");
    peer_at += bytes;
}

static il_arena arena;

static void publish(const il_image *image) {
    il_code published;
    uint64_t address;
    il_verdict verdict;
    require(il_publish(arena, image, &published, &address, &verdict) == IL_OK, "il_publish");
}

static void open_arena(void) {
    require(il_arena_open(NULL, 0, NULL, IL_CODE_VIEW_BYTES, &arena) == IL_OK, "il_arena_open");
}

/* Frees all, as a JIT that throws its code away would; not measured. */
static void empty(void) {
    require(il_arena_close(arena) == IL_OK, "il_arena_close");
    open_arena();
}

/* In images of (about) the measured size, so that the writer's ledger has its pages too. */
static void warm(uint32_t bytes) {
    static uint8_t code[IL_IMAGE_CODE_BYTES_MAX];
    const uint32_t entry = 0, size = bytes < PAGE_BYTES ? PAGE_BYTES : bytes;
    const il_image image = {.arch = IL_ARCH_X86_64, .code_bytes = size, .entry_count = 1, .code = code, .entries = &entry};
    make_code(code, size);
    for (uint32_t i = 0; i < IL_CODE_VIEW_BYTES / size; i++) window(code, size), publish(&image);
    empty();
    peer_at = 0;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(contestant who, uint32_t count) {
    qsort(samples[who], count, sizeof(double), ascending);
    return samples[who][count / 2];
}

static void measure(contestant who, const il_image *image, double *sample_out) {
    il_verdict verdict;
    const double start = now_ns();
    if (who == PAIR) window(image->code, image->code_bytes);
    else if (who == PUBLISH) publish(image);
    else require(il_validate(image, NULL, 0, NULL, NULL, &verdict) == IL_OK, "il_validate");
    *sample_out = now_ns() - start;
}

/* publish WRITER SIZE ROUNDS warm|fresh: prints three medians in nanoseconds. */
int main(int count, char **arguments) {
    static uint8_t code[IL_IMAGE_CODE_BYTES_MAX];
    const uint32_t entry = 0;
    if (count != 5) return 2;
    const uint32_t bytes = (uint32_t)strtoul(arguments[2], NULL, 10), rounds = (uint32_t)strtoul(arguments[3], NULL, 10);
    const il_image image = {.arch = IL_ARCH_X86_64, .code_bytes = bytes, .entry_count = 1, .code = code, .entries = &entry};
    require(bytes <= sizeof code && rounds <= ROUNDS_MAX, "sizes");
    require(il_region_open(arguments[1]) == IL_OK, "il_region_open");
    peer = mmap(NULL, IL_CODE_VIEW_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(peer != MAP_FAILED, "mmap");
    make_code(code, bytes);
    open_arena();
    if (strcmp(arguments[4], "warm") == 0) warm(bytes);
    uint64_t filled = 0;
    for (uint32_t round = 0; round < rounds; round += BATCH) {
        if (filled + BATCH * (uint64_t)bytes > IL_CODE_VIEW_BYTES) empty(), filled = 0;
        for (contestant who = PAIR; who < CONTESTANTS; who++)
            for (uint32_t i = 0; i < BATCH && round + i < rounds; i++) measure(who, &image, &samples[who][round + i]);
        filled += BATCH * (uint64_t)bytes;
    }
    for (contestant who = PAIR; who < CONTESTANTS; who++) (void)printf("%.1f\n", median(who, rounds));
    return 0;
}
