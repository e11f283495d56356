/* standalone.c - a main for a fuzz target without libFuzzer: replays a corpus, then mutates it by a fixed generator, so that
 * every compiler's sanitizers run the targets and a failure repeats.
 *
 *   program ROUNDS FILE...
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = 1 << 16, CHANGES_MAX = 6 };

static uint8_t input[INPUT_BYTES_MAX];
static uint64_t state = 88172645463325252u;

static uint32_t draw(uint32_t below) { /* xorshift64 */
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static size_t read_input(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    const size_t size = fread(input, 1, sizeof input, file);
    (void)fclose(file);
    return size;
}

static size_t mutate(size_t size) {
    for (uint32_t change = draw(CHANGES_MAX); change > 0 && size > 0; change--) {
        const uint32_t at = draw((uint32_t)size);
        if (draw(2) == 0) input[at] = (uint8_t)draw(256);
        else input[at] ^= (uint8_t)(1u << draw(8));
    }
    for (uint32_t more = draw(4) == 0 ? draw(64) : 0; more > 0 && size < sizeof input; more--) input[size++] = (uint8_t)draw(256);
    return draw(8) == 0 && size > 0 ? draw((uint32_t)size) : size;
}

int main(int count, char **arguments) {
    const unsigned long rounds = count > 1 ? strtoul(arguments[1], NULL, 10) : 0;
    const int files = count - 2;
    if (files < 1) return 2;
    for (int i = 0; i < files; i++) (void)LLVMFuzzerTestOneInput(input, read_input(arguments[2 + i]));
    for (unsigned long round = 0; round < rounds; round++) {
        const size_t size = mutate(read_input(arguments[2 + draw((uint32_t)files)]));
        /* A copy of exactly this size: a sanitizer sees what is read behind it. */
        uint8_t *copy = malloc(size == 0 ? 1 : size);
        if (copy == NULL) return 2;
        memcpy(copy, input, size);
        (void)LLVMFuzzerTestOneInput(copy, size);
        free(copy);
    }
    (void)printf("%d files, %lu rounds\n", files, rounds);
    return 0;
}
