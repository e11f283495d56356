/* memory_map.c - see memory_map.h. */
#include "memory_map.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contract.h"
#include "report.h"

static struct il_entry entries[IL_ENTRIES_MAX]; /* by address; no two overlap */
static size_t count;
static enum il_mode mode = IL_MODE_RX;
/* Bounds of all JIT memory there ever was. */
static _Atomic uintptr_t jit_start = UINTPTR_MAX;
static _Atomic uintptr_t jit_end;

/* The index of the first entry that ends behind `address`. */
static size_t index_of(uintptr_t address) {
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entries[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct il_entry *il_map_find(uintptr_t address) {
    size_t i = index_of(address);
    return i < count && entries[i].start <= address ? &entries[i] : NULL;
}

struct il_entry *il_map_from(uintptr_t address, struct il_entry **end_out) {
    *end_out = entries + count;
    return entries + index_of(address);
}

bool il_map_has_room(size_t added) {
    return count + added <= IL_ENTRIES_MAX;
}

static void insert_at(size_t i, const struct il_entry *entry) {
    if (!il_map_has_room(1)) {
        il_fail("the table of mappings overflows");
    }
    memmove(&entries[i + 1], &entries[i], (count - i) * sizeof entries[0]);
    entries[i] = *entry;
    count++;
}

static void remove_at(size_t i, size_t removed) {
    memmove(&entries[i], &entries[i + removed], (count - i - removed) * sizeof entries[0]);
    count -= removed;
}

static void cut(uintptr_t at) {
    size_t i = index_of(at);
    if (i < count && entries[i].start < at) {
        struct il_entry rest = entries[i];
        rest.start = at;
        entries[i].end = at;
        insert_at(i + 1, &rest);
    }
}

void il_map_clip(uintptr_t start, uintptr_t end) {
    cut(start);
    cut(end);
}

bool il_map_remove(uintptr_t start, uintptr_t end) {
    bool had_jit = il_map_has_jit(start, end);
    il_map_clip(start, end);
    size_t first = index_of(start);
    remove_at(first, index_of(end) - first);
    return had_jit;
}

void il_map_insert(const struct il_entry *entry) {
    insert_at(index_of(entry->start), entry);
    if (entry->is_jit) {
        jit_start = entry->start < jit_start ? entry->start : jit_start;
        jit_end = entry->end > jit_end ? entry->end : jit_end;
    }
}

static bool are_alike(const struct il_entry *left, const struct il_entry *right) {
    return left->end == right->start && left->mapping == right->mapping && left->protection == right->protection &&
           left->origin == right->origin && left->is_jit == right->is_jit &&
           left->is_by_mprotect == right->is_by_mprotect && left->is_lost == right->is_lost;
}

void il_map_merge(uintptr_t start, uintptr_t end) {
    size_t i = index_of(start);
    i = i > 0 ? i - 1 : 0;
    while (i + 1 < count && entries[i].start <= end) {
        if (are_alike(&entries[i], &entries[i + 1])) {
            entries[i].end = entries[i + 1].end;
            remove_at(i + 1, 1);
        } else {
            i++;
        }
    }
}

bool il_map_has_jit(uintptr_t start, uintptr_t end) {
    for (size_t i = index_of(start); i < count && entries[i].start < end; i++) {
        if (entries[i].is_jit && !entries[i].is_lost) {
            return true;
        }
    }
    return false;
}

/* ---- Protection ------------------------------------------------------------------------------------------------------------ */

bool il_is_switched(const struct il_entry *entry) {
    return il_is_native() && entry->is_jit && !entry->is_lost && entry->protection == IL_PROT_RWX;
}

static bool may_be_executed(const struct il_entry *entry) {
    bool is_allowed_alias = entry->origin == IL_ORIGIN_ALIAS &&
                            il_mac.switches[IL_SWITCH_DOUBLE_MAPPING] == IL_DOUBLE_MAPPING_ALLOWED;
    return entry->is_jit || is_allowed_alias || !il_is_enforcing_signatures();
}

int il_actual_protection(const struct il_entry *entry) {
    static const int of_mode[] = {
        [IL_MODE_RX] = PROT_READ | PROT_EXEC,
        [IL_MODE_RW] = PROT_READ | PROT_WRITE,
        [IL_MODE_NEITHER] = PROT_READ,
    };
    if (il_is_switched(entry)) {
        return of_mode[mode];
    }
    return may_be_executed(entry) ? entry->protection : entry->protection & ~PROT_EXEC;
}

enum il_mode il_map_mode(void) {
    return mode;
}

void il_map_set_mode(enum il_mode wanted) {
    mode = wanted;
    for (size_t i = 0; i < count; i++) {
        const struct il_entry *entry = &entries[i];
        if (il_is_switched(entry) &&
            syscall(SYS_mprotect, entry->start, entry->end - entry->start, il_actual_protection(entry)) != 0) {
            il_fail("the protection of MAP_JIT memory cannot be changed");
        }
    }
}

bool il_may_be_jit(uintptr_t start, size_t bytes) {
    return start < jit_end && jit_start < start + bytes;
}

void il_map_lose_jit(void) {
    for (size_t i = 0; i < count; i++) {
        entries[i].is_lost = entries[i].is_lost || entries[i].is_jit;
    }
}
