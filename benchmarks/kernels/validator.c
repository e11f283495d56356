/* validator.c - bytes of accepted code a second: the code validator, capstone's decoder, memcpy.  Linked with libinterlock and
 * capstone.
 *
 * Reads images from a file: the six numbers that il_image begins with, then its five arrays; each number is 32 bits.  All are
 * taken in turn, round by round; prints the median nanoseconds of a round for each contestant.
 */
#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "interlock.h"

enum { IMAGES_MAX = 4096, ROUNDS_MAX = 1000, COUNTS_BYTES = 6 * 4 };

typedef enum contestant { VALIDATE, COPY, DECODE, CONTESTANTS } contestant;
static double samples[CONTESTANTS][ROUNDS_MAX];
static il_image images[IMAGES_MAX];
static uint8_t copy[IL_IMAGE_CODE_BYTES_MAX];
static uint32_t image_count;

static double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void require(int holds, const char *what) {
    if (holds) return;
    (void)fprintf(stderr, "validator: %s\n", what);
    exit(1);
}

static const void *read_array(FILE *file, size_t bytes) {
    void *array = malloc(bytes + 1);
    require(array != NULL && fread(array, 1, bytes, file) == bytes, "short file");
    return array;
}

static void read_images(const char *path) {
    FILE *file = fopen(path, "rb");
    require(file != NULL, "no file");
    for (il_image image; fread(&image, 1, COUNTS_BYTES, file) == COUNTS_BYTES;) {
        image.code = read_array(file, image.code_bytes);
        image.rodata = read_array(file, image.rodata_bytes);
        image.entries = read_array(file, image.entry_count * sizeof *image.entries);
        image.relocations = read_array(file, image.relocation_count * sizeof *image.relocations);
        image.jump_tables = read_array(file, image.jump_table_count * sizeof *image.jump_tables);
        require(image_count < IMAGES_MAX, "too many images");
        images[image_count++] = image;
    }
    (void)fclose(file);
}

static void validate(const il_image *image) {
    il_verdict verdict;
    if (il_validate(image, NULL, IL_ARENA_IMPORTS_MAX, NULL, NULL, &verdict) == IL_OK) return;
    (void)fprintf(stderr, "V%03u at %u: %s\n", verdict.rule, verdict.offset, verdict.detail);
    exit(1);
}

static void decode(csh handle, cs_insn *insn, const il_image *image) {
    const uint8_t *at = image->code;
    size_t left = image->code_bytes;
    uint64_t address = 0;
    while (cs_disasm_iter(handle, &at, &left, &address, insn)) continue;
}

static double measure(contestant who, csh handle, cs_insn *insn) {
    const double start = now_ns();
    for (uint32_t index = 0; index < image_count; index++) {
        if (who == VALIDATE) validate(&images[index]);
        if (who == DECODE) decode(handle, insn, &images[index]);
        if (who == COPY) {
            memcpy(copy, images[index].code, images[index].code_bytes);
            __asm__ volatile("" : : "r"(copy) : "memory"); /* or the compiler would leave it out */
        }
    }
    return now_ns() - start;
}

static int compare(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int main(int argc, char **argv) {
    csh handle;
    require(argc == 3, "usage: validator FILE ROUNDS");
    const int rounds = atoi(argv[2]);
    require(rounds > 0 && rounds <= ROUNDS_MAX, "rounds");
    read_images(argv[1]);
    require(image_count > 0, "no image");
    const int is_x86 = images[0].arch == IL_ARCH_X86_64;
    require(cs_open(is_x86 ? CS_ARCH_X86 : CS_ARCH_ARM64, is_x86 ? CS_MODE_64 : CS_MODE_ARM, &handle) == CS_ERR_OK, "capstone");
    cs_insn *insn = cs_malloc(handle);
    for (int round = -2; round < rounds; round++) /* two to warm up */
        for (int who = 0; who < CONTESTANTS; who++) {
            (void)measure((contestant)who, handle, insn); /* or it would pay for the caches that another filled */
            const double nanoseconds = measure((contestant)who, handle, insn);
            if (round >= 0) samples[who][round] = nanoseconds;
        }
    for (int who = 0; who < CONTESTANTS; who++) {
        qsort(samples[who], (size_t)rounds, sizeof samples[who][0], compare);
        (void)printf("%.0f\n", samples[who][rounds / 2]);
    }
    return 0;
}
