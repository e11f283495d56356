/* gates.c - what lowered code may call besides the host: bulk operations on memories and tables (docs/internals/abi.md).
 *
 * Ranges are checked as the standard says: the whole range first, a trap before anything is written.  Then the work is done in
 * slices, and between two of them an interrupt ends it (the instance is closed then, so nobody sees what is half done).  Other
 * threads may run in the same instance: lengths are read once, and only grow.
 */
#include <stddef.h>
#include <string.h>

#include "calls.h"

#define CALLER_PC ((uint64_t)(uintptr_t)__builtin_return_address(0) - 1)

enum { SLICE_BYTES = 4 << 20 }; /* a few milliseconds, new pages included */

static bool is_inside(uint64_t start, uint64_t count, uint64_t length) { return count <= length && start <= length - count; }

static inline void begin(void) { il_current()->is_in_host = IL_IN_GATE; }

/* Overlapping ranges are moved from the end at which nothing is overwritten that is still to be read. */
static void move(void *dst, const void *src, uint64_t n, uint64_t pc) {
    const bool is_forward = (uintptr_t)dst <= (uintptr_t)src;
    for (uint64_t done = 0, slice; done < n; done += slice) {
        slice = n - done < SLICE_BYTES ? n - done : SLICE_BYTES;
        const uint64_t at = is_forward ? done : n - done - slice;
        memmove((uint8_t *)dst + at, (const uint8_t *)src + at, slice);
        il_pause(pc);
    }
}

static void set(il_funcref **elems, il_funcref *value, uint64_t n, uint64_t pc) {
    for (uint64_t i = 0; i < n; i++) {
        elems[i] = value;
        if (i % (SLICE_BYTES / sizeof *elems) == 0) il_pause(pc);
    }
}

static int64_t gate_memory_grow(void *vmctx, il_memory *memory, uint64_t delta_pages) {
    (void)vmctx;
    begin();
    const int64_t previous = il_memory_grow(memory, delta_pages);
    il_resume(CALLER_PC);
    return previous;
}

static void gate_memory_fill(void *vmctx, il_memory *memory, uint64_t dst, uint32_t value, uint64_t n) {
    (void)vmctx;
    begin();
    if (!is_inside(dst, n, memory->length_bytes)) il_end(IL_TRAP_MEMORY_OUT_OF_BOUNDS, CALLER_PC);
    for (uint64_t done = 0, slice; done < n; done += slice) {
        slice = n - done < SLICE_BYTES ? n - done : SLICE_BYTES;
        memset(memory->base + dst + done, (int)(value & 0xff), slice);
        il_pause(CALLER_PC);
    }
    il_resume(CALLER_PC);
}

static void gate_memory_copy(void *vmctx, il_memory *dst_memory, il_memory *src_memory, uint64_t dst, uint64_t src, uint64_t n) {
    (void)vmctx;
    begin();
    if (!is_inside(dst, n, dst_memory->length_bytes) || !is_inside(src, n, src_memory->length_bytes))
        il_end(IL_TRAP_MEMORY_OUT_OF_BOUNDS, CALLER_PC);
    move(dst_memory->base + dst, src_memory->base + src, n, CALLER_PC);
    il_resume(CALLER_PC);
}

static void gate_memory_init(void *vmctx, il_memory *memory, il_segment *segment, uint64_t dst, uint64_t src, uint64_t n) {
    (void)vmctx;
    begin();
    if (!is_inside(dst, n, memory->length_bytes) || !is_inside(src, n, segment->length))
        il_end(IL_TRAP_MEMORY_OUT_OF_BOUNDS, CALLER_PC);
    if (n != 0) move(memory->base + dst, (const uint8_t *)segment->start + src, n, CALLER_PC);
    il_resume(CALLER_PC);
}

/* data.drop and elem.drop: what start points to belongs to the embedder, and another thread may be reading it. */
static void gate_segment_drop(void *vmctx, il_segment *segment) {
    (void)vmctx;
    segment->length = 0;
}

static void gate_table_init(void *vmctx, il_table *table, il_segment *segment, uint64_t dst, uint64_t src, uint64_t n) {
    (void)vmctx;
    begin();
    if (!is_inside(dst, n, table->length) || !is_inside(src, n, segment->length))
        il_end(IL_TRAP_TABLE_OUT_OF_BOUNDS, CALLER_PC);
    if (n != 0) move(table->elems + dst, (il_funcref *const *)segment->start + src, n * sizeof *table->elems, CALLER_PC);
    il_resume(CALLER_PC);
}

static void gate_table_copy(void *vmctx, il_table *dst_table, il_table *src_table, uint64_t dst, uint64_t src, uint64_t n) {
    (void)vmctx;
    begin();
    if (!is_inside(dst, n, dst_table->length) || !is_inside(src, n, src_table->length))
        il_end(IL_TRAP_TABLE_OUT_OF_BOUNDS, CALLER_PC);
    move(dst_table->elems + dst, src_table->elems + src, n * sizeof *dst_table->elems, CALLER_PC);
    il_resume(CALLER_PC);
}

static void gate_table_fill(void *vmctx, il_table *table, uint64_t dst, il_funcref *value, uint64_t n) {
    (void)vmctx;
    begin();
    if (!is_inside(dst, n, table->length)) il_end(IL_TRAP_TABLE_OUT_OF_BOUNDS, CALLER_PC);
    set(table->elems + dst, value, n, CALLER_PC);
    il_resume(CALLER_PC);
}

/* The new elements are written before anyone can look at them; who lost a race against another thread's growth writes on. */
static int64_t gate_table_grow(void *vmctx, il_table *table, il_funcref *value, uint64_t delta) {
    (void)vmctx;
    begin();
    uint64_t length = __atomic_load_n(&table->length, __ATOMIC_SEQ_CST);
    bool is_possible;
    do {
        is_possible = delta <= table->maximum - length;
        if (is_possible) set(table->elems + length, value, delta, CALLER_PC);
    } while (is_possible &&
             !__atomic_compare_exchange_n(&table->length, &length, length + delta, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    il_resume(CALLER_PC);
    return is_possible ? (int64_t)length : -1;
}

#define gate_data_drop gate_segment_drop
#define gate_elem_drop gate_segment_drop
#define gate_host_call il_gate_host_call
#define gate_compile il_gate_compile
#define gate_stack_check il_gate_stack_check

#define IL_GATE(index, name) #name,
static const char *const names[] = {
#include "interlock/gates.def"
};
#undef IL_GATE
enum { GATES = sizeof names / sizeof *names };

uint64_t il_gate_addr(const char *name) {
    if (name == NULL) return 0;
#define IL_GATE(index, gate) if (strcmp(name, #gate) == 0) return (uint64_t)(uintptr_t)gate_##gate;
#include "interlock/gates.def"
#undef IL_GATE
    return 0;
}

uint32_t il_gate_count(void) { return GATES; }

const char *il_gate_name(uint32_t index) { return index < GATES ? names[index] : NULL; }
