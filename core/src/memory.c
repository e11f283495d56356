/* memory.c - linear memories and tables: reservations whose start never moves. */
#include <errno.h>
#include <sys/mman.h>

#include "library.h"

enum { PAGE_BYTES = 65536, SYSTEM_PAGE_BYTES = 4096 };
#define MEMORY_BYTES_MAX (UINT64_C(1) << 32)
/* A 32-bit address plus a 32-bit offset plus the widest access. */
#define MEMORY_RESERVED_BYTES ((UINT64_C(1) << 33) + PAGE_BYTES)
#define TABLE_ELEMENTS_MAX UINT64_C(10000000)

/* How many reservations touch each 4 GiB of the address space: what a fault handler can ask without a lock. */
enum { NEIGHBOURHOOD_LOG2 = 32, NEIGHBOURHOODS = 1 << 15 };
static uint8_t reservations[NEIGHBOURHOODS];

static void count_reservation(const il_memory *memory, int change) {
    const uint64_t start = (uint64_t)(uintptr_t)memory->base;
    for (uint64_t at = start >> NEIGHBOURHOOD_LOG2; at <= (start + memory->reserved_bytes - 1) >> NEIGHBOURHOOD_LOG2; at++)
        if (at < NEIGHBOURHOODS) (void)__atomic_fetch_add(&reservations[at], (uint8_t)change, __ATOMIC_SEQ_CST);
}

bool il_is_memory_addr(uint64_t addr) {
    const uint64_t at = addr >> NEIGHBOURHOOD_LOG2;
    return at < NEIGHBOURHOODS && __atomic_load_n(&reservations[at], __ATOMIC_SEQ_CST) != 0;
}

il_status il_memory_open(uint64_t minimum_bytes, uint64_t maximum_bytes, il_memory *memory_out) {
    if (memory_out == NULL || minimum_bytes % PAGE_BYTES != 0 || maximum_bytes % PAGE_BYTES != 0 || minimum_bytes > maximum_bytes ||
        maximum_bytes > MEMORY_BYTES_MAX)
        return il_fail(IL_INVALID_ARGUMENT, "sizes of a memory", 0);
    uint8_t *base = mmap(NULL, MEMORY_RESERVED_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return il_fail(IL_NO_MEMORY, "mmap of a memory", errno);
    if (minimum_bytes != 0 && mprotect(base, minimum_bytes, PROT_READ | PROT_WRITE) != 0) {
        const int error_number = errno;
        (void)munmap(base, MEMORY_RESERVED_BYTES);
        return il_fail(IL_NO_MEMORY, "mprotect of a memory", error_number);
    }
    *memory_out = (il_memory){base, minimum_bytes, maximum_bytes, MEMORY_RESERVED_BYTES};
    count_reservation(memory_out, 1);
    return IL_OK;
}

il_status il_memory_close(il_memory *memory) {
    if (memory == NULL || memory->base == NULL) return il_fail(IL_INVALID_ARGUMENT, "memory", 0);
    if (munmap(memory->base, memory->reserved_bytes) != 0) return il_fail(IL_SYSTEM, "munmap of a memory", errno);
    count_reservation(memory, -1);
    *memory = (il_memory){0};
    return IL_OK;
}

/* Two threads may grow it at once: each counts its own pages, which both have made accessible. */
int64_t il_memory_grow(il_memory *memory, uint64_t delta_pages) {
    uint64_t length = __atomic_load_n(&memory->length_bytes, __ATOMIC_SEQ_CST);
    do {
        if (delta_pages > (memory->maximum_bytes - length) / PAGE_BYTES) return -1;
        if (delta_pages != 0 && mprotect(memory->base + length, delta_pages * PAGE_BYTES, PROT_READ | PROT_WRITE) != 0) return -1;
    } while (!__atomic_compare_exchange_n(&memory->length_bytes, &length, length + delta_pages * PAGE_BYTES, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    return (int64_t)(length / PAGE_BYTES);
}

il_status il_table_open(uint64_t minimum, uint64_t maximum, il_table *table_out) {
    if (table_out == NULL || minimum > maximum || minimum > TABLE_ELEMENTS_MAX)
        return il_fail(IL_INVALID_ARGUMENT, "sizes of a table", 0);
    if (maximum > TABLE_ELEMENTS_MAX) maximum = TABLE_ELEMENTS_MAX;
    /* Readable at once: pages that no one writes cost nothing, and elements beyond the length are never looked at. */
    const uint64_t bytes = (maximum * sizeof(il_funcref *) + SYSTEM_PAGE_BYTES) & ~(uint64_t)(SYSTEM_PAGE_BYTES - 1);
    void *elems = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (elems == MAP_FAILED) return il_fail(IL_NO_MEMORY, "mmap of a table", errno);
    *table_out = (il_table){elems, minimum, maximum, bytes};
    return IL_OK;
}

il_status il_table_close(il_table *table) {
    if (table == NULL || table->elems == NULL) return il_fail(IL_INVALID_ARGUMENT, "table", 0);
    if (munmap(table->elems, table->reserved_bytes) != 0) return il_fail(IL_SYSTEM, "munmap of a table", errno);
    *table = (il_table){0};
    return IL_OK;
}
