/* cache_linux.c - AArch64 Linux: caches of data and of instructions are not coherent; the kernel lets programs maintain them. */
#include "arch.h"

enum { DCACHE_LINE = 16, ICACHE_LINE = 0 }; /* fields of CTR_EL0 */

static uint64_t line_bytes(int field) {
    uint64_t ctr;
    __asm__ volatile("mrs %0, ctr_el0" : "=r"(ctr));
    return UINT64_C(4) << (ctr >> field & 15);
}

/* To the point of unification, where data and instruction fetches meet.  A mapping of the same bytes elsewhere may have
 * instructions in lines of its own: il_cache_drop. */
void il_cache_clean(const uint8_t *start, uint64_t bytes) {
    const uint64_t line = line_bytes(DCACHE_LINE), end = (uint64_t)(uintptr_t)start + bytes;
    for (uint64_t at = (uint64_t)(uintptr_t)start & -line; at < end; at += line) __asm__ volatile("dc cvau, %0" ::"r"(at) : "memory");
    __asm__ volatile("dsb ish" ::: "memory");
    il_cache_drop(start, bytes);
}

void il_cache_drop(const uint8_t *start, uint64_t bytes) {
    const uint64_t line = line_bytes(ICACHE_LINE), end = (uint64_t)(uintptr_t)start + bytes;
    for (uint64_t at = (uint64_t)(uintptr_t)start & -line; at < end; at += line) __asm__ volatile("ic ivau, %0" ::"r"(at) : "memory");
    __asm__ volatile("dsb ish\n\tisb" ::: "memory");
}
