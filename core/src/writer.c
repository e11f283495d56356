/* writer.c - publish, retire, arenas: what the writer does with one request. */
#include "writer.h"

#include <string.h>

/* Ascending 8-byte stores, which other processors of x86-64 see in this order: an instruction's first byte is poisoned before or together
 * with its others, so that a thread inside does not find an old opcode with a poisoned operand in memory. */
static void poison(uint8_t *at, uint64_t bytes) {
    for (uint64_t i = 0; i + 8 <= bytes; i += 8) *(volatile uint64_t *)(void *)(at + i) = IL_POISON_WORD;
    il_cache_clean(at, bytes);
}

/* Fills pages touched for the first time, so that nothing but traps surrounds code.  True when the slot held code before. */
static bool poison_fresh(il_writer_state *state, uint64_t start, uint64_t end) {
    bool is_recycled = start < state->used_bytes;
    if (end > state->used_bytes) state->used_bytes = end;
    if (end > state->poisoned_bytes) {
        uint64_t mark = (end + 4095) & ~UINT64_C(4095);
        poison(state->code + state->poisoned_bytes, mark - state->poisoned_bytes);
        state->poisoned_bytes = mark;
    }
    return is_recycled;
}

void il_writer_open(il_writer_state *state, uint8_t *code, uint8_t *rodata) {
    state->code = code;
    state->rodata = rodata;
    il_ledger_open(&state->ledger);
}

static uint64_t rodata_padded(const il_request *request) { return ((uint64_t)request->rodata_bytes + 3) & ~UINT64_C(3); }

uint64_t il_request_bytes(const il_request *request) {
    if (request->operation == IL_OP_ARENA_OPEN) {
        if (request->import_count > IL_ARENA_IMPORTS_MAX) return 0;
        return sizeof *request + sizeof(il_policy) + (uint64_t)request->import_count * 8;
    }
    if (request->operation != IL_OP_PUBLISH) return sizeof *request;
    if (!il_is_within(request->sizes, il_sizes_max)) return 0;
    return sizeof *request + (uint64_t)request->entry_count * 4 + (uint64_t)request->relocation_count * sizeof(il_relocation) +
           (uint64_t)request->jump_table_count * sizeof(il_jump_table) + rodata_padded(request) + request->code_bytes;
}

static void image_of(const il_request *request, uint8_t *payload, il_image *image_out) {
    uint8_t *relocations = payload + (uint64_t)request->entry_count * 4;
    uint8_t *tables = relocations + (uint64_t)request->relocation_count * sizeof(il_relocation);
    uint8_t *rodata = tables + (uint64_t)request->jump_table_count * sizeof(il_jump_table);
    *image_out = (il_image){
        .arch = request->arch,
        .code_bytes = request->code_bytes,
        .rodata_bytes = request->rodata_bytes,
        .entry_count = request->entry_count,
        .relocation_count = request->relocation_count,
        .jump_table_count = request->jump_table_count,
        .code = rodata + rodata_padded(request),
        .rodata = rodata,
        .entries = (const uint32_t *)(void *)payload,
        .relocations = (const il_relocation *)(void *)relocations,
        .jump_tables = (const il_jump_table *)(void *)tables,
    };
}

/* Rodata, then code with a trap in place of every entry's first unit, then these units. */
static void write_image(il_writer_state *state, const il_image *image, uint32_t slot_offset) {
    uint8_t *code = state->code + slot_offset;
    const il_code_unit trap = (il_code_unit)IL_POISON_WORD;
    il_code_unit first;
    uint32_t at = 0;
    if (image->rodata_bytes > 0) memcpy(state->rodata + slot_offset, image->rodata, image->rodata_bytes);
    for (uint32_t i = 0; i < image->entry_count; i++) {
        uint32_t entry = image->entries[i];
        if (entry < at) continue; /* two names of one entry */
        memcpy(code + at, image->code + at, entry - at);
        memcpy(code + entry, &trap, sizeof trap);
        at = entry + (uint32_t)sizeof trap;
    }
    memcpy(code + at, image->code + at, image->code_bytes - at);
    il_cache_clean(code, image->code_bytes);
    for (uint32_t i = 0; i < image->entry_count; i++) {
        memcpy(&first, image->code + image->entries[i], sizeof first);
        __atomic_store_n((il_code_unit *)(void *)(code + image->entries[i]), first, __ATOMIC_RELEASE);
    }
    il_cache_clean(code, image->code_bytes);
}

static il_status publish(il_writer_state *state, const il_request *request, uint8_t *payload, il_reply *reply) {
    const il_arena_record *arena = il_ledger_arena(&state->ledger, request->handle);
    uint32_t slot = IL_NO_SLOT;
    il_image image;
    if (arena == NULL) return IL_STALE;
    image_of(request, payload, &image);
    if (image.arch != IL_ARCH_NATIVE) {
        reply->verdict.rule = IL_RULE_UNSUPPORTED_ARCH; /* valid perhaps, but not to be run here */
        return IL_REJECTED;
    }
    if (!il_validate_image(&image, &arena->policy, arena->import_count, &state->scratch, NULL, NULL, &reply->verdict))
        return IL_REJECTED;

    uint32_t bytes = image.code_bytes > image.rodata_bytes ? image.code_bytes : image.rodata_bytes;
    il_status status = il_ledger_take(&state->ledger, request->handle, bytes, true, &slot);
    if (status != IL_OK) return status;
    uint32_t slot_offset = slot * IL_SLOT_GRAIN_BYTES;
    uint64_t slot_bytes = (uint64_t)state->ledger.slot[slot].grains * IL_SLOT_GRAIN_BYTES;
    /* What is free is poison already: only the image's own bytes are written below. */
    reply->is_recycled = poison_fresh(state, slot_offset, slot_offset + slot_bytes);
    for (uint32_t i = 0; i < image.relocation_count; i++)
        il_relocate(payload + (image.code - payload), &image.relocations[i], slot_offset, arena->stubs * IL_SLOT_GRAIN_BYTES);
    write_image(state, &image, slot_offset);
    reply->handle = il_ledger_handle(&state->ledger, slot);
    reply->slot_offset = slot_offset;
    reply->changed_bytes = slot_bytes;
    return IL_OK;
}

static void retire_slot(il_writer_state *state, uint32_t slot, il_reply *reply) {
    reply->slot_offset = (uint64_t)slot * IL_SLOT_GRAIN_BYTES;
    reply->changed_bytes = (uint64_t)state->ledger.slot[slot].grains * IL_SLOT_GRAIN_BYTES;
    /* Only code is poisoned: a thread may be between the fetch of an instruction and its load from rodata. */
    poison(state->code + reply->slot_offset, reply->changed_bytes);
    il_ledger_quarantine(&state->ledger, slot);
}

static il_status retire(il_writer_state *state, il_code code, il_reply *reply) {
    uint32_t slot = il_ledger_code(&state->ledger, code);
    if (slot == IL_NO_SLOT) return IL_STALE;
    retire_slot(state, slot, reply);
    return IL_OK;
}

static il_status open_arena(il_writer_state *state, const il_request *request, const uint8_t *payload, il_reply *reply) {
    uint32_t slot = IL_NO_SLOT;
    il_policy policy;
    memcpy(&policy, payload, sizeof policy);
    payload += sizeof policy;
    if (!il_policy_is_narrower(&policy, request->import_count)) return IL_INVALID_ARGUMENT;
    il_status status = il_ledger_open_arena(&state->ledger, &policy, request->arena_bytes_max, &reply->handle);
    if (status != IL_OK || request->import_count == 0) return status;
    status = il_ledger_take(&state->ledger, reply->handle, request->import_count * IL_STUB_BYTES, false, &slot);
    if (status != IL_OK) {
        il_ledger_close_arena(&state->ledger, reply->handle);
        return status;
    }
    uint64_t slot_offset = (uint64_t)slot * IL_SLOT_GRAIN_BYTES;
    uint64_t slot_bytes = (uint64_t)state->ledger.slot[slot].grains * IL_SLOT_GRAIN_BYTES;
    reply->is_recycled = poison_fresh(state, slot_offset, slot_offset + slot_bytes);
    for (uint64_t i = 0; i < request->import_count; i++) {
        uint64_t at = slot_offset + i * IL_STUB_BYTES;
        memcpy(state->rodata + at, payload + i * 8, 8);
        il_stub_write(state->code + at, (uint32_t)at);
    }
    il_cache_clean(state->code + slot_offset, request->import_count * IL_STUB_BYTES);
    reply->slot_offset = slot_offset;
    reply->changed_bytes = slot_bytes;
    il_arena_record *arena = il_ledger_arena(&state->ledger, reply->handle);
    arena->import_count = request->import_count;
    arena->stubs = slot;
    return IL_OK;
}

static il_status close_arena(il_writer_state *state, il_arena handle, il_reply *reply) {
    il_arena_record *arena = il_ledger_arena(&state->ledger, handle);
    if (arena == NULL) return IL_STALE;
    while (arena->first != IL_NO_SLOT) retire_slot(state, arena->first, reply);
    il_ledger_close_arena(&state->ledger, handle);
    reply->slot_offset = 0; /* more than one slot: all that was ever used */
    reply->changed_bytes = state->used_bytes;
    return IL_OK;
}

static il_status answer(il_writer_state *state, const il_request *request, uint8_t *payload, il_reply *reply) {
    switch (request->operation) {
    case IL_OP_PUBLISH: return publish(state, request, payload, reply);
    case IL_OP_RETIRE: return retire(state, request->handle, reply);
    case IL_OP_ARENA_OPEN: return open_arena(state, request, payload, reply);
    case IL_OP_ARENA_CLOSE: return close_arena(state, request->handle, reply);
    default: return IL_INVALID_ARGUMENT;
    }
}

void il_writer_handle(il_writer_state *state, uint8_t *message, il_reply *reply_out) {
    il_request request;
    memcpy(&request, message, sizeof request);
    memset(reply_out, 0, sizeof *reply_out);
    if (request.may_reclaim != 0) il_ledger_reclaim(&state->ledger);
    reply_out->status = answer(state, &request, message + sizeof request, reply_out);
    reply_out->taken_bytes = (uint64_t)state->ledger.slots.taken_grains * IL_SLOT_GRAIN_BYTES;
    reply_out->quarantined_bytes = state->ledger.quarantined_grains * IL_SLOT_GRAIN_BYTES;
}
