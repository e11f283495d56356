/* code_memory_test.c - the writer driven in process: slots, arenas, publish, retire.  Exits 0, or prints what does not hold.
 *
 * Compiled and run by tests/core/test_code_memory.py, plainly and with sanitizers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "writer.h"

#define CHECK(claim)                                                              \
    do {                                                                          \
        if (!(claim)) {                                                           \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #claim);     \
            exit(1);                                                              \
        }                                                                         \
    } while (0)

enum { STEPS = 20000, MUTATIONS = 40000 };

static _Alignas(4096) uint8_t code_view[IL_CODE_VIEW_BYTES], rodata_view[IL_CODE_VIEW_BYTES];
static il_writer_state state;
static _Alignas(8) uint8_t message[IL_MESSAGE_BYTES_MAX];
static uint64_t seed = 88172645463325252u;

static uint32_t draw(uint32_t below) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % below;
}

static void reopen(void) {
    memset(code_view, 0, state.poisoned_bytes);
    memset(rodata_view, 0, state.poisoned_bytes);
    memset(&state, 0, sizeof state);
    il_writer_open(&state, code_view, rodata_view);
}

static il_reply ask(il_request request) {
    il_reply reply;
    memcpy(message, &request, sizeof request);
    CHECK(il_request_bytes(&request) == sizeof request);
    il_writer_handle(&state, message, &reply);
    return reply;
}

static const il_policy permitted = IL_POLICY_PERMITTED;

static il_reply open_arena_under(const il_policy *policy, uint64_t bytes_max, uint32_t import_count) {
    il_request request = {.operation = IL_OP_ARENA_OPEN, .arena_bytes_max = bytes_max, .import_count = import_count};
    il_reply reply;
    memcpy(message, &request, sizeof request);
    memcpy(message + sizeof request, policy, sizeof *policy);
    for (uint64_t i = 0; i < import_count; i++) {
        uint64_t target = 0x1000 + i;
        memcpy(message + sizeof request + sizeof *policy + i * 8, &target, 8);
    }
    il_writer_handle(&state, message, &reply);
    return reply;
}

static il_reply open_arena(uint64_t bytes_max, uint32_t import_count) {
    return open_arena_under(&permitted, bytes_max, import_count);
}

static uint64_t put(il_arena arena, const il_image *image) {
    il_request request = {.operation = IL_OP_PUBLISH, .handle = arena, .arch = image->arch, .code_bytes = image->code_bytes,
                          .rodata_bytes = image->rodata_bytes, .entry_count = image->entry_count,
                          .relocation_count = image->relocation_count};
    uint8_t *at = message;
    memcpy(at, &request, sizeof request), at += sizeof request;
    memcpy(at, image->entries, image->entry_count * 4), at += image->entry_count * 4;
    if (image->relocation_count > 0) memcpy(at, image->relocations, image->relocation_count * sizeof(il_relocation));
    at += image->relocation_count * sizeof(il_relocation);
    if (image->rodata_bytes > 0) memcpy(at, image->rodata, image->rodata_bytes);
    at += (image->rodata_bytes + 3) & ~3u;
    memcpy(at, image->code, image->code_bytes), at += image->code_bytes;
    CHECK(il_request_bytes(&request) == (uint64_t)(at - message));
    return (uint64_t)(at - message);
}

static il_reply publish(il_arena arena, const il_image *image) {
    il_reply reply;
    (void)put(arena, image);
    il_writer_handle(&state, message, &reply);
    return reply;
}

/* Machine code of the architecture that this writer is for: as bytes, or as words. */
#define SELECT(x86_64, aarch64) ((int)IL_ARCH_NATIVE == (int)IL_ARCH_X86_64 ? (x86_64) : (aarch64))
static const uint8_t ret_x86_64[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x90, 0xc3}; /* landing pad, nop, ret */
static const uint8_t ret_aarch64[] = {0x5f, 0x24, 0x03, 0xd5, 0x1f, 0x20, 0x03, 0xd5, 0xc0, 0x03, 0x5f, 0xd6};
static const uint8_t bad_x86_64[] = {0x90, 0x0f, 0x05, 0xc3}; /* nop, system call, ret */
static const uint8_t bad_aarch64[] = {0x1f, 0x20, 0x03, 0xd5, 0x01, 0x00, 0x00, 0xd4, 0xc0, 0x03, 0x5f, 0xd6};
#define RET_CODE SELECT(ret_x86_64, ret_aarch64)
enum { RET_BYTES = SELECT(sizeof ret_x86_64, sizeof ret_aarch64) };
static const uint32_t first_entry[] = {0};

static il_image ret_image(uint32_t rodata_bytes) {
    static const uint8_t constants[IL_IMAGE_RODATA_BYTES_MAX] = {1, 2, 3};
    return (il_image){.arch = IL_ARCH_NATIVE, .code_bytes = RET_BYTES, .code = RET_CODE, .entry_count = 1, .entries = first_entry,
                      .rodata = constants, .rodata_bytes = rodata_bytes};
}

static bool is_poison(uint64_t start, uint64_t end) {
    for (uint64_t i = start; i < end; i++)
        if (code_view[i] != (uint8_t)(IL_POISON_WORD >> i % 8 * 8)) return false;
    return true;
}

static void slots_agree_with_a_model(void) {
    static il_slots slots;
    static uint8_t model[IL_GRAINS];
    static uint32_t first[STEPS], length[STEPS];
    uint32_t held = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        if (held > 0 && draw(100) < 45) {
            uint32_t pick = draw(held);
            memset(model + first[pick], 0, length[pick]);
            il_slots_give(&slots, first[pick], length[pick]);
            first[pick] = first[--held], length[pick] = length[held];
            continue;
        }
        uint32_t at, grains = draw(8) == 0 ? 1 + draw(3000) : 1 + draw(200);
        CHECK(il_slots_take(&slots, grains, &at));
        CHECK(at + grains <= IL_GRAINS);
        CHECK(memchr(model + at, 1, grains) == NULL);
        memset(model + at, 1, grains);
        first[held] = at, length[held++] = grains;
    }
    uint32_t taken = 0;
    for (uint32_t i = 0; i < IL_GRAINS; i++) {
        taken += model[i];
        CHECK(slots.taken[i] == model[i]);
    }
    CHECK(taken == slots.taken_grains);
}

static void slots_end_at_the_view(void) {
    static il_slots slots;
    uint32_t at;
    CHECK(!il_slots_take(&slots, 0, &at));
    CHECK(!il_slots_take(&slots, IL_GRAINS + 1, &at));
    CHECK(il_slots_take(&slots, IL_GRAINS, &at) && at == 0);
    CHECK(!il_slots_take(&slots, 1, &at));
    il_slots_give(&slots, IL_GRAINS - 1, 1);
    CHECK(!il_slots_take(&slots, 2, &at));
    CHECK(il_slots_take(&slots, 1, &at) && at == IL_GRAINS - 1);
}

static void publish_writes_the_image_and_nothing_else(void) {
    reopen();
    il_arena arena = open_arena(1 << 20, 0).handle;
    il_image image = ret_image(100);
    CHECK(publish(arena, &image).slot_offset == 0);
    il_reply reply = publish(arena, &image);
    CHECK(reply.status == IL_OK && reply.slot_offset == 128 && reply.is_recycled == 0);
    CHECK(memcmp(code_view + 128, RET_CODE, RET_BYTES) == 0);
    CHECK(memcmp(rodata_view + 128, image.rodata, 100) == 0 && rodata_view[228] == 0);
    CHECK(is_poison(RET_BYTES, 128) && is_poison(128 + RET_BYTES, 4096) && code_view[4096] == 0);
    CHECK(reply.taken_bytes == 256 && reply.quarantined_bytes == 0);
}

static void rejected_image_leaves_no_trace(void) {
    reopen();
    il_arena arena = open_arena(1 << 20, 0).handle;
    il_image image = ret_image(0);
    image.code = SELECT(bad_x86_64, bad_aarch64), image.code_bytes = SELECT(sizeof bad_x86_64, sizeof bad_aarch64);
    il_reply reply = publish(arena, &image);
    CHECK(reply.status == IL_REJECTED && reply.verdict.rule == IL_RULE_SYSTEM_CALL && reply.verdict.offset == SELECT(1, 4));
    CHECK(reply.taken_bytes == 0 && reply.handle == 0 && state.poisoned_bytes == 0);
    for (uint32_t i = 0; i < 8192; i++) CHECK(code_view[i] == 0 && rodata_view[i] == 0);
}

/* Where the branch at an offset of the code view leads. */
static uint64_t branch_target(uint64_t at) {
    int32_t field;
    memcpy(&field, code_view + at, 4);
    if (SELECT(true, false)) return (uint64_t)((int64_t)at + 4 + field);
    return (uint64_t)((int64_t)at + ((int64_t)((uint64_t)(uint32_t)field << 38) >> 36));
}

static void relocation_reaches_the_import(void) {
    static const uint8_t call_x86_64[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xe8, 0, 0, 0, 0, 0xc3};
    static const uint8_t call_aarch64[] = {0x5f, 0x24, 0x03, 0xd5, 0, 0, 0, 0x94, 0xc0, 0x03, 0x5f, 0xd6};
    static il_relocation relocation = {.offset = SELECT(5, 4), .kind = SELECT(IL_R_X86_64_PLT32, IL_R_AARCH64_CALL26), .target = 2};
    reopen();
    il_arena arena = open_arena(1 << 20, 3).handle;
    il_image image = {.arch = IL_ARCH_NATIVE, .code = SELECT(call_x86_64, call_aarch64),
                      .code_bytes = SELECT(sizeof call_x86_64, sizeof call_aarch64), .entries = first_entry, .entry_count = 1,
                      .relocations = &relocation, .relocation_count = 1};
    il_reply reply = publish(arena, &image);
    CHECK(reply.status == IL_OK);
    uint64_t stub = branch_target(reply.slot_offset + relocation.offset), target;
    uint8_t expected[IL_STUB_BYTES];
    il_stub_write(expected, (uint32_t)stub);
    CHECK(memcmp(code_view + stub, expected, sizeof expected) == 0);
    memcpy(&target, rodata_view + stub, 8);
    CHECK(target == 0x1002);
    relocation.target = 3;
    reply = publish(arena, &image);
    CHECK(reply.status == IL_REJECTED && reply.verdict.rule == IL_RULE_RELOCATION_TARGET);
    relocation.target = 2;
}

static void retired_slot_is_poison_and_waits(void) {
    reopen();
    il_arena arena = open_arena(1 << 20, 0).handle;
    il_image image = ret_image(0);
    il_reply published = publish(arena, &image);
    il_reply reply = ask((il_request){.operation = IL_OP_RETIRE, .handle = published.handle});
    CHECK(reply.status == IL_OK && reply.quarantined_bytes == 64 && is_poison(0, 4096));
    CHECK(ask((il_request){.operation = IL_OP_RETIRE, .handle = published.handle}).status == IL_STALE);
    CHECK(publish(arena, &image).slot_offset == 64);
    /* A stale retire that may reclaim frees the slot; the next image takes it under another handle. */
    reply = ask((il_request){.operation = IL_OP_RETIRE, .handle = published.handle, .may_reclaim = 1});
    CHECK(reply.status == IL_STALE && reply.quarantined_bytes == 0);
    reply = publish(arena, &image);
    CHECK(reply.slot_offset == 0 && reply.is_recycled == 1 && reply.handle != published.handle);
    CHECK(ask((il_request){.operation = IL_OP_RETIRE, .handle = published.handle}).status == IL_STALE);
}

static void quota_holds_at_the_limit(void) {
    reopen();
    il_arena arena = open_arena(192, 1).handle;
    il_image image = ret_image(129);
    il_reply first = publish(arena, &image);
    CHECK(first.status == IL_OK);
    image.rodata_bytes = 0;
    CHECK(publish(arena, &image).status == IL_NO_MEMORY);
    CHECK(ask((il_request){.operation = IL_OP_RETIRE, .handle = first.handle}).status == IL_OK);
    CHECK(publish(arena, &image).status == IL_NO_MEMORY);
    (void)ask((il_request){.operation = IL_OP_RETIRE, .handle = 0, .may_reclaim = 1});
    for (int i = 0; i < 3; i++) CHECK(publish(arena, &image).status == IL_OK);
    CHECK(publish(arena, &image).status == IL_NO_MEMORY);
}

static void arenas_are_counted_and_closed(void) {
    static il_arena arenas[IL_ARENAS_MAX];
    reopen();
    for (uint32_t i = 0; i < IL_ARENAS_MAX; i++) {
        il_reply reply = open_arena(4096, i % 2);
        CHECK(reply.status == IL_OK && reply.handle != 0);
        arenas[i] = reply.handle;
    }
    CHECK(open_arena(4096, 0).status == IL_NO_MEMORY);
    il_image image = ret_image(0);
    il_reply published = publish(arenas[7], &image);
    CHECK(published.status == IL_OK);
    for (uint32_t i = 0; i < IL_ARENAS_MAX; i++)
        CHECK(ask((il_request){.operation = IL_OP_ARENA_CLOSE, .handle = arenas[i]}).status == IL_OK);
    CHECK(ask((il_request){.operation = IL_OP_ARENA_CLOSE, .handle = arenas[7]}).status == IL_STALE);
    CHECK(publish(arenas[7], &image).status == IL_STALE);
    CHECK(ask((il_request){.operation = IL_OP_RETIRE, .handle = published.handle}).status == IL_STALE);
    CHECK(is_poison(0, state.poisoned_bytes));
    CHECK(ask((il_request){.operation = IL_OP_RETIRE, .may_reclaim = 1}).taken_bytes == 0);
    CHECK(open_arena(4096, 0).handle != arenas[0]);
}

static void handle_of_an_import_table_is_no_code(void) {
    reopen();
    il_arena arena = open_arena(4096, 1).handle;
    CHECK(ask((il_request){.operation = IL_OP_RETIRE, .handle = arena}).status == IL_STALE);
    CHECK(code_view[0] == SELECT(0xf3, 0x5f));
}

static void counts_above_a_limit_have_no_size(void) {
    const il_request most = {.operation = IL_OP_PUBLISH, .code_bytes = IL_IMAGE_CODE_BYTES_MAX,
                             .rodata_bytes = IL_IMAGE_RODATA_BYTES_MAX, .entry_count = IL_IMAGE_ENTRIES_MAX,
                             .relocation_count = IL_IMAGE_RELOCATIONS_MAX, .jump_table_count = IL_IMAGE_TABLES_MAX};
    CHECK(il_request_bytes(&most) == IL_MESSAGE_BYTES_MAX);
    il_request over[5];
    for (int i = 0; i < 5; i++) over[i] = most;
    over[0].code_bytes++, over[1].rodata_bytes++, over[2].entry_count++, over[3].relocation_count++, over[4].jump_table_count++;
    for (int i = 0; i < 5; i++) CHECK(il_request_bytes(&over[i]) == 0);
    CHECK(il_request_bytes(&(il_request){.operation = IL_OP_ARENA_OPEN, .import_count = IL_ARENA_IMPORTS_MAX}) > 0);
    CHECK(il_request_bytes(&(il_request){.operation = IL_OP_ARENA_OPEN, .import_count = IL_ARENA_IMPORTS_MAX + 1}) == 0);
}

static void wider_policy_opens_no_arena(void) {
    il_policy wider[10];
    reopen();
    for (int i = 0; i < 10; i++) wider[i] = permitted;
    wider[0].refused_classes = IL_CLASS_ALL + 1, wider[1].refused_classes = UINT32_C(1) << 31;
    wider[2].image_code_bytes_max++, wider[3].image_rodata_bytes_max++, wider[4].image_entries_max++;
    wider[5].image_relocations_max++, wider[6].image_tables_max++, wider[7].frame_bytes_max = UINT32_MAX;
    wider[8].refused_imports[0] = 1u << 3, wider[9].refused_imports[7] = 1u << 31;
    for (int i = 0; i < 10; i++) {
        il_reply reply = open_arena_under(&wider[i], 4096, 3);
        CHECK(reply.status == IL_INVALID_ARGUMENT && reply.handle == 0 && reply.taken_bytes == 0);
    }
    wider[8].refused_imports[0] = 7, wider[0].refused_classes = IL_CLASS_ALL;
    CHECK(open_arena_under(&wider[8], 4096, 3).status == IL_OK);
    CHECK(open_arena_under(&wider[0], 4096, 3).status == IL_OK);
    CHECK(open_arena_under(&permitted, 4096, 3).status == IL_OK);
}

/* Whatever is asked for, an open arena keeps the policy that it was opened with. */
static void policy_of_an_open_arena_is_frozen(void) {
    static const il_policy nothing;
    reopen();
    il_arena arena = open_arena_under(&nothing, 1 << 20, 0).handle;
    il_image image = ret_image(0);
    CHECK(publish(arena, &image).verdict.rule == IL_RULE_POLICY);
    CHECK(open_arena(1 << 20, 0).handle != arena);
    for (uint32_t operation = 0; operation < 64; operation++) {
        il_request request = {.operation = operation, .handle = arena, .arena_bytes_max = 1 << 20, .may_reclaim = 1};
        il_reply reply;
        if (operation == IL_OP_ARENA_CLOSE) continue;
        memcpy(message, &request, sizeof request);
        memcpy(message + sizeof request, &permitted, sizeof permitted);
        il_writer_handle(&state, message, &reply);
        reply = publish(arena, &image);
        CHECK(reply.status == IL_REJECTED && reply.verdict.rule == IL_RULE_POLICY);
    }
    CHECK(ask((il_request){.operation = IL_OP_ARENA_CLOSE, .handle = arena}).status == IL_OK);
    CHECK(open_arena(1 << 20, 0).handle != arena);
    CHECK(publish(arena, &image).status == IL_STALE);
}

/* Mutated messages with handles that may be live: the ledger stays whole, and what is in no slot stays poison. */
static void mutated_messages_do_no_harm(void) {
    static il_code codes[64];
    reopen();
    il_arena arena = open_arena(64 << 10, 2).handle;
    il_image image = ret_image(0);
    for (uint32_t step = 0; step < MUTATIONS; step++) {
        image.rodata_bytes = draw(300);
        uint64_t bytes = put(arena, &image);
        il_request *request = (il_request *)(void *)message;
        uint32_t flips = draw(4);
        for (uint32_t i = 0; i < flips; i++) message[draw((uint32_t)bytes)] ^= (uint8_t)(1u << draw(8));
        if (draw(4) == 0) request->operation = IL_OP_RETIRE, request->handle = codes[draw(64)], request->may_reclaim = draw(2);
        if (il_request_bytes(request) == 0) continue;
        il_reply reply;
        il_writer_handle(&state, message, &reply);
        if (reply.status == IL_OK && reply.handle >> 32 != 0 && reply.handle != arena) codes[draw(64)] = reply.handle;
    }
    uint64_t taken = 0, marked = 0;
    for (uint32_t i = 0; i < state.ledger.slot_count; i++)
        if (state.ledger.slot[i].state != IL_SLOT_FREE) taken += state.ledger.slot[i].grains;
    for (uint32_t grain = 0; grain < IL_GRAINS; grain++)
        if (state.ledger.slots.taken[grain]) marked++;
        else if ((uint64_t)grain * IL_SLOT_GRAIN_BYTES < state.poisoned_bytes)
            CHECK(is_poison((uint64_t)grain * IL_SLOT_GRAIN_BYTES, (uint64_t)(grain + 1) * IL_SLOT_GRAIN_BYTES));
    CHECK(taken == state.ledger.slots.taken_grains && taken == marked);
}

int main(void) {
    slots_agree_with_a_model();
    slots_end_at_the_view();
    publish_writes_the_image_and_nothing_else();
    rejected_image_leaves_no_trace();
    relocation_reaches_the_import();
    retired_slot_is_poison_and_waits();
    quota_holds_at_the_limit();
    arenas_are_counted_and_closed();
    handle_of_an_import_table_is_no_code();
    counts_above_a_limit_have_no_size();
    wider_policy_opens_no_arena();
    policy_of_an_open_arena_is_frozen();
    mutated_messages_do_no_harm();
    return 0;
}
