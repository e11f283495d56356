/* faults.h - the n-th call of the C library fails.  The state lies in memory that processes share. */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { CALLS_MAX = 1000, DIE = -1, ALONE = -1, OF_OWNER = 0, OF_OTHERS = 1 };

/* Calls of the process that armed it are counted apart from those of its children.  test_faults.py knows this layout. */
typedef struct faults {
    uint32_t is_armed, target, number; /* the number-th call of the target fails; 0: none */
    int32_t error, owner;
    uint32_t is_done;
    uint32_t count[2];
    uint16_t calls[2][CALLS_MAX];      /* indices into fault_names */
} faults;
extern faults *fault_state;
extern const char *const fault_names[];

void faults_open(void);
/* What the call must fail with; 0: nothing. */
int fault_next(uint16_t which);

#endif
