/* validate.h - the code validator: one linear pass over a private copy of an image.
 *
 * Pure: no allocation, no globals, no calls into the system.  The writer calls il_validate_image on the copy that it then writes;
 * everyone else calls the wrappers of interlock.h (validate_public.c), which own a locked scratch.
 */
#ifndef IL_VALIDATE_H
#define IL_VALIDATE_H

#include "interlock.h"

/* What an embedder may refuse beyond our own policy (il_policy.refused_classes).  An instruction can be in several. */
typedef enum il_instruction_class {
    IL_CLASS_INTEGER = 1 << 0,   /* moves, arithmetic, logic, flags */
    IL_CLASS_STACK = 1 << 1,     /* push, pop, leave */
    IL_CLASS_BRANCH = 1 << 2,    /* direct jumps and calls, ret */
    IL_CLASS_INDIRECT = 1 << 3,  /* calls and jumps through a register or memory */
    IL_CLASS_STRING = 1 << 4,    /* rep movs, rep stos */
    IL_CLASS_ATOMIC = 1 << 5,    /* lock prefix, xchg with memory, fences */
    IL_CLASS_BIT = 1 << 6,       /* bit manipulation extensions: BMI, ADX, popcnt, crc32 */
    IL_CLASS_SSE = 1 << 7,       /* legacy-encoded vector and floating point */
    IL_CLASS_AVX = 1 << 8,       /* VEX-encoded vector and floating point */
    IL_CLASS_FMA = 1 << 9,       /* fused multiply-add, half-precision conversion */
    IL_CLASS_TRAP = 1 << 10,     /* ud1, ud2, int3 */
    IL_CLASS_NOP = 1 << 11,      /* nops, endbr64, pause, prefetch */
    IL_CLASS_ALL = (1 << 12) - 1
} il_instruction_class;

enum { IL_SCRATCH_WORDS = IL_IMAGE_CODE_BYTES_MAX / 64 };

/* One bit for each code byte.  1 MiB: belongs in static memory.  Need not be cleared by the caller. */
typedef struct il_validate_scratch {
    uint64_t starts[IL_SCRATCH_WORDS];  /* instructions that control may be transferred to */
    uint64_t targets[IL_SCRATCH_WORDS]; /* what direct branches name */
} il_validate_scratch;

/* validate.c picks the validator of the image's architecture; validate_<arch>.c are these, and may be called with their own only.
 *
 * True when every rule holds (verdict_out->rule is then 0); otherwise false, verdict_out tells the first violation.
 * All of image's arrays must be readable for the counts it states; counts above the limits are a violation, not read.
 * policy may be NULL: nothing refused beyond our own. */
bool il_validate_image(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                       il_verdict *verdict_out);

/* The same, but goes on after a violation and reports each one.  Returns their number. */
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
