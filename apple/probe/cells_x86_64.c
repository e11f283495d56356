#include "cells.h"

/* mov eax, value; ret */
enum { MOV_EAX = 0xb8, RET = 0xc3, IMMEDIATE_SHIFT = 8, RET_SHIFT = 40 };
static const uint64_t OPCODES = (uint64_t)RET << RET_SHIFT | MOV_EAX;

cell cell_of(uint16_t value) {
    return (cell){.words = {OPCODES | (uint64_t)value << IMMEDIATE_SHIFT, 0}};
}

uint16_t cell_value(const cell *written) {
    bool is_function = (written->words[0] & ~((uint64_t)0xffff << IMMEDIATE_SHIFT)) == OPCODES;
    return is_function ? (uint16_t)(written->words[0] >> IMMEDIATE_SHIFT) : 0;
}

void cell_barrier(void) {
    /* x86-64 fetches coherently; a compiler barrier is all that is left. */
    __asm__ volatile("" ::: "memory");
}

void cell_flush_by_hand(void) {}
