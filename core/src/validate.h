/* validate.h - the code validator: one linear pass over a private copy of an image.
 *
 * Pure: no allocation, no globals, no calls into the system.  The writer calls il_validate_image on the copy that it then writes;
 * everyone else calls the wrappers of interlock.h (validate_public.c), which own a locked scratch.
 */
#ifndef IL_VALIDATE_H
#define IL_VALIDATE_H

#include "interlock.h"

enum { IL_SCRATCH_WORDS = IL_IMAGE_CODE_BYTES_MAX / 64 };

/* One bit for each code byte.  1 MiB: belongs in static memory.  Need not be cleared by the caller. */
typedef struct il_validate_scratch {
    uint64_t starts[IL_SCRATCH_WORDS];  /* instructions that control may be transferred to */
    uint64_t targets[IL_SCRATCH_WORDS]; /* what direct branches name */
} il_validate_scratch;

/* Whether the policy is no wider than ours and refuses nothing that does not exist: the only ones there are. */
bool il_policy_is_narrower(const il_policy *policy, uint32_t import_count);

/* 0, or the rule that an adjustment of the stack pointer by so many bytes breaks. */
static inline uint32_t il_frame_rule(const il_policy *policy, int64_t bytes) {
    const int64_t size = bytes < 0 ? -bytes : bytes;
    if (size > IL_FRAME_BYTES_MAX) return IL_RULE_FRAME_SIZE;
    return policy != NULL && size > policy->frame_bytes_max ? IL_RULE_POLICY : 0;
}

/* validate.c picks the validator of the image's architecture, and then applies what of the policy needs no instruction.
 * validate_<arch>.c are these, may be called with their own only, and apply refused_classes and frame_bytes_max.
 *
 * True when every rule holds (verdict_out->rule is then 0); otherwise false, verdict_out tells the first violation.
 * All of image's arrays must be readable for the counts it states; counts above the limits are a violation, not read.
 * policy may be NULL: nothing refused beyond our own. */
bool il_validate_image(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                       il_verdict *verdict_out);

/* The same, but goes on after a violation and reports each one (report is not NULL).  Returns their number. */
uint32_t il_validate_image_all(const il_image *image, const il_policy *policy, uint32_t import_count,
                               il_validate_scratch *scratch, il_report report, void *context);

bool il_validate_x86_64(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                        il_verdict *verdict_out);
uint32_t il_validate_x86_64_all(const il_image *image, const il_policy *policy, uint32_t import_count,
                                il_validate_scratch *scratch, il_report report, void *context);
bool il_validate_aarch64(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                         il_verdict *verdict_out);
uint32_t il_validate_aarch64_all(const il_image *image, const il_policy *policy, uint32_t import_count,
                                 il_validate_scratch *scratch, il_report report, void *context);

#endif
