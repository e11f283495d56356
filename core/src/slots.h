/* slots.h - which grains of the views are taken.  One bit for each grain, kept outside code memory.
 *
 * One slot serves both views: code and rodata of an image lie at the same offset of them.
 */
#ifndef IL_SLOTS_H
#define IL_SLOTS_H

#include "interlock.h"

#pragma GCC visibility push(hidden) /* called directly */

enum { IL_GRAINS = IL_CODE_VIEW_BYTES / IL_SLOT_GRAIN_BYTES, IL_SLOTS_WORDS = IL_GRAINS / 64 };

/* All zero is the empty state. */
typedef struct il_slots {
    uint64_t taken[IL_SLOTS_WORDS];
    uint32_t lowest_free;  /* every grain below is taken */
    uint32_t taken_grains;
} il_slots;

/* Takes the lowest run of free grains that is long enough; false when there is none. */
bool il_slots_take(il_slots *slots, uint32_t grains, uint32_t *first_out);
/* Frees what il_slots_take took. */
void il_slots_give(il_slots *slots, uint32_t first, uint32_t grains);

#pragma GCC visibility pop
#endif
