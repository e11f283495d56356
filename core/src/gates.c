/* gates.c - what lowered code may call besides the host: bulk operations on memories and tables (docs/internals/abi.md).
 *
 * Ranges are checked as the standard says: the whole range first, a trap before anything is written.
 */
#include <stddef.h>
#include <string.h>

#include "calls.h"

#define CALLER_PC ((uint64_t)(uintptr_t)__builtin_return_address(0) - 1)

static bool is_inside(uint64_t start, uint64_t count, uint64_t length) { return count <= length && start <= length - count; }

static inline void begin(void) { il_current()->is_in_host = IL_IN_GATE; }

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
    memset(memory->base + dst, (int)(value & 0xff), n);
    il_resume(CALLER_PC);
}

static void gate_memory_copy(void *vmctx, il_memory *dst_memory, il_memory *src_memory, uint64_t dst, uint64_t src, uint64_t n) {
    (void)vmctx;
    begin();
    if (!is_inside(dst, n, dst_memory->length_bytes) || !is_inside(src, n, src_memory->length_bytes))
        il_end(IL_TRAP_MEMORY_OUT_OF_BOUNDS, CALLER_PC);
    memmove(dst_memory->base + dst, src_memory->base + src, n);
    il_resume(CALLER_PC);
}

static void gate_memory_init(void *vmctx, il_memory *memory, il_segment *segment, uint64_t dst, uint64_t src, uint64_t n) {
    (void)vmctx;
    begin();
    if (!is_inside(dst, n, memory->length_bytes) || !is_inside(src, n, segment->length))
        il_end(IL_TRAP_MEMORY_OUT_OF_BOUNDS, CALLER_PC);
    if (n != 0) memcpy(memory->base + dst, (const uint8_t *)segment->start + src, n);
    il_resume(CALLER_PC);
}

/* data.drop and elem.drop: what start pointed to belongs to the embedder. */
static void gate_segment_drop(void *vmctx, il_segment *segment) {
    (void)vmctx;
    *segment = (il_segment){NULL, 0};
}

static void gate_table_init(void *vmctx, il_table *table, il_segment *segment, uint64_t dst, uint64_t src, uint64_t n) {
    (void)vmctx;
    begin();
    if (!is_inside(dst, n, table->length) || !is_inside(src, n, segment->length))
        il_end(IL_TRAP_TABLE_OUT_OF_BOUNDS, CALLER_PC);
    if (n != 0) memcpy(table->elems + dst, (il_funcref *const *)segment->start + src, n * sizeof *table->elems);
    il_resume(CALLER_PC);
}

static void gate_table_copy(void *vmctx, il_table *dst_table, il_table *src_table, uint64_t dst, uint64_t src, uint64_t n) {
    (void)vmctx;
    begin();
    if (!is_inside(dst, n, dst_table->length) || !is_inside(src, n, src_table->length))
        il_end(IL_TRAP_TABLE_OUT_OF_BOUNDS, CALLER_PC);
    memmove(dst_table->elems + dst, src_table->elems + src, n * sizeof *dst_table->elems);
    il_resume(CALLER_PC);
}

static void gate_table_fill(void *vmctx, il_table *table, uint64_t dst, il_funcref *value, uint64_t n) {
    (void)vmctx;
    begin();
    if (!is_inside(dst, n, table->length)) il_end(IL_TRAP_TABLE_OUT_OF_BOUNDS, CALLER_PC);
    for (uint64_t i = 0; i < n; i++) table->elems[dst + i] = value;
    il_resume(CALLER_PC);
}

static int64_t gate_table_grow(void *vmctx, il_table *table, il_funcref *value, uint64_t delta) {
    (void)vmctx;
    begin();
    const uint64_t length = table->length;
    const bool is_possible = delta <= table->maximum - length;
    for (uint64_t i = 0; is_possible && i < delta; i++) table->elems[length + i] = value;
    if (is_possible) table->length = length + delta;
    il_resume(CALLER_PC);
    return is_possible ? (int64_t)length : -1;
}

#define gate_data_drop gate_segment_drop
#define gate_elem_drop gate_segment_drop
#define gate_host_call il_gate_host_call
#define gate_compile il_gate_compile

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
