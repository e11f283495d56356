/* fuzz_validate.c - the code validator on arbitrary images.
 *
 * LLVMFuzzerTestOneInput for libFuzzer; with IL_FUZZ_MAIN, a main that mutates by a fixed generator for a number of rounds, so that
 * CI runs the same target under gcc's sanitizers:
 *   gcc -DIL_FUZZ_MAIN -fsanitize=address,undefined -Icore/include -Icore/src core/fuzz/fuzz_validate.c core/src/validate{,_x86_64,_aarch64}.c
 *   ./a.out 200000
 * What is checked besides memory: both forms agree, and each violation lies inside what it names.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t head[8] = {0};
    if (size < sizeof head) return 0;
    memcpy(head, data, sizeof head);
    data += sizeof head;
    size -= sizeof head;
    il_image image = {.arch = IL_ARCH_X86_64, .rodata_bytes = head[0], .entry_count = head[1] % 4u, .relocation_count = head[2] % 4u,
                      .jump_table_count = head[3] % 3u};
    il_policy policy = IL_POLICY_PERMITTED;
    policy.refused_classes = head[4];
    policy.refused_imports[0] = head[6];
    policy.frame_bytes_max >>= head[7] % 32u;
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
    const bool is_accepted = il_validate_image(&image, &policy, head[5], &scratch, &verdict);
    const uint32_t count = il_validate_image_all(&image, &policy, head[5], &scratch, note, &all);
    require(count == all.count && (count == 0) == is_accepted, "the two forms disagree");
    require(is_accepted || memcmp(&verdict, &all.first, sizeof verdict) == 0, "the first violation differs");
    require(!is_accepted || il_validate_image(&image, NULL, head[5], &scratch, &verdict), "a policy made more of it acceptable");
    free(rodata);
    free(entries);
    free(relocations);
    free(tables);
    free(code);
    return 0;
}

#ifdef IL_FUZZ_MAIN
static uint64_t state = 88172645463325252u;

static uint32_t random_below(uint32_t bound) { /* xorshift64 */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % bound;
}

int main(int count, char **arguments) {
    /* A head of one entry at 0, then a function with a frame, a loop, vectors, a jump-table sequence and a trap word. */
    static const uint8_t seed[] = {
        0x08, 0x01, 0x00, 0x01, 0x00, 0x02, 0x00, 0x00, 0x1D, 0x00, 0x00, 0xFC, 0x1F, 0x00, 0x00, 0xFC, 0, 0, 0, 0,
        0,    0,    0,    0,    2,    0,    0,    0,    0x55, 0x48, 0x89, 0xE5, 0x48, 0x83, 0xEC, 0x28, 0xC5, 0xF4, 0x58, 0xC2,
        0x66, 0x0F, 0x6F, 0xC1, 0xF0, 0x0F, 0xC1, 0x08, 0x48, 0x63, 0x04, 0x81, 0x48, 0x01, 0xC8, 0xFF, 0xE0, 0xC9, 0xC3,
        0x75, 0xDF, 0xE8, 0xDA, 0xFF, 0xFF, 0xFF, 0x67, 0x0F, 0xB9, 0x40, 0x05};
    uint8_t input[160];
    const unsigned long rounds = count > 1 ? strtoul(arguments[1], NULL, 10) : 100000;
    for (unsigned long round = 0; round < rounds; round++) {
        uint32_t size = sizeof seed;
        memcpy(input, seed, sizeof seed);
        for (uint32_t change = random_below(6); change > 0; change--) input[random_below(size)] = (uint8_t)random_below(256);
        if (random_below(4) == 0)
            while (size < sizeof input) input[size++] = (uint8_t)random_below(256);
        if (random_below(4) == 0) size = random_below(size);
        (void)LLVMFuzzerTestOneInput(input, size);
    }
    (void)printf("%lu rounds\n", rounds);
    return 0;
}
#endif
