/* slots.c - first fit over a bit vector. */
#include "slots.h"

/* The first grain at or after `at` (below `end`) that is taken (or free), else `end`. */
static uint32_t next_grain(const il_slots *slots, uint32_t at, uint32_t end, bool is_taken) {
    while (at < end) {
        uint64_t word = slots->taken[at / 64];
        uint64_t wanted = (is_taken ? word : ~word) >> (at % 64);
        if (wanted != 0) {
            uint32_t found = at + (uint32_t)__builtin_ctzll(wanted);
            return found < end ? found : end;
        }
        at = (at / 64 + 1) * 64;
    }
    return end;
}

static void mark(il_slots *slots, uint32_t first, uint32_t grains, bool is_taken) {
    uint32_t at = first, end = first + grains;
    while (at < end) {
        uint32_t bit = at % 64, count = end - at < 64 - bit ? end - at : 64 - bit;
        uint64_t mask = (count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1) << bit;
        slots->taken[at / 64] = is_taken ? slots->taken[at / 64] | mask : slots->taken[at / 64] & ~mask;
        at += count;
    }
}

bool il_slots_take(il_slots *slots, uint32_t grains, uint32_t *first_out) {
    if (grains == 0 || grains > IL_GRAINS - slots->taken_grains) return false;
    uint32_t first = next_grain(slots, slots->lowest_free, IL_GRAINS, false);
    slots->lowest_free = first;
    while (IL_GRAINS - first >= grains) {
        uint32_t end = next_grain(slots, first, first + grains, true);
        if (end == first + grains) {
            mark(slots, first, grains, true);
            slots->taken_grains += grains;
            if (slots->lowest_free == first) slots->lowest_free = end;
            *first_out = first;
            return true;
        }
        first = next_grain(slots, end, IL_GRAINS, false);
    }
    return false;
}

void il_slots_give(il_slots *slots, uint32_t first, uint32_t grains) {
    mark(slots, first, grains, false);
    slots->taken_grains -= grains;
    if (first < slots->lowest_free) slots->lowest_free = first;
}
