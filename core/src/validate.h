/* validate.h - the code validator: one linear pass over a private copy of an image.
 *
 * Pure: no allocation, no globals, no calls into the system.  The writer calls il_validate_image on the copy that it then writes;
 * everyone else calls the wrappers of interlock.h (validate_public.c), which own a locked scratch.
 */
#ifndef IL_VALIDATE_H
#define IL_VALIDATE_H

#include "interlock.h"

#pragma GCC visibility push(hidden) /* called directly */

enum { IL_SCRATCH_WORDS = IL_IMAGE_CODE_BYTES_MAX / 64, IL_NO_REGISTER = 32 };

/* One bit for each code byte.  1 MiB: belongs in static memory.  Need not be cleared by the caller. */
typedef struct il_validate_scratch {
    uint64_t starts[IL_SCRATCH_WORDS];  /* instructions that control may be transferred to */
    uint64_t targets[IL_SCRATCH_WORDS]; /* what direct branches name */
} il_validate_scratch;

static const uint32_t il_sizes_max[IL_SIZES] = IL_SIZES_MAX;

static inline bool il_is_within(const uint32_t sizes[IL_SIZES], const uint32_t most[IL_SIZES]) {
    for (int i = 0; i < IL_SIZES; i++)
        if (sizes[i] > most[i]) return false;
    return true;
}

/* Whether each array is there that has a size. */
bool il_image_is_complete(const il_image *image);
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
    bool is_second;     /* the code is read again, only to name the branches to what is no start */
    uint32_t shape_offset, shape_load, shape_base, shape_sum, shape_live; /* of the jump-table sequence, as far as it was seen */
} il_pass;

/* il_validate, with a scratch, true for IL_OK (verdict_out->rule is then 0) and false for IL_REJECTED.
 * All of image's arrays must be readable for the counts it states; counts above the limits are a violation, not read. */
bool il_validate_image(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                       il_report report, void *context, il_verdict *verdict_out);

/* Notes and reports a violation; returns whether to go on.  bytes: of the instruction, none where the violation is no one's. */
bool il_reject(il_pass *run, uint32_t rule, uint32_t offset, const uint8_t *bytes, uint32_t bytes_count, const char *detail);
/* Whether the jump-table sequence ends at offset, with a jump to what is in the register. */
bool il_shape_finish(il_pass *run, uint32_t offset, uint32_t jump_register);
/* Of il_branch, when the code is read again. */
bool il_branch_again(il_pass *run, uint32_t offset, uint32_t length, int64_t target);

/* The size of the access, as a power of two, that the relocation kind is for; 0 for add, -1 for all others. */
static inline int32_t il_lo12_log2(uint32_t kind) {
    switch (kind) {
    case IL_R_AARCH64_ADD_ABS_LO12_NC:
    case IL_R_AARCH64_LDST8_ABS_LO12_NC: return 0;
    case IL_R_AARCH64_LDST16_ABS_LO12_NC: return 1;
    case IL_R_AARCH64_LDST32_ABS_LO12_NC: return 2;
    case IL_R_AARCH64_LDST64_ABS_LO12_NC: return 3;
    case IL_R_AARCH64_LDST128_ABS_LO12_NC: return 4;
    default: return -1;
    }
}

/* validate_<arch>.c: the rules for instructions, refused_classes and frame_bytes_max among them.  Goes through the code once,
 * consumes the relocations, marks starts and targets, sets last_offset and is_terminated, and returns whether to go on. */
bool il_read_x86_64(il_pass *run);
bool il_read_aarch64(il_pass *run);

static inline bool il_bit_test(const uint64_t *bits, uint32_t index) { return (bits[index >> 6] >> (index & 63)) & 1; }
static inline void il_bit_set(uint64_t *bits, uint32_t index) { bits[index >> 6] |= UINT64_C(1) << (index & 63); }
static inline void il_bit_clear(uint64_t *bits, uint32_t index) { bits[index >> 6] &= ~(UINT64_C(1) << (index & 63)); }

static inline void il_shape_forget(il_pass *run) {
    run->shape_load = run->shape_base = run->shape_sum = IL_NO_REGISTER;
    run->shape_live = 0;
}

/* Notes where the direct branch at offset goes; returns whether to go on. */
static inline bool il_branch(il_pass *run, uint32_t offset, uint32_t length, int64_t target) {
    if (target < 0 || target >= (int64_t)run->image->code_bytes)
        return il_reject(run, IL_RULE_BRANCH_TARGET, offset, run->image->code + offset, length,
                         "the target lies outside the image");
    il_bit_set(run->scratch->targets, (uint32_t)target);
    return !run->is_second || il_branch_again(run, offset, length, target);
}

/* validate_public.c, in a forked child: nobody is validating there. */
void il_validate_forget(void);

#pragma GCC visibility pop

#endif
