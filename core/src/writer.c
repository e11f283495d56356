/* writer.c - publish, retire, arenas: what the writer does with one request. */
#include "writer.h"

#include <string.h>

/* Ascending 8-byte stores, which other processors of x86-64 see in this order: an instruction's first byte is poisoned before or
 * together with its others, so that a thread inside does not find an old opcode with a poisoned operand in memory. */
static void poison(uint8_t *at, uint64_t bytes) {
    for (uint64_t i = 0; i + 8 <= bytes; i += 8) *(volatile uint64_t *)(void *)(at + i) = IL_POISON_WORD;
    il_cache_clean(at, bytes);
}

void il_writer_open(il_writer_state *state, uint8_t *code, uint8_t *rodata) {
    state->code = code;
    state->rodata = rodata;
    il_ledger_open(&state->ledger);
}

uint64_t il_request_bytes(const il_request *request) {
    static const uint64_t unit_bytes[IL_SIZES] = {1, 1, sizeof(uint32_t), sizeof(il_relocation), sizeof(il_jump_table)};
    uint64_t bytes = sizeof *request;
    if (request->operation == IL_OP_ARENA_OPEN) {
        if (request->import_count > IL_ARENA_IMPORTS_MAX) return 0;
        return bytes + sizeof(il_policy) + (uint64_t)request->import_count * 8;
    }
    if (request->operation != IL_OP_PUBLISH) return bytes;
    if (!il_is_within(request->sizes, il_sizes_max)) return 0;
    for (int i = 0; i < IL_SIZES; i++) bytes += request->sizes[i] * unit_bytes[i];
    return bytes + (-request->rodata_bytes & 3);
}

static void image_of(const il_request *request, const uint8_t *payload, il_image *image_out) {
    *image_out = (il_image){.arch = request->arch};
    memcpy(image_out->sizes, request->sizes, sizeof request->sizes);
    image_out->entries = (const void *)payload;
    image_out->relocations = (const void *)(image_out->entries + request->entry_count);
    image_out->jump_tables = (const void *)(image_out->relocations + request->relocation_count);
    image_out->rodata = (const void *)(image_out->jump_tables + request->jump_table_count);
    image_out->code = image_out->rodata + request->rodata_bytes + (-request->rodata_bytes & 3);
}

/* Where a slot lies is what the application has to know of it. */
static void name_slot(const il_writer_state *state, uint32_t slot, il_reply *reply) {
    reply->slot_offset = (uint64_t)state->ledger.slot[slot].first * IL_SLOT_GRAIN_BYTES;
    reply->changed_bytes = (uint64_t)state->ledger.slot[slot].grains * IL_SLOT_GRAIN_BYTES;
}

/* Fills pages touched for the first time with traps, so that nothing else surrounds code.  What is free is poison already: only
 * what goes into the slot is written after this. */
static il_status take_slot(il_writer_state *state, il_arena arena, uint32_t bytes, bool is_charged, il_reply *reply,
                           uint32_t *slot_out) {
    const il_status status = il_ledger_take(&state->ledger, arena, bytes, is_charged, slot_out);
    if (status != IL_OK) return status;
    name_slot(state, *slot_out, reply);
    const uint64_t end = reply->slot_offset + reply->changed_bytes, mark = (end + 4095) & ~UINT64_C(4095);
    reply->is_recycled = reply->slot_offset < state->used_bytes;
    if (end > state->used_bytes) state->used_bytes = end;
    if (end <= state->poisoned_bytes) return IL_OK;
    poison(state->code + state->poisoned_bytes, mark - state->poisoned_bytes);
    state->poisoned_bytes = mark;
    return IL_OK;
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

    const uint32_t bytes = image.code_bytes > image.rodata_bytes ? image.code_bytes : image.rodata_bytes;
    const il_status status = take_slot(state, request->handle, bytes, true, reply, &slot);
    if (status != IL_OK) return status;
    const uint32_t slot_offset = (uint32_t)reply->slot_offset;
    for (uint32_t i = 0; i < image.relocation_count; i++)
        il_relocate(payload + (image.code - payload), &image.relocations[i], slot_offset, arena->stubs_offset);
    write_image(state, &image, slot_offset);
    reply->handle = il_ledger_handle(&state->ledger, slot);
    return IL_OK;
}

static void retire_slot(il_writer_state *state, uint32_t slot, il_reply *reply) {
    name_slot(state, slot, reply);
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
    il_arena_record *arena = il_ledger_arena(&state->ledger, reply->handle);
    status = take_slot(state, reply->handle, request->import_count * IL_STUB_BYTES, false, reply, &slot);
    if (status != IL_OK) {
        arena->is_open = false;
        return status;
    }
    for (uint64_t i = 0; i < request->import_count; i++) {
        const uint64_t at = reply->slot_offset + i * IL_STUB_BYTES;
        memcpy(state->rodata + at, payload + i * 8, 8);
        il_stub_write(state->code + at, (uint32_t)at);
    }
    il_cache_clean(state->code + reply->slot_offset, request->import_count * IL_STUB_BYTES);
    arena->import_count = request->import_count;
    arena->stubs_offset = (uint32_t)reply->slot_offset;
    return IL_OK;
}

static il_status close_arena(il_writer_state *state, il_arena handle, il_reply *reply) {
    il_arena_record *arena = il_ledger_arena(&state->ledger, handle);
    if (arena == NULL) return IL_STALE;
    while (arena->first != IL_NO_SLOT) retire_slot(state, arena->first, reply);
    arena->is_open = false;
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
