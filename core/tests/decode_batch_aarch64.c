/* decode_batch_aarch64.c - what the AArch64 validator thinks of many single words, for tests that compare it with disassemblers.
 *
 * Test only.  Includes the validator's source, so that its private decoder is the one that is asked.
 */
#include "../src/validate_aarch64.c"

/* row: 0 or 1 + the index of the line.  rule: of the word alone, 0 = accepted, whatever it branches to or names. */
typedef struct decoded {
    uint32_t writes;
    uint16_t row;
    uint8_t rule, is_unpredictable;
} decoded;

static void keep_first(void *context, const il_verdict *verdict) {
    uint32_t *rule = context;
    const bool depends = verdict->rule == IL_RULE_BRANCH_TARGET || verdict->rule == IL_RULE_INDIRECT_BRANCH ||
                         verdict->rule == IL_RULE_RIP_RELATIVE;
    if (*rule == 0 && !depends) *rule = verdict->rule;
}

__attribute__((visibility("default"))) void decode_batch_aarch64(const uint32_t *words, uint32_t count, decoded *out) {
    static il_validate_scratch scratch;
    for (uint32_t index = 0; index < count; index++) {
        const il_image image = {.arch = IL_ARCH_AARCH64, .code_bytes = 4, .code = (const uint8_t *)&words[index]};
        uint32_t rule = 0;
        il_pass run = {.image = &image, .scratch = &scratch, .report = keep_first, .context = &rule};
        insn in = {.word = words[index], .row = find_row(words[index])};
        in.writes = registers_written(in.row, in.word);
        if ((in.row->flags & IL_A64_LOOK) | (in.writes & (X18_BIT | SP_BIT))) (void)check_closely(&run, &in);
        if (in.row->rule != 0) rule = in.row->rule;
        out[index] = (decoded){.writes = in.writes,
                               .row = (uint16_t)(in.row - il_a64_rows),
                               .rule = (uint8_t)rule,
                               .is_unpredictable = is_unpredictable(in.row, in.word)};
    }
}
