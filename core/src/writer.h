/* writer.h - the writer: the only code that writes code memory.  No system calls, so that tests and fuzzers drive it in
 * process; writer_main.c gives it the real views and the pipes.
 */
#ifndef IL_WRITER_H
#define IL_WRITER_H

#include "arch.h"
#include "protocol.h"
#include "validate.h"

#pragma GCC visibility push(hidden) /* called directly */

/* ---- The ledger (arenas.c): who owns which slot -------------------------------------------------------------------------------
 * Arenas with quota and generation, slots with generation and quarantine.  Pure book-keeping: no byte of code memory is touched.
 * One slot serves both views: code and rodata of an image lie at the same offset of them.
 *
 * A handle is index + (generation << 32); generations start at 1 and a number is not handed out twice until 2^32 are spent, so
 * a stale handle is noticed.
 */
enum { IL_GRAINS = IL_CODE_VIEW_BYTES / IL_SLOT_GRAIN_BYTES, IL_NO_SLOT = 0x7fffffff };

/* Which grains of the views are taken, kept outside code memory.  All zero is the empty state. */
typedef struct il_slots {
    bool taken[IL_GRAINS];
    uint32_t lowest_free;  /* every grain below is taken */
    uint32_t taken_grains;
} il_slots;

typedef enum il_slot_state { IL_SLOT_FREE = 0, IL_SLOT_LIVE = 1, IL_SLOT_QUARANTINED = 2 } il_slot_state;

typedef struct il_slot {
    uint64_t arena;        /* handle of the owner */
    uint32_t generation;
    uint32_t first, grains;
    uint32_t previous, next; /* in the arena's list, or (next only) in the quarantine or among the free */
    uint16_t state;        /* il_slot_state */
    bool is_charged;       /* counts against the owner's quota: everything but the import stubs */
} il_slot;

typedef struct il_arena_record {
    bool is_open;
    uint32_t generation;
    uint32_t import_count;
    uint32_t stubs_offset; /* of the import stubs, if there are imports */
    uint32_t first;        /* slot, or IL_NO_SLOT */
    il_policy policy;
    uint64_t bytes_max, bytes_charged;
} il_arena_record;

typedef struct il_ledger {
    il_slots slots;
    il_slot slot[IL_GRAINS];  /* close together: the fewer pages, the fewer page faults while code is published */
    il_arena_record arenas[IL_ARENAS_MAX];
    uint32_t slot_count;      /* ever in use */
    uint32_t quarantine, free; /* first slot, or IL_NO_SLOT */
    uint64_t quarantined_grains;
} il_ledger;

/* Takes the lowest run of free grains that is long enough; false when there is none. */
bool il_slots_take(il_slots *slots, uint32_t grains, uint32_t *first_out);
/* Frees what il_slots_take took. */
void il_slots_give(il_slots *slots, uint32_t first, uint32_t grains);

void il_ledger_open(il_ledger *ledger);

/* NULL for a handle that names no open arena. */
il_arena_record *il_ledger_arena(il_ledger *ledger, il_arena arena);
/* IL_NO_SLOT for a handle that names no live slot. */
uint32_t il_ledger_code(const il_ledger *ledger, il_code code);
il_code il_ledger_handle(const il_ledger *ledger, uint32_t slot);

/* IL_OK, or IL_NO_MEMORY when all arenas are open. */
il_status il_ledger_open_arena(il_ledger *ledger, const il_policy *policy, uint64_t bytes_max, il_arena *arena_out);

/* IL_OK, or IL_NO_MEMORY: over the quota (unless the slot is not charged), or no room. */
il_status il_ledger_take(il_ledger *ledger, il_arena arena, uint32_t bytes, bool is_charged, uint32_t *slot_out);
void il_ledger_quarantine(il_ledger *ledger, uint32_t slot); /* from live */
void il_ledger_reclaim(il_ledger *ledger);                   /* frees the whole quarantine */

/* ---- The writer ------------------------------------------------------------------------------------------------------------ */
typedef struct il_writer_state {
    uint8_t *code;             /* writable views, IL_CODE_VIEW_BYTES each */
    uint8_t *rodata;
    uint64_t poisoned_bytes;   /* code below is poison where no slot is; above it was never touched */
    uint64_t used_bytes;       /* no slot ever ended above */
    il_ledger ledger;
    il_validate_scratch scratch;
} il_writer_state;

/* state is all zero (static memory). */
void il_writer_open(il_writer_state *state, uint8_t *code, uint8_t *rodata);

/* Size of the whole message, from its header alone; 0 when a count is above its limit: then the stream is lost. */
uint64_t il_request_bytes(const il_request *request);

/* message: il_request_bytes of a private copy, 8-byte aligned; it is changed (relocated).  Every reply is complete. */
void il_writer_handle(il_writer_state *state, uint8_t *message, il_reply *reply_out);

#pragma GCC visibility pop
#endif
