/* mprotect_pair.c - what a JIT without a separate writer does: open a write window, copy, close it.  The peer of a publish. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* Nanoseconds a round, or -1. */
__attribute__((visibility("default"))) double mprotect_pair(size_t bytes, uint32_t rounds) {
    static const uint8_t code[1 << 16] = {0xc3};
    const size_t view = 1 << 20;
    uint8_t *at = mmap(NULL, view, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || bytes > sizeof code) return -1;
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint32_t i = 0; i < rounds; i++) {
        uint8_t *slot = at + (i % 16) * (1 << 16);
        if (mprotect(slot, 1 << 16, PROT_READ | PROT_WRITE) != 0) return -1;
        memcpy(slot, code, bytes);
        if (mprotect(slot, 1 << 16, PROT_READ | PROT_EXEC) != 0) return -1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    munmap(at, view);
    return ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) / rounds;
}
