/* policy.c - the embedder's own policy from C: an arena whose code has no vector instructions and small frames only.
 *
 *   core=src/interlock/core/_native
 *   cc -Icore/include examples/policy.c -L$core -linterlock -Wl,-rpath,$PWD/$core -o policy && ./policy $PWD/$core/interlock-writer
 */
#include <interlock.h>
#include <stdio.h>

/* x86-64: mov eax, 42; ret - and: vaddpd ymm0, ymm0, ymm1; ret - and: sub rsp, 4096; add rsp, 4096; ret */
static const uint8_t plain[] = {0xb8, 42, 0, 0, 0, 0xc3};
static const uint8_t vectors[] = {0xc5, 0xfd, 0x58, 0xc1, 0xc3};
static const uint8_t large_frame[] = {0x48, 0x81, 0xec, 0, 16, 0, 0, 0x48, 0x81, 0xc4, 0, 16, 0, 0, 0xc3};

static int publish(il_arena arena, const uint8_t *bytes, uint32_t count) {
    static const uint32_t entry = 0;
    const il_image image = {.arch = IL_ARCH_X86_64, .code = bytes, .code_bytes = count, .entries = &entry, .entry_count = 1};
    il_code code;
    uint64_t address;
    il_verdict verdict;
    const il_status status = il_publish(arena, &image, &code, &address, &verdict);
    if (status == IL_OK) {
        printf("accepted: f() = %d\n", ((int (*)(void))(uintptr_t)address)());
        return 1;
    }
    if (status == IL_REJECTED)
        printf("refused: V%03u at %u: %s (%s)\n", (unsigned)verdict.rule, (unsigned)verdict.offset, il_rule_text(verdict.rule),
               verdict.detail);
    return 0;
}

int main(int count, char **arguments) {
    il_policy policy = IL_POLICY_PERMITTED; /* ours, to be narrowed */
    il_arena arena, other;
    if (count != 2 || il_region_open(arguments[1]) != IL_OK) return 1;
    policy.refused_classes = IL_CLASS_AVX | IL_CLASS_FMA;
    policy.frame_bytes_max = 256;
    if (il_arena_open(NULL, 0, &policy, 1 << 20, &arena) != IL_OK) return 1;
    /* From here on it is the writer's: what happens to ours changes nothing. */
    policy.refused_classes = 0;
    if (!publish(arena, plain, sizeof plain) || publish(arena, vectors, sizeof vectors) ||
        publish(arena, large_frame, sizeof large_frame))
        return 1;
    policy.frame_bytes_max = IL_FRAME_BYTES_MAX + 1;
    printf("a wider policy: %s\n", il_status_text(il_arena_open(NULL, 0, &policy, 1 << 20, &other)));
    return il_arena_close(arena) == IL_OK ? 0 : 1;
}
