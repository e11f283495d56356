/* validate.h - the code validator: one linear pass over a private copy of an image.
 *
 * Pure: no allocation, no globals, no calls into the system.  The writer calls il_validate_image on the copy that it then writes;
 * everyone else calls the wrappers of interlock.h (validate_public.c), which own a locked scratch.
 */
#ifndef IL_VALIDATE_H
#define IL_VALIDATE_H

#include "interlock.h"

#pragma GCC visibility push(hidden) /* called directly */

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

/* One validation.  The second part is the architecture's own, set when it begins to read. */
typedef struct il_pass {
    const il_image *image;
    const il_policy *policy; /* NULL: nothing refused beyond our own */
    il_validate_scratch *scratch;
    il_report report; /* NULL: stop at the first violation */
    void *context;
    il_verdict verdict; /* the latest violation */
    uint32_t violations, import_count, refused_classes, next_relocation, last_offset;
    bool is_terminated; /* control cannot reach what follows the last instruction */
    uint32_t shape_offset, shape_load, shape_base, shape_sum, shape_live; /* of the jump-table sequence, as far as it was seen */
} il_pass;

/* True when every rule holds (verdict_out->rule is then 0); otherwise false, verdict_out tells the first violation.
 * All of image's arrays must be readable for the counts it states; counts above the limits are a violation, not read.
 * policy may be NULL: nothing refused beyond our own. */
bool il_validate_image(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                       il_verdict *verdict_out);

/* The same, but goes on after a violation and reports each one (report is not NULL).  Returns their number. */
uint32_t il_validate_image_all(const il_image *image, const il_policy *policy, uint32_t import_count,
                               il_validate_scratch *scratch, il_report report, void *context);

/* Notes and reports a violation; returns whether to go on.  bytes: of the instruction, none where the violation is no one's. */
bool il_reject(il_pass *run, uint32_t rule, uint32_t offset, const uint8_t *bytes, uint32_t bytes_count, const char *detail);

/* validate_<arch>.c: the rules for instructions, refused_classes and frame_bytes_max among them.  il_read_ goes through the code
 * once, consumes the relocations, marks starts and targets, sets last_offset and is_terminated, and returns whether to go on.
 * il_branch_ returns the length of the instruction at offset, and what it branches to, or -1. */
bool il_read_x86_64(il_pass *run);
bool il_read_aarch64(il_pass *run);
uint32_t il_branch_x86_64(const il_image *image, uint32_t offset, int64_t *target_out);
uint32_t il_branch_aarch64(const il_image *image, uint32_t offset, int64_t *target_out);

static inline bool il_bit_test(const uint64_t *bits, uint32_t index) { return (bits[index >> 6] >> (index & 63)) & 1; }
static inline void il_bit_set(uint64_t *bits, uint32_t index) { bits[index >> 6] |= UINT64_C(1) << (index & 63); }
static inline void il_bit_clear(uint64_t *bits, uint32_t index) { bits[index >> 6] &= ~(UINT64_C(1) << (index & 63)); }

/* validate_public.c, in a forked child: nobody is validating there. */
void il_validate_forget(void);

#pragma GCC visibility pop

#endif
