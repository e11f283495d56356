/* validate.c - the code validator: the rules for an image, which are the same for every architecture, and the embedder's policy.
 *
 * The instructions are read by validate_<arch>.c, which also notes where they start and where they branch to; then the bitmaps,
 * the entries and the jump tables are compared.  The policy is applied after our own rules, to what they have accepted: so it can
 * only narrow.  Unknown means no.  Everything is bounded by the image's limits, nothing recurses, nothing is allocated.
 */
#include "validate.h"

#include <string.h>

bool il_reject(il_pass *run, uint32_t rule, uint32_t offset, const uint8_t *bytes, uint32_t bytes_count, const char *detail) {
    il_verdict *verdict = &run->verdict;
    memset(verdict, 0, sizeof *verdict);
    verdict->rule = rule;
    verdict->offset = offset;
    verdict->bytes_count = bytes_count < sizeof verdict->bytes ? bytes_count : (uint32_t)sizeof verdict->bytes;
    if (verdict->bytes_count != 0) memcpy(verdict->bytes, bytes, verdict->bytes_count);
    memcpy(verdict->detail, detail, strlen(detail)); /* ours, and shorter */
    run->violations++;
    if (run->report == NULL) return false;
    run->report(run->context, verdict);
    return true;
}

static bool reject_item(il_pass *run, uint32_t rule, uint32_t offset, const char *detail) {
    return il_reject(run, rule, offset, NULL, 0, detail);
}

/* ---- Our own rules ---------------------------------------------------------------------------------------------------------- */
static bool check_sizes(il_pass *run) {
    const il_image *image = run->image;
    if (image->code_bytes == 0 || image->code_bytes > IL_IMAGE_CODE_BYTES_MAX || image->rodata_bytes > IL_IMAGE_RODATA_BYTES_MAX ||
        image->entry_count == 0 || image->entry_count > IL_IMAGE_ENTRIES_MAX ||
        image->relocation_count > IL_IMAGE_RELOCATIONS_MAX || image->jump_table_count > IL_IMAGE_TABLES_MAX)
        return reject_item(run, IL_RULE_IMAGE_SIZE, 0, "") && false;
    return true;
}

static bool check_instructions(il_pass *run) {
    const il_image *image = run->image;
    if (!(image->arch == IL_ARCH_X86_64 ? il_read_x86_64(run) : il_read_aarch64(run))) return false;
    if (!run->is_terminated &&
        !reject_item(run, IL_RULE_FALL_THROUGH, run->last_offset, "the last instruction does not end the flow"))
        return false;
    for (; run->next_relocation < image->relocation_count; run->next_relocation++)
        if (!reject_item(run, IL_RULE_RELOCATION, image->relocations[run->next_relocation].offset, "outside the code"))
            return false;
    return true;
}

static bool is_start(const il_pass *run, int64_t offset) {
    return offset >= 0 && offset < (int64_t)run->image->code_bytes && il_bit_test(run->scratch->starts, (uint32_t)offset);
}

/* Finds who branches to a place that is no start.  Only a bad image is read again. */
static bool report_branches(il_pass *run) {
    const il_image *image = run->image;
    int64_t target;
    uint32_t length;
    for (uint32_t offset = 0; offset < image->code_bytes; offset += length) {
        length = image->arch == IL_ARCH_X86_64 ? il_branch_x86_64(image, offset, &target)
                                               : il_branch_aarch64(image, offset, &target);
        if (target < 0 || target >= (int64_t)image->code_bytes) continue; /* said already */
        if (is_start(run, target) || !il_bit_test(run->scratch->targets, (uint32_t)target)) continue;
        if (!il_reject(run, IL_RULE_BRANCH_TARGET, offset, image->code + offset, length,
                       "the target is inside an instruction or sequence"))
            return false;
    }
    return true;
}

static bool check_targets(il_pass *run) {
    const uint32_t words = (run->image->code_bytes + 63) / 64;
    uint64_t bad = 0;
    for (uint32_t word = 0; word < words; word++) bad |= run->scratch->targets[word] & ~run->scratch->starts[word];
    return bad == 0 || report_branches(run);
}

static bool check_entries(il_pass *run) {
    const il_image *image = run->image;
    for (uint32_t index = 0; index < image->entry_count; index++) {
        const uint32_t entry = image->entries[index];
        const bool is_ascending = index == 0 || image->entries[index - 1] < entry;
        if (is_ascending && is_start(run, entry)) continue;
        if (!reject_item(run, IL_RULE_ENTRY, entry, is_ascending ? "" : "the entries are not in ascending order")) return false;
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
            if (!reject_item(run, IL_RULE_JUMP_TABLE, table->rodata_offset, "outside the constants, empty or unaligned"))
                return false;
            continue;
        }
        for (uint32_t at = table->rodata_offset; at < table->rodata_offset + bytes; at += 4) {
            int32_t value;
            memcpy(&value, image->rodata + at, 4); /* little endian, as every host is */
            if (is_start(run, (int64_t)table->base_offset + value)) continue;
            if (!reject_item(run, IL_RULE_JUMP_TABLE, at, "an entry names no instruction")) return false;
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

/* ---- The embedder's policy -------------------------------------------------------------------------------------------------- */
static bool is_import_refused(const il_policy *policy, uint32_t index) {
    return index >= IL_ARENA_IMPORTS_MAX || (policy->refused_imports[index / 32] >> index % 32 & 1) != 0;
}

bool il_policy_is_narrower(const il_policy *policy, uint32_t import_count) {
    for (uint32_t index = import_count; index < IL_ARENA_IMPORTS_MAX; index++)
        if (is_import_refused(policy, index)) return false;
    return (policy->refused_classes & ~(uint32_t)IL_CLASS_ALL) == 0 && policy->image_code_bytes_max <= IL_IMAGE_CODE_BYTES_MAX &&
           policy->image_rodata_bytes_max <= IL_IMAGE_RODATA_BYTES_MAX && policy->image_entries_max <= IL_IMAGE_ENTRIES_MAX &&
           policy->image_relocations_max <= IL_IMAGE_RELOCATIONS_MAX && policy->image_tables_max <= IL_IMAGE_TABLES_MAX &&
           policy->frame_bytes_max <= IL_FRAME_BYTES_MAX;
}

static bool is_branch(uint32_t kind) {
    return kind == IL_R_X86_64_PLT32 || kind == IL_R_AARCH64_CALL26 || kind == IL_R_AARCH64_JUMP26;
}

/* Sizes, then imports. */
static bool check_policy(il_pass *run) {
    const il_image *image = run->image;
    const il_policy *policy = run->policy;
    if (policy == NULL) return true;
    const struct {
        uint32_t value, most, ours; /* above ours it is V001, and said already */
        const char *detail;
    } sizes[] = {
        {image->code_bytes, policy->image_code_bytes_max, IL_IMAGE_CODE_BYTES_MAX, "more code than the policy permits"},
        {image->rodata_bytes, policy->image_rodata_bytes_max, IL_IMAGE_RODATA_BYTES_MAX,
         "more constants than the policy permits"},
        {image->entry_count, policy->image_entries_max, IL_IMAGE_ENTRIES_MAX, "more entries than the policy permits"},
        {image->relocation_count, policy->image_relocations_max, IL_IMAGE_RELOCATIONS_MAX,
         "more relocations than the policy permits"},
        {image->jump_table_count, policy->image_tables_max, IL_IMAGE_TABLES_MAX,
         "more jump tables than the policy permits"},
    };
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].value > sizes[i].most && sizes[i].value <= sizes[i].ours &&
            !reject_item(run, IL_RULE_POLICY, 0, sizes[i].detail))
            return false;
    const uint32_t relocations = image->relocation_count <= IL_IMAGE_RELOCATIONS_MAX ? image->relocation_count : 0;
    for (uint32_t i = 0; i < relocations; i++) {
        const il_relocation relocation = image->relocations[i];
        if (is_branch(relocation.kind) && is_import_refused(policy, relocation.target) &&
            !reject_item(run, IL_RULE_POLICY, relocation.offset, "the policy refuses this import"))
            return false;
    }
    return true;
}

/* ---- Both forms ------------------------------------------------------------------------------------------------------------- */
static void validate(il_pass *run) {
    bool goes_on;
    run->refused_classes = run->policy == NULL ? 0 : run->policy->refused_classes;
    if (run->image->arch != IL_ARCH_X86_64 && run->image->arch != IL_ARCH_AARCH64)
        goes_on = reject_item(run, IL_RULE_UNSUPPORTED_ARCH, 0, "");
    else
        goes_on = check_sizes(run) ? check_code(run) : run->report != NULL;
    if (goes_on) (void)check_policy(run);
}

bool il_validate_image(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                       il_verdict *verdict_out) {
    il_pass run = {.image = image, .policy = policy, .scratch = scratch, .import_count = import_count};
    validate(&run);
    *verdict_out = run.verdict;
    return run.violations == 0;
}

uint32_t il_validate_image_all(const il_image *image, const il_policy *policy, uint32_t import_count,
                               il_validate_scratch *scratch, il_report report, void *context) {
    il_pass run = {.image = image, .policy = policy, .scratch = scratch, .report = report, .context = context,
                   .import_count = import_count};
    validate(&run);
    return run.violations;
}
