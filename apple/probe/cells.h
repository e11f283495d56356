/* A cell of 16 bytes holds one function that returns a number, in the instructions of the machine that runs the driver. */
#ifndef INTERLOCK_PROBE_CELLS_H
#define INTERLOCK_PROBE_CELLS_H

#include <stdbool.h>
#include <stdint.h>

enum { CELL_WORDS = 2, CELL_BYTES = 16 };

typedef struct {
    uint64_t words[CELL_WORDS];
} cell;

/* A function that returns `value`; 0 stands for a cell that was never written. */
cell cell_of(uint16_t value);

/* What the function in a cell returns; 0 for a cell that holds none. */
uint16_t cell_value(const cell *written);

/* An instruction barrier, which makes this core fetch again. */
void cell_barrier(void);

/* Cache maintenance as code does it that reads CTR_EL0 itself; nothing where there is no such register. */
void cell_flush_by_hand(void);

#endif
