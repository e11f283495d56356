#include "cells.h"

/* movz w0, #value; ret */
static const uint32_t MOVZ_W0 = 0x52800000U;
static const uint32_t RET = 0xd65f03c0U;
enum { IMMEDIATE_SHIFT = 5 };

cell cell_of(uint16_t value) {
    uint32_t load = MOVZ_W0 | (uint32_t)value << IMMEDIATE_SHIFT;
    return (cell){.words = {(uint64_t)RET << 32 | load, 0}};
}

uint16_t cell_value(const cell *written) {
    uint32_t load = (uint32_t)written->words[0];
    bool is_function = written->words[0] >> 32 == RET && (load & ~(0xffffU << IMMEDIATE_SHIFT)) == MOVZ_W0;
    return is_function ? (uint16_t)(load >> IMMEDIATE_SHIFT) : 0;
}

void cell_barrier(void) {
    __asm__ volatile("isb" ::: "memory");
}

void cell_flush_by_hand(void) {
    uint64_t cache_type;
    __asm__ volatile("mrs %0, ctr_el0" : "=r"(cache_type));
}
