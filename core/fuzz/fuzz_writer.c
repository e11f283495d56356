/* fuzz_writer.c - the writer on arbitrary streams of requests, as an application would send them that has been taken over.
 *
 * An input is a program of small commands: open and close arenas (with hostile policies), publish, retire, unknown operations,
 * and whole headers of raw bytes.  A model beside the writer knows what must be in the views.  After every request: what was
 * accepted is accepted by a second run of the validator, under the arena's policy and under ours; every live slot holds its
 * image, and nothing else changed.  At the end of an input: free and retired code is poison, and the ledger adds up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "writer.h"

enum { MESSAGE_BYTES_MAX = 1 << 16, MODELS_MAX = 64, COMMANDS_MAX = 64, POISON = (uint8_t)IL_POISON_WORD };

static uint8_t *code_view, *rodata_view;
static il_writer_state *writer;
static il_validate_scratch scratch;
static _Alignas(8) uint8_t message[MESSAGE_BYTES_MAX], sent[MESSAGE_BYTES_MAX];

typedef struct arena_model {
    il_arena handle;
    il_policy policy;
    uint32_t import_count;
    bool is_open;
} arena_model;

typedef struct code_model {
    il_code handle;
    uint32_t arena; /* index of its model */
    uint64_t slot_offset, slot_bytes;
    uint32_t code_bytes, rodata_bytes;
    uint8_t *bytes; /* code as written, then rodata */
    bool is_live;
} code_model;

static arena_model arenas[MODELS_MAX];
static code_model codes[MODELS_MAX];
static uint32_t arena_count, code_count;

static void require(bool holds, const char *what) {
    if (holds) return;
    (void)fprintf(stderr, "fuzz_writer: %s\n", what);
    abort();
}

/* ---- The input ------------------------------------------------------------------------------------------------------------- */
typedef struct reader {
    const uint8_t *data;
    size_t left;
} reader;

/* Behind the end there are zeros. */
static void take(reader *input, void *out, size_t bytes) {
    const size_t taken = bytes < input->left ? bytes : input->left;
    memset(out, 0, bytes);
    if (taken != 0) memcpy(out, input->data, taken);
    input->data += taken;
    input->left -= taken;
}

static uint32_t take_u8(reader *input) {
    uint8_t value;
    take(input, &value, 1);
    return value;
}

static uint32_t take_u32(reader *input) {
    uint32_t value;
    take(input, &value, 4);
    return value;
}

/* A handle that exists, or existed, or never did. */
static uint64_t take_handle(reader *input, bool is_arena) {
    const uint32_t pick = take_u8(input);
    if (pick % 8 == 7) return (uint64_t)take_u32(input) << 32 | take_u32(input);
    if (is_arena) return arena_count == 0 ? 0 : arenas[pick / 8 % arena_count].handle;
    return code_count == 0 ? 0 : codes[pick / 8 % code_count].handle;
}

/* ---- The model ------------------------------------------------------------------------------------------------------------- */
static void forget(void) {
    for (uint32_t i = 0; i < code_count; i++) free(codes[i].bytes);
    arena_count = code_count = 0;
    memset(arenas, 0, sizeof arenas);
    memset(codes, 0, sizeof codes);
}

static uint32_t arena_of(il_arena handle) {
    for (uint32_t i = 0; i < arena_count; i++)
        if (arenas[i].is_open && arenas[i].handle == handle) return i;
    return MODELS_MAX;
}

static bool is_poison(uint64_t start, uint64_t end) {
    for (uint64_t at = start; at < end; at++)
        if (code_view[at] != ((const uint8_t *)&(uint64_t){IL_POISON_WORD})[at % 8]) return false;
    return true;
}

/* Every live slot holds what was written, and traps behind it. */
static void check_live(void) {
    for (uint32_t i = 0; i < code_count; i++) {
        const code_model *code = &codes[i];
        if (!code->is_live) continue;
        require(memcmp(code_view + code->slot_offset, code->bytes, code->code_bytes) == 0, "live code changed");
        require(memcmp(rodata_view + code->slot_offset, code->bytes + code->code_bytes, code->rodata_bytes) == 0,
                "live constants changed");
    }
}

/* The image inside the message as it was sent. */
static il_image image_of(const il_request *request, const uint8_t *payload) {
    const uint8_t *relocations = payload + (uint64_t)request->entry_count * 4;
    const uint8_t *tables = relocations + (uint64_t)request->relocation_count * sizeof(il_relocation);
    const uint8_t *rodata = tables + (uint64_t)request->jump_table_count * sizeof(il_jump_table);
    return (il_image){.arch = request->arch, .code_bytes = request->code_bytes, .rodata_bytes = request->rodata_bytes,
                      .entry_count = request->entry_count, .relocation_count = request->relocation_count,
                      .jump_table_count = request->jump_table_count, .entries = (const uint32_t *)(const void *)payload,
                      .relocations = (const il_relocation *)(const void *)relocations,
                      .jump_tables = (const il_jump_table *)(const void *)tables, .rodata = rodata,
                      .code = rodata + ((request->rodata_bytes + 3u) & ~3u)};
}

static bool is_relocated(const il_image *image, uint32_t at) {
    for (uint32_t i = 0; i < image->relocation_count; i++)
        if (at - image->relocations[i].offset < 4) return true;
    return false;
}

static void note_published(const il_request *request, const il_reply *reply) {
    const il_image image = image_of(request, sent + sizeof *request);
    const uint32_t arena = arena_of(request->handle);
    il_verdict verdict;
    require(arena < MODELS_MAX, "published into an arena that is not open");
    require(image.arch == IL_ARCH_NATIVE, "published for another machine");
    require(il_validate_image(&image, &arenas[arena].policy, arenas[arena].import_count, &scratch, NULL, NULL, &verdict), "policy broken");
    require(il_validate_image(&image, NULL, arenas[arena].import_count, &scratch, NULL, NULL, &verdict), "our policy broken");
    require(reply->slot_offset % IL_SLOT_GRAIN_BYTES == 0 && reply->slot_offset + reply->changed_bytes <= IL_CODE_VIEW_BYTES,
            "slot outside the view");
    require(image.code_bytes <= reply->changed_bytes && image.rodata_bytes <= reply->changed_bytes, "slot too small");
    const uint8_t *written = code_view + reply->slot_offset;
    for (uint32_t at = 0; at < image.code_bytes; at++)
        require(written[at] == image.code[at] || is_relocated(&image, at), "other bytes were written");
    require(is_poison(reply->slot_offset + image.code_bytes, reply->slot_offset + reply->changed_bytes),
            "no traps behind the code");
    for (uint32_t i = 0; i < code_count; i++)
        require(!codes[i].is_live || codes[i].slot_offset + codes[i].slot_bytes <= reply->slot_offset ||
                    reply->slot_offset + reply->changed_bytes <= codes[i].slot_offset,
                "two live slots overlap");
    if (code_count == MODELS_MAX) return;
    code_model *code = &codes[code_count++];
    *code = (code_model){.handle = reply->handle, .arena = arena, .slot_offset = reply->slot_offset,
                         .slot_bytes = reply->changed_bytes, .code_bytes = image.code_bytes, .rodata_bytes = image.rodata_bytes,
                         .is_live = true};
    code->bytes = malloc((size_t)image.code_bytes + image.rodata_bytes);
    require(code->bytes != NULL, "no memory");
    memcpy(code->bytes, written, image.code_bytes);
    if (image.rodata_bytes != 0) memcpy(code->bytes + image.code_bytes, image.rodata, image.rodata_bytes);
    require(memcmp(rodata_view + reply->slot_offset, code->bytes + image.code_bytes, image.rodata_bytes) == 0, "other constants");
}

static void note_retired(code_model *code) {
    code->is_live = false;
    require(is_poison(code->slot_offset, code->slot_offset + code->slot_bytes), "retired code is no poison");
}

static void note_opened(const il_request *request, const il_reply *reply) {
    arena_model arena = {.handle = reply->handle, .import_count = request->import_count, .is_open = true};
    memcpy(&arena.policy, sent + sizeof *request, sizeof arena.policy);
    require(il_policy_is_narrower(&arena.policy, request->import_count), "an arena with a wider policy");
    require(reply->handle != 0 && arena_of(reply->handle) == MODELS_MAX, "a handle was handed out twice");
    if (arena_count < MODELS_MAX) arenas[arena_count++] = arena;
}

static void note_closed(il_arena handle) {
    const uint32_t arena = arena_of(handle);
    if (arena == MODELS_MAX) return;
    arenas[arena].is_open = false;
    for (uint32_t i = 0; i < code_count; i++)
        if (codes[i].is_live && codes[i].arena == arena) note_retired(&codes[i]);
}

/* ---- One request ----------------------------------------------------------------------------------------------------------- */
static void send_message(uint64_t bytes) {
    il_request request;
    il_reply reply;
    memcpy(&request, message, sizeof request);
    memcpy(sent, message, bytes);
    il_writer_handle(writer, message, &reply);
    require(reply.taken_bytes <= IL_CODE_VIEW_BYTES && reply.quarantined_bytes <= reply.taken_bytes, "more taken than there is");
    if (reply.status == IL_REJECTED)
        require(request.operation == IL_OP_PUBLISH && reply.verdict.rule != 0, "rejected without a rule");
    if (reply.status == IL_OK) switch (request.operation) {
        case IL_OP_PUBLISH: note_published(&request, &reply); break;
        case IL_OP_ARENA_OPEN: note_opened(&request, &reply); break;
        case IL_OP_ARENA_CLOSE: note_closed(request.handle); break;
        case IL_OP_RETIRE:
            for (uint32_t i = 0; i < code_count; i++)
                if (codes[i].is_live && codes[i].handle == request.handle) note_retired(&codes[i]);
            break;
        default: require(false, "an unknown operation was done");
        }
    check_live();
}

/* What the header asks for, filled from the input.  A message that the writer would not read is not sent. */
static void send_raw(reader *input, const il_request *request) {
    const uint64_t bytes = il_request_bytes(request);
    if (bytes == 0 || bytes > sizeof message) return;
    memcpy(message, request, sizeof *request);
    take(input, message + sizeof *request, bytes - sizeof *request);
    send_message(bytes);
}

static void open_arena(reader *input, il_request *request) {
    const uint32_t shape = take_u8(input);
    il_policy policy = IL_POLICY_PERMITTED;
    request->operation = IL_OP_ARENA_OPEN;
    request->import_count = shape % 8 == 7 ? take_u32(input) : shape / 8;
    request->arena_bytes_max = shape % 2 == 0 ? 1 << 20 : take_u32(input);
    if (shape % 8 == 1) policy.refused_classes = take_u32(input);
    if (shape % 8 == 2) policy.refused_imports[0] = take_u32(input);
    if (shape % 8 == 3) policy.image_code_bytes_max = take_u32(input) >> take_u8(input) % 32;
    if (shape % 8 == 4) policy.frame_bytes_max = take_u32(input) >> take_u8(input) % 32;
    if (shape % 8 == 5) take(input, &policy, sizeof policy);
    const uint64_t bytes = il_request_bytes(request);
    if (bytes == 0) return;
    memcpy(message, request, sizeof *request);
    memcpy(message + sizeof *request, &policy, sizeof policy);
    take(input, message + sizeof *request + sizeof policy, bytes - sizeof *request - sizeof policy);
    send_message(bytes);
}

static void publish(reader *input, il_request *request) {
    const uint32_t shape = take_u8(input);
    request->operation = IL_OP_PUBLISH;
    request->handle = take_handle(input, true);
    request->arch = shape < 240 ? IL_ARCH_NATIVE : shape;
    request->entry_count = 1 + shape % 3;
    request->relocation_count = shape / 4 % 4;
    request->jump_table_count = shape / 16 % 2;
    request->rodata_bytes = take_u8(input) % 80;
    request->code_bytes = take_u8(input);
    send_raw(input, request);
}

static void run_command(reader *input) {
    const uint32_t command = take_u8(input);
    il_request request = {.may_reclaim = command >> 7, .cpu = -1};
    switch (command % 8) {
    case 0: open_arena(input, &request); break;
    case 1: request.operation = IL_OP_ARENA_CLOSE, request.handle = take_handle(input, true), send_raw(input, &request); break;
    case 2: request.operation = IL_OP_RETIRE, request.handle = take_handle(input, false), send_raw(input, &request); break;
    case 3: request.operation = take_u32(input), request.handle = take_handle(input, true), send_raw(input, &request); break;
    case 4: take(input, &request, sizeof request), send_raw(input, &request); break;
    default: publish(input, &request);
    }
}

/* ---- The ledger at the end ------------------------------------------------------------------------------------------------- */
static void check_ledger(void) {
    const il_ledger *ledger = &writer->ledger;
    uint64_t taken = 0, marked = 0, quarantined = 0;
    for (uint32_t i = 0; i < ledger->slot_count; i++) {
        const il_slot *slot = &ledger->slot[i];
        if (slot->state == IL_SLOT_FREE) continue;
        const uint64_t start = (uint64_t)slot->first * IL_SLOT_GRAIN_BYTES, end = start + (uint64_t)slot->grains * IL_SLOT_GRAIN_BYTES;
        require(slot->grains > 0 && end <= writer->used_bytes, "a slot outside of what was used");
        for (uint32_t grain = slot->first; grain < slot->first + slot->grains; grain++)
            require(ledger->slots.taken[grain], "a slot that is not marked");
        taken += slot->grains;
        if (slot->state == IL_SLOT_QUARANTINED) quarantined += slot->grains;
        if (slot->state == IL_SLOT_QUARANTINED) require(is_poison(start, end), "code in quarantine is no poison");
    }
    for (uint64_t start = 0; start < writer->used_bytes; start += IL_SLOT_GRAIN_BYTES) {
        const bool is_marked = ledger->slots.taken[start / IL_SLOT_GRAIN_BYTES];
        marked += is_marked;
        if (!is_marked) require(is_poison(start, start + IL_SLOT_GRAIN_BYTES), "free code is no poison");
    }
    /* So no two slots overlap: each is marked. */
    require(taken == marked && taken == ledger->slots.taken_grains, "grains taken");
    require(quarantined == writer->ledger.quarantined_grains, "grains in quarantine");
    /* The lowest free record is taken: behind one that never was, none is. */
    for (uint32_t i = 0; i < IL_ARENAS_MAX && writer->ledger.arenas[i].generation != 0; i++)
        require(writer->ledger.arenas[i].bytes_charged <= writer->ledger.arenas[i].bytes_max, "quota passed");
}

static void *zeros(size_t bytes) {
    void *found = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(found != MAP_FAILED, "no memory");
    return found;
}

/* Only what was touched is dropped: far cheaper than clearing all of it. */
static void reopen(void) {
    if (writer == NULL) {
        writer = zeros(sizeof *writer);
        code_view = zeros(IL_CODE_VIEW_BYTES);
        rodata_view = zeros(IL_CODE_VIEW_BYTES);
    }
    require(madvise(writer, sizeof *writer, MADV_DONTNEED) == 0 && madvise(code_view, IL_CODE_VIEW_BYTES, MADV_DONTNEED) == 0 &&
                madvise(rodata_view, IL_CODE_VIEW_BYTES, MADV_DONTNEED) == 0,
            "madvise");
    il_writer_open(writer, code_view, rodata_view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    reader input = {.data = data, .left = size};
    reopen();
    forget();
    for (int command = 0; command < COMMANDS_MAX && input.left > 0; command++) run_command(&input);
    check_ledger();
    for (uint32_t i = 0; i < arena_count; i++) {
        const il_request request = {.operation = IL_OP_ARENA_CLOSE, .handle = arenas[i].handle};
        if (arenas[i].is_open) send_raw(&input, &request);
    }
    check_ledger();
    return 0;
}
