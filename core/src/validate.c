/* validate.c - which code validator reads an image, and what of the embedder's policy is the same for every architecture.
 *
 * The policy is applied after our own rules, to what they have accepted: so it can only narrow.  Unknown means no.
 */
#include "validate.h"

#include <string.h>

static void refuse(il_verdict *verdict_out, uint32_t rule, uint32_t offset, const char *detail) {
    memset(verdict_out, 0, sizeof *verdict_out);
    verdict_out->rule = rule;
    verdict_out->offset = offset;
    memcpy(verdict_out->detail, detail, strlen(detail)); /* ours, and shorter */
}

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

/* Sizes, then imports.  report may be NULL: stop at the first.  Returns how many objections there are. */
static uint32_t check_policy(const il_image *image, const il_policy *policy, il_report report, void *context,
                             il_verdict *verdict_out) {
    if (policy == NULL) return 0;
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
    uint32_t count = 0;
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i].value <= sizes[i].most || sizes[i].value > sizes[i].ours) continue;
        refuse(verdict_out, IL_RULE_POLICY, 0, sizes[i].detail);
        count++;
        if (report == NULL) return count;
        report(context, verdict_out);
    }
    const uint32_t relocations = image->relocation_count <= IL_IMAGE_RELOCATIONS_MAX ? image->relocation_count : 0;
    for (uint32_t i = 0; i < relocations; i++) {
        const il_relocation relocation = image->relocations[i];
        if (!is_branch(relocation.kind) || !is_import_refused(policy, relocation.target)) continue;
        refuse(verdict_out, IL_RULE_POLICY, relocation.offset, "the policy refuses this import");
        count++;
        if (report == NULL) return count;
        report(context, verdict_out);
    }
    return count;
}

bool il_validate_image(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                       il_verdict *verdict_out) {
    bool is_accepted = false;
    switch (image->arch) {
    case IL_ARCH_X86_64: is_accepted = il_validate_x86_64(image, policy, import_count, scratch, verdict_out); break;
    case IL_ARCH_AARCH64: is_accepted = il_validate_aarch64(image, policy, import_count, scratch, verdict_out); break;
    default: refuse(verdict_out, IL_RULE_UNSUPPORTED_ARCH, 0, ""); break;
    }
    return is_accepted && check_policy(image, policy, NULL, NULL, verdict_out) == 0;
}

uint32_t il_validate_image_all(const il_image *image, const il_policy *policy, uint32_t import_count,
                               il_validate_scratch *scratch, il_report report, void *context) {
    il_verdict verdict;
    uint32_t count = 1;
    switch (image->arch) {
    case IL_ARCH_X86_64: count = il_validate_x86_64_all(image, policy, import_count, scratch, report, context); break;
    case IL_ARCH_AARCH64: count = il_validate_aarch64_all(image, policy, import_count, scratch, report, context); break;
    default: refuse(&verdict, IL_RULE_UNSUPPORTED_ARCH, 0, ""); report(context, &verdict); break;
    }
    return count + check_policy(image, policy, report, context, &verdict);
}
