/* decode_batch_x86_64.c - what the x86-64 validator thinks of many single instructions, for tests that compare it with decoders.
 *
 * Test only.  Includes the validator's source, so that its private decoder is the one that is asked.
 */
#include "../src/validate_x86_64.c"

enum { CASE_BYTES = 16, RODATA_BYTES = 64, CODE_BYTES = CASE_BYTES + DECODE_BYTES };

typedef struct decoded {
    uint16_t writes, classes; /* classes: lock included */
    uint8_t rule;             /* 0 = accepted; branches may leave the image */
    uint8_t length, check, memory_bytes_log2;
} decoded;

static il_validate_scratch batch_scratch;

static void keep_first(void *context, const il_verdict *verdict) {
    uint32_t *rule = context;
    if (*rule == 0 && verdict->rule != IL_RULE_BRANCH_TARGET) *rule = verdict->rule;
}

/* cases: count encodings of CASE_BYTES each, padded by the caller. */
__attribute__((visibility("default"))) void decode_batch(const uint8_t *cases, uint32_t count, decoded *out) {
    static const uint8_t rodata[RODATA_BYTES];
    uint8_t code[CODE_BYTES];
    uint8_t tail[DECODE_BYTES];
    const il_image image = {
        .arch = IL_ARCH_X86_64, .code_bytes = CODE_BYTES, .rodata_bytes = RODATA_BYTES, .code = code, .rodata = rodata};
    for (uint32_t index = 0; index < count; index++) {
        uint32_t rule = 0;
        insn in;
        il_pass run = {.image = &image, .scratch = &batch_scratch, .report = keep_first, .context = &rule};
        il_shape_forget(&run);
        memset(code, 0xCC, sizeof code);
        memcpy(code, cases + (size_t)index * CASE_BYTES, CASE_BYTES);
        const uint8_t *bytes = decode_at(&image, 0, tail, &in);
        (void)check_instruction(&run, &in, bytes);
        if (in.rule == 0) read_operands(bytes, &in); /* which check_instruction leaves out where no rule asks */
        out[index] = (decoded){.writes = (uint16_t)(in.rule == 0 ? in.writes : 0),
                               .classes = (uint16_t)classes_of(&in),
                               .rule = (uint8_t)rule,
                               .length = (uint8_t)in.length,
                               .check = in.row->check,
                               .memory_bytes_log2 = in.row->memory_log2};
    }
}
