/* calculator.c - a just-in-time compiler for reverse Polish notation, written for a Mac; runs on Linux too.
 *
 *     cc calculator.c $(python -m interlock.apple --cflags --libs) -o calculator          Linux
 *     cc calculator.c -I apple/include -o calculator                                      macOS; codesign gives entitlements
 *     interlock mac exec --profile macos-arm64-allowlist -- ./calculator 6 7 '*'          prints 42
 *
 * The five steps of every such program: memory with MAP_JIT, a list of callbacks, a callback that checks what it writes, caches,
 * the call.  tests/apple/mistakes.txt makes each classic mistake in this file, and says what a Mac does then.
 */
#include <interlock/pthread_jit.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ADD, SUBTRACT, MULTIPLY, NUMBER, RESULT, TEMPLATE_COUNT };
#define OPERATIONS "+-*"

struct template {
    unsigned char code[16];
    size_t bytes;
    size_t immediate_at; /* of 4 bytes; 0 if there is none */
    int pops, pushes;
};

#if defined(__x86_64__)
#include "calculator_x86_64.h"
#else
#include "calculator_aarch64.h"
#endif

enum { CODE_BYTES_MAX = 4096 };

/* What the compiler made: not trusted by the callback. */
struct code {
    size_t bytes;
    unsigned char instructions[CODE_BYTES_MAX];
};

static unsigned char *region;

/* ---- Compiling: each operation is one template ----------------------------------------------------------------------------- */

static int append(struct code *code, const struct template *template, int32_t immediate) {
    if (code->bytes + template->bytes > CODE_BYTES_MAX) {
        return -1;
    }
    unsigned char *at = code->instructions + code->bytes;
    memcpy(at, template->code, template->bytes);
    if (template->immediate_at != 0) {
        memcpy(at + template->immediate_at, &immediate, sizeof immediate);
    }
    code->bytes += template->bytes;
    return 0;
}

static int compile(int count, char **words, struct code *code_out) {
    code_out->bytes = 0;
    for (int i = 0; i < count; i++) {
        const char *operation = strchr(OPERATIONS, words[i][0]);
        int is_number = operation == NULL || words[i][1] != '\0';
        const struct template *template = is_number ? &TEMPLATES[NUMBER] : &TEMPLATES[operation - OPERATIONS];
        if (append(code_out, template, (int32_t)strtol(words[i], NULL, 10)) != 0) {
            return -1;
        }
    }
    return append(code_out, &TEMPLATES[RESULT], 0);
}

/* ---- Checking: nothing but templates, which never take more from the stack than is there ----------------------------------- */

static const struct template *match(const unsigned char *at, size_t bytes) {
    for (int i = 0; i < TEMPLATE_COUNT; i++) {
        const struct template *template = &TEMPLATES[i];
        size_t head = template->immediate_at != 0 ? template->immediate_at : template->bytes;
        size_t tail = template->immediate_at != 0 ? head + sizeof(int32_t) : head;
        if (template->bytes <= bytes && memcmp(at, template->code, head) == 0 &&
            memcmp(at + tail, template->code + tail, template->bytes - tail) == 0) {
            return template;
        }
    }
    return NULL;
}

static int is_permitted(const unsigned char *code, size_t bytes) {
    int depth = 0;
    for (size_t at = 0; at < bytes;) {
        const struct template *template = match(code + at, bytes - at);
        if (template == NULL || depth < template->pops) {
            return 0;
        }
        depth += template->pushes - template->pops;
        at += template->bytes;
        if (template == &TEMPLATES[RESULT]) {
            return at == bytes && depth == 0;
        }
    }
    return 0;
}

/* ---- Writing --------------------------------------------------------------------------------------------------------------- */

/* The one function that may write code.  It checks a copy of its own, because `context` may change under its hands. */
static int write_code(void *context) {
    static struct code copy;
    memcpy(&copy, context, sizeof copy);
    if (copy.bytes > CODE_BYTES_MAX || !is_permitted(copy.instructions, copy.bytes)) {
        return -1;
    }
    memcpy(region, copy.instructions, copy.bytes);
    return 0;
}

PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(write_code);

int main(int count, char **words) {
    struct code code;
    size_t region_bytes = (size_t)getpagesize();
    region = mmap(NULL, region_bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_ANON | MAP_PRIVATE | MAP_JIT, -1, 0);
    if (region == MAP_FAILED) {
        perror("mmap");
        return EXIT_FAILURE;
    }
    if (compile(count - 1, words + 1, &code) != 0) {
        fputs("the expression is too long\n", stderr);
        return EXIT_FAILURE;
    }
    if (pthread_jit_write_with_callback_np(write_code, &code) != 0) {
        fputs("not a valid expression\n", stderr);
        return EXIT_FAILURE;
    }
    sys_icache_invalidate(region, code.bytes);
    int (*function)(void) = (int (*)(void))(void *)region;
    printf("%d\n", function());
    return EXIT_SUCCESS;
}
