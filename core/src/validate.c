/* validate.c - which code validator reads an image: the one of its architecture.  Unknown means no. */
#include "validate.h"

#include <string.h>

static void refuse_arch(il_verdict *verdict_out) {
    memset(verdict_out, 0, sizeof *verdict_out);
    verdict_out->rule = IL_RULE_UNSUPPORTED_ARCH;
}

bool il_validate_image(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                       il_verdict *verdict_out) {
    switch (image->arch) {
    case IL_ARCH_X86_64: return il_validate_x86_64(image, policy, import_count, scratch, verdict_out);
    case IL_ARCH_AARCH64: return il_validate_aarch64(image, policy, import_count, scratch, verdict_out);
    default: refuse_arch(verdict_out); return false;
    }
}

uint32_t il_validate_image_all(const il_image *image, const il_policy *policy, uint32_t import_count,
                               il_validate_scratch *scratch, il_report report, void *context) {
    il_verdict verdict;
    switch (image->arch) {
    case IL_ARCH_X86_64: return il_validate_x86_64_all(image, policy, import_count, scratch, report, context);
    case IL_ARCH_AARCH64: return il_validate_aarch64_all(image, policy, import_count, scratch, report, context);
    default:
        refuse_arch(&verdict);
        if (report != NULL) report(context, &verdict);
        return 1;
    }
}
