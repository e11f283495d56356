/* validate.c - the code validator: the rules for an image, which are the same for every architecture, and the embedder's policy.
 *
 * The instructions are read by validate_<arch>.c, which also notes where they start and where they branch to; then the bitmaps,
 * the entries and the jump tables are compared.  The policy is applied after our own rules, to what they have accepted: so it can
 * only narrow.  Unknown means no.  Everything is bounded by the image's limits, nothing recurses, nothing is allocated.
 */
#include "validate.h"

#include <string.h>

enum { SHAPE_BYTES_MAX = 128 };

bool il_reject(il_pass *run, uint32_t rule, uint32_t offset, const uint8_t *bytes, uint32_t bytes_count, const char *detail) {
    il_verdict *verdict = &run->verdict;
    if (run->is_second) return true; /* said already */
    *verdict = (il_verdict){.rule = rule, .offset = offset};
    verdict->bytes_count = bytes_count < sizeof verdict->bytes ? bytes_count : (uint32_t)sizeof verdict->bytes;
    if (bytes_count != 0) memcpy(verdict->bytes, bytes, verdict->bytes_count);
    memcpy(verdict->detail, detail, strlen(detail)); /* ours, and shorter */
    run->violations++;
    if (run->report == NULL) return false;
    run->report(run->context, verdict);
    return true;
}

bool il_image_is_complete(const il_image *image) {
    return (image->code != NULL || image->code_bytes == 0) && (image->rodata != NULL || image->rodata_bytes == 0) &&
           (image->entries != NULL || image->entry_count == 0) && (image->relocations != NULL || image->relocation_count == 0) &&
           (image->jump_tables != NULL || image->jump_table_count == 0);
}

/* ---- Of both architectures ------------------------------------------------------------------------------------------------- */
static bool is_start(const il_pass *run, int64_t offset) {
    return offset >= 0 && offset < (int64_t)run->image->code_bytes && il_bit_test(run->scratch->starts, (uint32_t)offset);
}

bool il_branch_again(il_pass *run, uint32_t offset, uint32_t length, int64_t target) {
    if (is_start(run, target)) return true;
    run->is_second = false; /* this is new */
    const bool goes_on = il_reject(run, IL_RULE_BRANCH_TARGET, offset, run->image->code + offset, length,
                                   "the target is inside an instruction or sequence");
    run->is_second = true;
    return goes_on;
}

/* A finished sequence is one unit: nothing may branch behind its first instruction. */
bool il_shape_finish(il_pass *run, uint32_t offset, uint32_t jump_register) {
    if (run->image->jump_table_count == 0 || run->shape_sum != jump_register || offset - run->shape_offset > SHAPE_BYTES_MAX)
        return false;
    for (uint32_t inner = run->shape_offset + 1; inner <= offset; inner++) il_bit_clear(run->scratch->starts, inner);
    return true;
}

/* ---- Our own rules --------------------------------------------------------------------------------------------------------- */
static bool check_sizes(il_pass *run) {
    const il_image *image = run->image;
    if (image->code_bytes != 0 && image->entry_count != 0 && il_is_within(image->sizes, il_sizes_max)) return true;
    (void)il_reject(run, IL_RULE_IMAGE_SIZE, 0, NULL, 0, "");
    return false;
}

static bool read_code(il_pass *run) { return run->image->arch == IL_ARCH_X86_64 ? il_read_x86_64(run) : il_read_aarch64(run); }

static bool check_instructions(il_pass *run) {
    const il_image *image = run->image;
    if (!read_code(run)) return false;
    if (!run->is_terminated &&
        !il_reject(run, IL_RULE_FALL_THROUGH, run->last_offset, NULL, 0, "the last instruction does not end the flow"))
        return false;
    for (; run->next_relocation < image->relocation_count; run->next_relocation++)
        if (!il_reject(run, IL_RULE_RELOCATION, image->relocations[run->next_relocation].offset, NULL, 0, "outside the code"))
            return false;
    return true;
}

/* Only a bad image is read again, to name who branches to a place that is no start.  Inside a sequence nothing branches, so at
 * each branch the starts are what they were at the end. */
static bool check_targets(il_pass *run) {
    const uint32_t words = (run->image->code_bytes + 63) / 64;
    uint64_t bad = 0;
    for (uint32_t word = 0; word < words; word++) bad |= run->scratch->targets[word] & ~run->scratch->starts[word];
    if (bad == 0) return true;
    run->is_second = true;
    run->next_relocation = 0;
    const bool goes_on = read_code(run);
    run->is_second = false;
    return goes_on;
}

static bool check_entries(il_pass *run) {
    const il_image *image = run->image;
    for (uint32_t index = 0; index < image->entry_count; index++) {
        const uint32_t entry = image->entries[index];
        const bool is_ascending = index == 0 || image->entries[index - 1] < entry;
        if (is_ascending && is_start(run, entry)) continue;
        if (!il_reject(run, IL_RULE_ENTRY, entry, NULL, 0, is_ascending ? "" : "the entries are not in ascending order"))
            return false;
    }
    return true;
}

static bool check_jump_tables(il_pass *run) {
    const il_image *image = run->image;
    uint64_t total_bytes = 0;
    for (uint32_t index = 0; index < image->jump_table_count; index++) {
        const il_jump_table *table = &image->jump_tables[index];
        const uint64_t bytes = (uint64_t)table->count * 4;
        total_bytes += bytes; /* tables cannot share bytes, which also bounds the time spent here */
        if (table->count == 0 || table->rodata_offset % 4 != 0 || table->rodata_offset + bytes > image->rodata_bytes ||
            total_bytes > image->rodata_bytes) {
            if (!il_reject(run, IL_RULE_JUMP_TABLE, table->rodata_offset, NULL, 0, "outside the constants, empty or unaligned"))
                return false;
            continue;
        }
        for (uint32_t at = table->rodata_offset; at < table->rodata_offset + bytes; at += 4) {
            int32_t value;
            memcpy(&value, image->rodata + at, 4); /* little endian, as every host is */
            if (is_start(run, (int64_t)table->base_offset + value)) continue;
            if (!il_reject(run, IL_RULE_JUMP_TABLE, at, NULL, 0, "an entry names no instruction")) return false;
        }
    }
    return true;
}

static bool check_code(il_pass *run) {
    const uint32_t words = (run->image->code_bytes + 63) / 64;
    memset(run->scratch->starts, 0, words * sizeof run->scratch->starts[0]);
    memset(run->scratch->targets, 0, words * sizeof run->scratch->targets[0]);
    return check_instructions(run) && check_targets(run) && check_entries(run) && check_jump_tables(run);
}

/* ---- The embedder's policy ------------------------------------------------------------------------------------------------- */
static bool is_import_refused(const il_policy *policy, uint32_t index) {
    return index >= IL_ARENA_IMPORTS_MAX || (policy->refused_imports[index / 32] >> index % 32 & 1) != 0;
}

bool il_policy_is_narrower(const il_policy *policy, uint32_t import_count) {
    for (uint32_t index = import_count; index < IL_ARENA_IMPORTS_MAX; index++)
        if (is_import_refused(policy, index)) return false;
    return (policy->refused_classes & ~(uint32_t)IL_CLASS_ALL) == 0 && il_is_within(policy->sizes_max, il_sizes_max) &&
           policy->frame_bytes_max <= IL_FRAME_BYTES_MAX;
}

static bool is_branch(uint32_t kind) {
    return kind == IL_R_X86_64_PLT32 || kind == IL_R_AARCH64_CALL26 || kind == IL_R_AARCH64_JUMP26;
}

/* Sizes, then imports. */
static bool check_policy(il_pass *run) {
    static const char *const details[IL_SIZES] = {
        "more code than the policy permits", "more constants than the policy permits", "more entries than the policy permits",
        "more relocations than the policy permits", "more jump tables than the policy permits",
    };
    const il_image *image = run->image;
    const il_policy *policy = run->policy;
    if (policy == NULL) return true;
    for (uint32_t i = 0; i < IL_SIZES; i++) /* above ours it is V001, and said already */
        if (image->sizes[i] > policy->sizes_max[i] && image->sizes[i] <= il_sizes_max[i] &&
            !il_reject(run, IL_RULE_POLICY, 0, NULL, 0, details[i]))
            return false;
    const uint32_t relocations = image->relocation_count <= IL_IMAGE_RELOCATIONS_MAX ? image->relocation_count : 0;
    for (uint32_t i = 0; i < relocations; i++) {
        const il_relocation relocation = image->relocations[i];
        if (is_branch(relocation.kind) && is_import_refused(policy, relocation.target) &&
            !il_reject(run, IL_RULE_POLICY, relocation.offset, NULL, 0, "the policy refuses this import"))
            return false;
    }
    return true;
}

bool il_validate_image(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                       il_report report, void *context, il_verdict *verdict_out) {
    il_pass run = {.image = image, .policy = policy, .scratch = scratch, .report = report, .context = context,
                   .import_count = import_count, .refused_classes = policy == NULL ? 0 : policy->refused_classes};
    bool goes_on;
    if (image->arch != IL_ARCH_X86_64 && image->arch != IL_ARCH_AARCH64)
        goes_on = il_reject(&run, IL_RULE_UNSUPPORTED_ARCH, 0, NULL, 0, "");
    else
        goes_on = check_sizes(&run) ? check_code(&run) : report != NULL;
    if (goes_on) (void)check_policy(&run);
    *verdict_out = run.verdict;
    return run.violations == 0;
}
