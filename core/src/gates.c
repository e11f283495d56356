/* gates.c - what lowered code may call besides the host: bulk operations on memories and tables (docs/internals/abi.md).
 *
 * Ranges are checked as the standard says: the whole range first, a trap before anything is written.  Then the work is done in
 * slices, and between two of them an interrupt ends it (the instance is closed then, so nobody sees what is half done).  Other
 * threads may run in the same instance: lengths are read once, and only grow.
 */
#include <string.h>

#include "library.h"

#define CALLER_PC ((uint64_t)(uintptr_t)__builtin_return_address(0) - 1)

enum { SLICE_BYTES = 4 << 20 }; /* a few milliseconds, new pages included */

static bool is_inside(uint64_t start, uint64_t count, uint64_t length) { return count <= length && start <= length - count; }

/* How il_memory, il_table and il_segment begin; a table's length is in elements. */
typedef struct range { uint8_t *start; uint64_t length; } range;
_Static_assert(offsetof(il_memory, length_bytes) == 8 && offsetof(il_table, length) == 8 && offsetof(il_segment, length) == 8, "range");

static inline void begin(void *vmctx) {
    (void)vmctx;
    il_current()->is_in_host = IL_IN_GATE;
}

/* Overlapping ranges are moved from the end at which nothing is overwritten that is still to be read. */
static void copy(const range *dst_range, const range *src_range, uint64_t dst, uint64_t src, uint64_t n, uint64_t width,
                 il_trap_kind kind, uint64_t pc) {
    if (!is_inside(dst, n, dst_range->length) || !is_inside(src, n, src_range->length)) il_end(kind, pc);
    const uint64_t bytes = n * width;
    const bool is_forward = (uintptr_t)dst_range->start + dst * width <= (uintptr_t)src_range->start + src * width;
    for (uint64_t done = 0, slice; done < bytes; done += slice) {
        slice = bytes - done < SLICE_BYTES ? bytes - done : SLICE_BYTES;
        const uint64_t at = is_forward ? done : bytes - done - slice;
        memmove(dst_range->start + dst * width + at, src_range->start + src * width + at, slice);
        il_pause(pc);
    }
    il_resume(pc);
}

static void set(il_funcref **elems, il_funcref *value, uint64_t n, uint64_t pc) {
    for (uint64_t i = 0; i < n; i++) {
        elems[i] = value;
        if (i % (SLICE_BYTES / sizeof *elems) == 0) il_pause(pc);
    }
}

static int64_t gate_memory_grow(void *vmctx, il_memory *memory, uint64_t delta_pages) {
    begin(vmctx);
    const int64_t previous = il_memory_grow(memory, delta_pages);
    il_resume(CALLER_PC);
    return previous;
}

static void gate_memory_fill(void *vmctx, il_memory *memory, uint64_t dst, uint32_t value, uint64_t n) {
    begin(vmctx);
    if (!is_inside(dst, n, memory->length_bytes)) il_end(IL_TRAP_MEMORY_OUT_OF_BOUNDS, CALLER_PC);
    for (uint64_t done = 0, slice; done < n; done += slice) {
        slice = n - done < SLICE_BYTES ? n - done : SLICE_BYTES;
        memset(memory->base + dst + done, (int)(value & 0xff), slice);
        il_pause(CALLER_PC);
    }
    il_resume(CALLER_PC);
}

/* memory.copy, and memory.init from a segment. */
static void gate_memory_copy(void *vmctx, const range *dst_range, const range *src_range, uint64_t dst, uint64_t src, uint64_t n) {
    begin(vmctx);
    copy(dst_range, src_range, dst, src, n, 1, IL_TRAP_MEMORY_OUT_OF_BOUNDS, CALLER_PC);
}

/* data.drop and elem.drop: what start points to belongs to the embedder, and another thread may be reading it. */
static void gate_segment_drop(void *vmctx, il_segment *segment) {
    (void)vmctx;
    segment->length = 0;
}

/* table.copy and table.init. */
static void gate_table_copy(void *vmctx, const range *dst_range, const range *src_range, uint64_t dst, uint64_t src, uint64_t n) {
    begin(vmctx);
    copy(dst_range, src_range, dst, src, n, sizeof(il_funcref *), IL_TRAP_TABLE_OUT_OF_BOUNDS, CALLER_PC);
}

static void gate_table_fill(void *vmctx, il_table *table, uint64_t dst, il_funcref *value, uint64_t n) {
    begin(vmctx);
    if (!is_inside(dst, n, table->length)) il_end(IL_TRAP_TABLE_OUT_OF_BOUNDS, CALLER_PC);
    set(table->elems + dst, value, n, CALLER_PC);
    il_resume(CALLER_PC);
}

/* The new elements are written before anyone can look at them; who lost a race against another thread's growth writes on. */
static int64_t gate_table_grow(void *vmctx, il_table *table, il_funcref *value, uint64_t delta) {
    begin(vmctx);
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

#define gate_memory_init gate_memory_copy
#define gate_table_init gate_table_copy
#define gate_data_drop gate_segment_drop
#define gate_elem_drop gate_segment_drop
#define gate_host_call il_gate_host_call
#define gate_compile il_gate_compile
#define gate_stack_check il_gate_stack_check

const char *il_gate(uint32_t index, uint64_t *address_out) {
    switch (index) {
#define IL_GATE(index, name) case index: return *address_out = (uint64_t)(uintptr_t)gate_##name, #name;
#include "interlock/gates.def"
#undef IL_GATE
    default: return NULL;
    }
}
