/* fuzz_validate.c - a code validator on arbitrary images: IL_FUZZ_ARCH says which.
 *
 * LLVMFuzzerTestOneInput for libFuzzer, or for the main of standalone.c (tools/fuzz_core.py builds both).
 * What is checked besides memory: both forms agree, each violation lies inside what it names, and a policy only narrows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "validate.h"

static il_validate_scratch scratch;

static void require(bool holds, const char *what) {
    if (holds) return;
    (void)fprintf(stderr, "fuzz_validate: %s\n", what);
    abort();
}

typedef struct seen {
    const il_image *image;
    il_verdict first;
    uint32_t count;
} seen;

static void note(void *context, const il_verdict *verdict) {
    seen *all = context;
    if (all->count++ == 0) all->first = *verdict;
    require(verdict->rule != 0 && verdict->bytes_count <= sizeof verdict->bytes, "malformed verdict");
    require(memchr(verdict->detail, 0, sizeof verdict->detail) != NULL, "endless detail");
    if (verdict->bytes_count == 0) return;
    require(verdict->offset < all->image->code_bytes, "offset outside the code");
    require(verdict->bytes_count <= all->image->code_bytes - verdict->offset, "bytes outside the code");
    require(memcmp(verdict->bytes, all->image->code + verdict->offset, verdict->bytes_count) == 0, "bytes differ");
}

/* Arrays of exactly the stated size, so that a sanitizer sees the first byte read behind them. */
static void *copy(const uint8_t **data, size_t *left, size_t bytes) {
    uint8_t *result = calloc(bytes == 0 ? 1 : bytes, 1);
    const size_t taken = bytes < *left ? bytes : *left;
    require(result != NULL, "no memory");
    memcpy(result, *data, taken);
    *data += taken;
    *left -= taken;
    return result;
}

static il_policy policy_of(const uint8_t head[12]) {
    il_policy policy = IL_POLICY_PERMITTED;
    policy.refused_classes = head[4] | (head[8] & 31u) << 8;
    policy.refused_imports[0] = head[6];
    policy.frame_bytes_max >>= head[7] % 32u;
    policy.image_code_bytes_max >>= head[9] % 32u;
    policy.image_rodata_bytes_max >>= head[10] % 32u;
    policy.image_entries_max >>= head[11] % 16u;
    return policy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t head[12] = {0};
    if (size < sizeof head) return 0;
    memcpy(head, data, sizeof head);
    data += sizeof head;
    size -= sizeof head;
    il_image image = {.arch = IL_FUZZ_ARCH, .rodata_bytes = head[0], .entry_count = head[1] % 4u, .relocation_count = head[2] % 4u,
                      .jump_table_count = head[3] % 3u};
    const il_policy policy = policy_of(head);
    uint8_t *rodata = copy(&data, &size, image.rodata_bytes);
    uint32_t *entries = copy(&data, &size, image.entry_count * sizeof *entries);
    il_relocation *relocations = copy(&data, &size, image.relocation_count * sizeof *relocations);
    il_jump_table *tables = copy(&data, &size, image.jump_table_count * sizeof *tables);
    image.code_bytes = (uint32_t)size;
    uint8_t *code = copy(&data, &size, size);
    image.rodata = rodata;
    image.entries = entries;
    image.relocations = relocations;
    image.jump_tables = tables;
    image.code = code;
    il_verdict verdict;
    seen all = {.image = &image};
    const bool is_accepted = il_validate_image(&image, &policy, head[5], &scratch, NULL, NULL, &verdict);
    il_verdict last;
    require(il_validate_image(&image, &policy, head[5], &scratch, note, &all, &last) == is_accepted, "the two forms disagree");
    require((all.count == 0) == is_accepted, "a verdict without a report");
    require(is_accepted || memcmp(&verdict, &all.first, sizeof verdict) == 0, "the first violation differs");
    require(!is_accepted || il_validate_image(&image, NULL, head[5], &scratch, NULL, NULL, &verdict), "a policy made more acceptable");
    free(rodata);
    free(entries);
    free(relocations);
    free(tables);
    free(code);
    return 0;
}
