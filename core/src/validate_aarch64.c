/* validate_aarch64.c - the code validator for AArch64, policy `permitted`: not there yet, so it refuses. */
#include <string.h>

#include "validate.h"

bool il_validate_aarch64(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                         il_verdict *verdict_out) {
    (void)image, (void)policy, (void)import_count, (void)scratch;
    memset(verdict_out, 0, sizeof *verdict_out);
    verdict_out->rule = IL_RULE_UNSUPPORTED_ARCH;
    return false;
}

uint32_t il_validate_aarch64_all(const il_image *image, const il_policy *policy, uint32_t import_count,
                                 il_validate_scratch *scratch, il_report report, void *context) {
    il_verdict verdict;
    (void)il_validate_aarch64(image, policy, import_count, scratch, &verdict);
    if (report != NULL) report(context, &verdict);
    return 1;
}
