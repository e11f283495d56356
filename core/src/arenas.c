/* arenas.c - the ledger of arenas and slots. */
#include "writer.h"

#include <string.h>

/* The first grain at or after `at` (below `end`) that is taken (or free), else `end`. */
static uint32_t next_grain(const il_slots *slots, uint32_t at, uint32_t end, bool is_taken) {
    while (at < end && slots->taken[at] != is_taken) at++;
    return at;
}

bool il_slots_take(il_slots *slots, uint32_t grains, uint32_t *first_out) {
    if (grains == 0 || grains > IL_GRAINS - slots->taken_grains) return false;
    uint32_t first = next_grain(slots, slots->lowest_free, IL_GRAINS, false);
    slots->lowest_free = first;
    for (uint32_t end; IL_GRAINS - first >= grains; first = next_grain(slots, end, IL_GRAINS, false)) {
        end = next_grain(slots, first, first + grains, true);
        if (end != first + grains) continue;
        memset(slots->taken + first, true, grains);
        slots->taken_grains += grains;
        *first_out = first;
        return true;
    }
    return false;
}

void il_slots_give(il_slots *slots, uint32_t first, uint32_t grains) {
    memset(slots->taken + first, false, grains);
    slots->taken_grains -= grains;
    if (first < slots->lowest_free) slots->lowest_free = first;
}

static uint64_t handle_of(uint32_t index, uint32_t generation) { return (uint64_t)generation << 32 | index; }

static uint32_t next_generation(uint32_t generation) { return generation == UINT32_MAX ? 1 : generation + 1; }

void il_ledger_open(il_ledger *ledger) { ledger->quarantine = ledger->free = IL_NO_SLOT; }

il_arena_record *il_ledger_arena(il_ledger *ledger, il_arena arena) {
    uint32_t index = (uint32_t)arena, generation = (uint32_t)(arena >> 32);
    if (index >= IL_ARENAS_MAX) return NULL;
    il_arena_record *record = &ledger->arenas[index];
    return record->is_open && record->generation == generation ? record : NULL;
}

uint32_t il_ledger_code(const il_ledger *ledger, il_code code) {
    uint32_t index = (uint32_t)code, generation = (uint32_t)(code >> 32);
    if (index >= IL_GRAINS) return IL_NO_SLOT;
    const il_slot *slot = &ledger->slot[index];
    return slot->state == IL_SLOT_LIVE && slot->generation == generation && slot->is_charged ? index : IL_NO_SLOT;
}

il_code il_ledger_handle(const il_ledger *ledger, uint32_t slot) { return handle_of(slot, ledger->slot[slot].generation); }

il_status il_ledger_open_arena(il_ledger *ledger, const il_policy *policy, uint64_t bytes_max, il_arena *arena_out) {
    for (uint32_t i = 0; i < IL_ARENAS_MAX; i++) {
        il_arena_record *record = &ledger->arenas[i];
        if (record->is_open) continue;
        *record = (il_arena_record){.is_open = true, .generation = next_generation(record->generation), .first = IL_NO_SLOT,
                                    .policy = *policy, .bytes_max = bytes_max};
        *arena_out = handle_of(i, record->generation);
        return IL_OK;
    }
    return IL_NO_MEMORY;
}

il_status il_ledger_take(il_ledger *ledger, il_arena arena, uint32_t bytes, bool is_charged, uint32_t *slot_out) {
    il_arena_record *record = il_ledger_arena(ledger, arena);
    uint32_t first, grains = (bytes + IL_SLOT_GRAIN_BYTES - 1) / IL_SLOT_GRAIN_BYTES;
    uint64_t charge = is_charged ? (uint64_t)grains * IL_SLOT_GRAIN_BYTES : 0;
    if (record == NULL) return IL_STALE;
    if (charge > record->bytes_max - record->bytes_charged) return IL_NO_MEMORY;
    if (!il_slots_take(&ledger->slots, grains, &first)) return IL_NO_MEMORY;
    const uint32_t index = ledger->free != IL_NO_SLOT ? ledger->free : ledger->slot_count++;
    il_slot *slot = &ledger->slot[index];
    if (index == ledger->free) ledger->free = slot->next;
    *slot = (il_slot){.state = IL_SLOT_LIVE, .generation = next_generation(slot->generation), .first = first, .grains = grains,
                      .previous = IL_NO_SLOT, .next = record->first, .arena = arena, .is_charged = is_charged};
    if (record->first != IL_NO_SLOT) ledger->slot[record->first].previous = index;
    record->first = index;
    record->bytes_charged += charge;
    *slot_out = index;
    return IL_OK;
}

void il_ledger_quarantine(il_ledger *ledger, uint32_t index) {
    il_slot *slot = &ledger->slot[index];
    il_arena_record *owner = il_ledger_arena(ledger, slot->arena);
    if (slot->next != IL_NO_SLOT) ledger->slot[slot->next].previous = slot->previous;
    if (slot->previous != IL_NO_SLOT) ledger->slot[slot->previous].next = slot->next;
    else if (owner != NULL) owner->first = slot->next;
    slot->state = IL_SLOT_QUARANTINED;
    slot->next = ledger->quarantine;
    ledger->quarantine = index;
    ledger->quarantined_grains += slot->grains;
}

void il_ledger_reclaim(il_ledger *ledger) {
    while (ledger->quarantine != IL_NO_SLOT) {
        uint32_t index = ledger->quarantine;
        il_slot *slot = &ledger->slot[index];
        il_arena_record *owner = il_ledger_arena(ledger, slot->arena);
        /* The quota is returned here, not at retire: an arena that retires in a long call cannot fill the view. */
        if (owner != NULL && slot->is_charged) owner->bytes_charged -= (uint64_t)slot->grains * IL_SLOT_GRAIN_BYTES;
        ledger->quarantine = slot->next;
        ledger->quarantined_grains -= slot->grains;
        slot->state = IL_SLOT_FREE;
        slot->next = ledger->free;
        ledger->free = index;
        il_slots_give(&ledger->slots, slot->first, slot->grains);
    }
}
