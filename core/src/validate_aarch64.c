/* validate_aarch64.c - the code validator for AArch64, policy `permitted`.
 *
 * One linear pass: each word is loaded once and classified by the table's decision tree; what the table does not list is refused.
 * Most words need nothing more than a look at the general registers they write.  Branch targets are noted in a bitmap and compared
 * with the instructions that may be branched to: all but the inner ones of a sequence.  Everything is bounded by the image's
 * limits, nothing recurses, nothing is allocated.
 *
 * Reserved: x18, which the platform owns on macOS, and sp, which moves by at most a frame at a time.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "../tables/aarch64_table.h"
#include "validate.h"

enum { WORD_BYTES = 4, FP = 29, SP = 31, SEQUENCE_BYTES_MAX = 128 };
#define X18_BIT (UINT32_C(1) << 18)
#define SP_BIT (UINT32_C(1) << SP) /* of a set of registers; zr is in none */

typedef enum stage { STAGE_NONE = 0, STAGE_ADR, STAGE_LOAD, STAGE_SUM } stage;

typedef struct insn {
    const il_a64_row *row;
    uint32_t word, offset, writes;
} insn;

typedef struct pass {
    const il_image *image;
    il_validate_scratch *scratch; /* here one bit for each word */
    il_report report;             /* NULL: stop at the first violation */
    void *context;
    il_verdict verdict;      /* the latest violation */
    const il_policy *policy; /* NULL: nothing refused beyond our own */
    uint32_t violations, import_count, refused_classes;
    uint32_t next_relocation, relocation_offset; /* of the next one; UINT32_MAX behind the last */
    uint32_t watched;                            /* registers of which a write needs a closer look */
    /* The jump-table shape: adr base, ..; ldrsw index, [table, x, lsl #2]; add sum, base, index; br sum. */
    uint32_t shape_start, shape_base, shape_index, shape_sum;
    stage shape;
    /* An aligned frame: sub copy, sp, #n; perhaps sub copy, copy, #n; and sp, copy, #-align.  0 bytes: none. */
    uint32_t copy_start, copy_register, copy_bytes;
} pass;

static uint32_t field(uint32_t word, uint32_t low, uint32_t bits) { return word >> low & ((UINT32_C(1) << bits) - 1); }

static int32_t signed_field(uint32_t word, uint32_t low, uint32_t bits) {
    const uint32_t sign = UINT32_C(1) << (bits - 1);
    return (int32_t)(field(word, low, bits) ^ sign) - (int32_t)sign;
}

static uint32_t load_word(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word); /* instructions and constants are little endian, and so is every host of this table */
    return word;
}

static bool bit_test(const uint64_t *bits, uint32_t index) { return (bits[index >> 6] >> (index & 63)) & 1; }
static void bit_set(uint64_t *bits, uint32_t index) { bits[index >> 6] |= UINT64_C(1) << (index & 63); }
static void bit_clear(uint64_t *bits, uint32_t index) { bits[index >> 6] &= ~(UINT64_C(1) << (index & 63)); }

/* ---- Decoding --------------------------------------------------------------------------------------------------------------- */
/* The generator makes trees, so each step goes down and the loop ends; most words need none of it. */
static inline const il_a64_row *find_row(uint32_t word) {
    const il_a64_node *node = &il_a64_root[word >> 21];
    uint32_t entry = il_a64_children[node->first + (word >> node->shift & node->mask)];
    while (entry & 0x8000u) {
        node = &il_a64_nodes[entry & 0x7FFF];
        entry = il_a64_children[node->first + (word >> node->shift & node->mask)];
    }
    return &il_a64_rows[entry];
}

/* The general registers written, as a set.  IL_A64_D is bit 0 of the flags, IL_A64_A bit 1 and so on: no branches. */
static inline uint32_t registers_written(const il_a64_row *row, uint32_t word) {
    const uint32_t has = row->flags;
    const uint32_t zr = (has & 1) << (word & 31) | (has >> 1 & 1) << (word >> 10 & 31) | (has >> 2 & 3) << (word >> 16 & 31);
    const uint32_t sp = (has >> 4 & 1) << (word & 31) | (has >> 5 & 1) << (word >> 5 & 31);
    return (zr & ~SP_BIT) | sp | (has >> 6 & 1) << 30;
}

/* Whether two fields name one register where the architecture leaves open what happens then. */
static bool is_unpredictable(const il_a64_row *row, uint32_t word) {
    const uint32_t d = word & 31, n = word >> 5 & 31, a = word >> 10 & 31, m = word >> 16 & 31;
    return ((row->flags & IL_A64_D_IS_A) && d == a) || ((row->flags & IL_A64_M_IS_D) && m == d) ||
           ((row->flags & IL_A64_M_IS_A) && m == a) || ((row->flags & IL_A64_N_IS_D) && n == d && n != SP) ||
           ((row->flags & IL_A64_N_IS_A) && n == a && n != SP) || ((row->flags & IL_A64_M_IS_N) && m == n && n != SP);
}

/* ---- Verdicts --------------------------------------------------------------------------------------------------------------- */
/* Returns whether to go on.  bytes_count: of word, 0 where the violation is no instruction's. */
static bool reject(pass *run, uint32_t rule, uint32_t offset, uint32_t word, uint32_t bytes_count, const char *detail) {
    il_verdict *verdict = &run->verdict;
    uint32_t length = 0;
    memset(verdict, 0, sizeof *verdict);
    verdict->rule = rule;
    verdict->offset = offset;
    verdict->bytes_count = bytes_count;
    memcpy(verdict->bytes, &word, bytes_count);
    while (length + 1 < sizeof verdict->detail && detail[length] != '\0') length++;
    memcpy(verdict->detail, detail, length);
    run->violations++;
    if (run->report == NULL) return false;
    run->report(run->context, verdict);
    return true;
}

static bool reject_insn(pass *run, uint32_t rule, const insn *in, const char *detail) {
    return reject(run, rule, in->offset, in->word, WORD_BYTES, detail);
}

static bool reject_item(pass *run, uint32_t rule, uint32_t offset, const char *detail) {
    return reject(run, rule, offset, 0, 0, detail);
}

/* ---- Sequences -------------------------------------------------------------------------------------------------------------- */
static void watch(pass *run) {
    run->watched = X18_BIT | SP_BIT;
    if (run->shape == STAGE_SUM) run->watched |= UINT32_C(1) << run->shape_sum;
    if (run->copy_bytes != 0) run->watched |= UINT32_C(1) << run->copy_register;
}

static void forget_sequences(pass *run) {
    run->shape = STAGE_NONE;
    run->copy_bytes = 0;
    watch(run);
}

/* A finished sequence is one unit: nothing may branch behind its first instruction. */
static bool close_sequence(pass *run, uint32_t start, uint32_t end) {
    if (end - start > SEQUENCE_BYTES_MAX) return false;
    for (uint32_t inner = start + WORD_BYTES; inner <= end; inner += WORD_BYTES) bit_clear(run->scratch->starts, inner / WORD_BYTES);
    return true;
}

/* The first three parts follow each other directly; between add and br the sum must stay as it is. */
static void track_shape(pass *run, const insn *in) {
    const uint32_t d = in->word & 31, n = in->word >> 5 & 31, m = in->word >> 16 & 31;
    const uint32_t step = in->offset - run->shape_start;
    if (in->row->check == IL_A64_ADR) {
        run->shape = d != SP ? STAGE_ADR : STAGE_NONE;
        run->shape_start = in->offset;
        run->shape_base = d;
    } else if (in->row->check == IL_A64_TABLE_LOAD && run->shape == STAGE_ADR && step == WORD_BYTES && d != run->shape_base) {
        run->shape = STAGE_LOAD;
        run->shape_index = d;
    } else if (in->row->check == IL_A64_TABLE_ADD && run->shape == STAGE_LOAD && step == 2 * WORD_BYTES && n == run->shape_base &&
               m == run->shape_index && d != SP) {
        run->shape = STAGE_SUM;
        run->shape_sum = d;
    } else if (run->shape == STAGE_SUM && (in->writes & UINT32_C(1) << run->shape_sum)) {
        run->shape = STAGE_NONE;
    }
}

static uint32_t immediate_12(uint32_t word) { return field(word, 10, 12) << (word & 1u << 22 ? 12 : 0); }

/* A copy of sp that lies below it by no more than a frame. */
static void track_copy(pass *run, const insn *in) {
    const uint32_t d = in->word & 31, n = in->word >> 5 & 31;
    const uint32_t bytes = immediate_12(in->word);
    if (in->row->check == IL_A64_SUB_SP && d != SP) {
        run->copy_start = in->offset;
        run->copy_register = d;
        run->copy_bytes = bytes <= IL_FRAME_BYTES_MAX ? bytes : 0;
    } else if (run->copy_bytes != 0 && (in->writes & (SP_BIT | UINT32_C(1) << run->copy_register))) {
        const bool is_sub = in->row->check == IL_A64_ADD_IMM && in->word >> 30 == 3 && d == n && d == run->copy_register;
        run->copy_bytes = is_sub && run->copy_bytes + bytes <= IL_FRAME_BYTES_MAX ? run->copy_bytes + bytes : 0;
    }
}

/* ---- Rules for one instruction ------------------------------------------------------------------------------------------------ */
/* By how much a pre- or post-index immediate moves the base: pairs, structures (at most four vectors), single registers. */
static int32_t writeback_bytes(uint32_t word) {
    const bool is_vector = word >> 26 & 1;
    if (field(word, 27, 3) == 5) return signed_field(word, 15, 7) * (4 << (is_vector ? word >> 30 : word >> 31));
    return field(word, 27, 3) == 1 ? 64 : signed_field(word, 12, 9);
}

/* The only writes of sp: add and sub by at most a frame, mov and sub from x29, writeback, and alignment.  0 or the rule broken. */
static uint32_t check_stack_pointer(pass *run, const insn *in) {
    const uint32_t n = in->word >> 5 & 31;
    const bool is_sub = in->word >> 30 & 1;
    switch (in->row->check) {
    case IL_A64_WRITEBACK: return il_frame_rule(run->policy, writeback_bytes(in->word));
    case IL_A64_ADD_IMM:
    case IL_A64_SUB_SP:
        if (in->word >> 31 == 0 || (n != SP && n != FP)) return IL_RULE_RESERVED_REGISTER;
        if (il_frame_rule(run->policy, immediate_12(in->word)) != 0) return il_frame_rule(run->policy, immediate_12(in->word));
        return n == SP || is_sub || immediate_12(in->word) == 0 ? 0 : IL_RULE_RESERVED_REGISTER;
    case IL_A64_AND_IMM:
        for (uint32_t log2 = 4; log2 <= 6; log2++) { /* and sp, copy, #-16, #-32, #-64 */
            if ((in->word & ~UINT32_C(0x3E0)) != (0x9240001Fu | (64 - log2) << 16 | (63 - log2) << 10)) continue;
            const bool is_copy = run->copy_bytes != 0 && run->copy_register == n;
            return is_copy && close_sequence(run, run->copy_start, in->offset) ? 0 : IL_RULE_RESERVED_REGISTER;
        }
        return IL_RULE_RESERVED_REGISTER;
    default: return IL_RULE_RESERVED_REGISTER;
    }
}

/* The size of the access, as a power of two, that the relocation kind is for; 0 for add, -1 when unknown. */
static int32_t lo12_log2(uint32_t kind) {
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

/* Whether the instruction's field is the one, still empty, which the relocation fills. */
static bool is_relocatable(const insn *in, uint32_t kind) {
    const uint32_t word = in->word, check = in->row->check;
    switch (kind) {
    case IL_R_AARCH64_CALL26: return check == IL_A64_BL && field(word, 0, 26) == 0;
    case IL_R_AARCH64_JUMP26: return check == IL_A64_B && field(word, 0, 26) == 0;
    case IL_R_AARCH64_ADR_PREL_PG_HI21: return check == IL_A64_ADRP && (word & 0x60FFFFE0u) == 0;
    case IL_R_AARCH64_ADD_ABS_LO12_NC: return (word & 0xFFFFFC00u) == 0x91000000u && !(in->writes & SP_BIT);
    default:
        if (field(word, 10, 12) != 0) return false;
        if (check == IL_A64_LOAD_LO12) return lo12_log2(kind) == (int32_t)(word >> 30);
        return check == IL_A64_LOAD_LO12_V && lo12_log2(kind) == (int32_t)(word >> 30 | (word >> 21 & 4));
    }
}

static void next_relocation(pass *run) {
    const uint32_t next = ++run->next_relocation;
    run->relocation_offset = next < run->image->relocation_count ? run->image->relocations[next].offset : UINT32_MAX;
}

/* Relocations are consumed in step with the code.  relocated_out: one applied to this instruction. */
static bool check_relocation(pass *run, const insn *in, bool *relocated_out) {
    const il_relocation relocation = run->image->relocations[run->next_relocation];
    const bool is_second = *relocated_out;
    next_relocation(run);
    *relocated_out = true;
    if (is_second || relocation.offset != in->offset || !is_relocatable(in, relocation.kind))
        return reject_insn(run, IL_RULE_RELOCATION, in, "a relocation is out of order, or not for the empty field of this instruction");
    if (relocation.kind == IL_R_AARCH64_CALL26 || relocation.kind == IL_R_AARCH64_JUMP26)
        return relocation.target < run->import_count ||
               reject_insn(run, IL_RULE_RELOCATION_TARGET, in, "the import index is past the table");
    const int32_t log2 = lo12_log2(relocation.kind); /* -1: adrp, which only names a page */
    const uint32_t bytes = UINT32_C(1) << (log2 < 0 ? 0 : log2);
    if ((uint64_t)relocation.target + bytes > run->image->rodata_bytes)
        return reject_insn(run, IL_RULE_RIP_RELATIVE, in, "the relocation's target lies outside the constants");
    return relocation.target % bytes == 0 || reject_insn(run, IL_RULE_RELOCATION, in, "the constant is not aligned to its size");
}

/* The offset of a branch's or adr's target; false when the instruction has none. */
static bool find_target(const insn *in, int64_t *target_out) {
    switch (in->row->check) {
    case IL_A64_B:
    case IL_A64_BL: *target_out = in->offset + INT64_C(4) * signed_field(in->word, 0, 26); return true;
    case IL_A64_B_COND: *target_out = in->offset + INT64_C(4) * signed_field(in->word, 5, 19); return true;
    case IL_A64_TBZ: *target_out = in->offset + INT64_C(4) * signed_field(in->word, 5, 14); return true;
    case IL_A64_ADR: *target_out = in->offset + (INT64_C(4) * signed_field(in->word, 5, 19) | (in->word >> 29 & 3)); return true;
    default: return false;
    }
}

static bool is_in_code(const pass *run, int64_t target) {
    return target >= 0 && target % WORD_BYTES == 0 && target + WORD_BYTES <= (int64_t)run->image->code_bytes;
}

static bool check_control_flow(pass *run, const insn *in, bool is_relocated) {
    const uint32_t check = in->row->check;
    int64_t target;
    if (!is_relocated && find_target(in, &target)) {
        if (is_in_code(run, target)) bit_set(run->scratch->targets, (uint32_t)target / WORD_BYTES);
        else if (!reject_insn(run, check == IL_A64_ADR ? IL_RULE_RIP_RELATIVE : IL_RULE_BRANCH_TARGET, in,
                              "the target is no instruction of the image"))
            return false;
    }
    if (check == IL_A64_ADRP && !is_relocated && !reject_insn(run, IL_RULE_RIP_RELATIVE, in, "adrp without a relocation")) return false;
    if (check == IL_A64_BR) {
        const bool is_shape = run->shape == STAGE_SUM && run->shape_sum == (in->word >> 5 & 31) && run->image->jump_table_count != 0;
        if (!(is_shape && close_sequence(run, run->shape_start, in->offset)) &&
            !reject_insn(run, IL_RULE_INDIRECT_BRANCH, in, "not the end of a jump-table sequence"))
            return false;
    }
    return true;
}

/* Everything that most instructions do not need. */
static bool check_closely(pass *run, const insn *in) {
    bool is_relocated = false;
    while (run->relocation_offset < in->offset + WORD_BYTES)
        if (!check_relocation(run, in, &is_relocated)) return false;
    if (in->row->rule != 0) return reject_insn(run, in->row->rule, in, "");
    if (is_unpredictable(in->row, in->word) &&
        !reject_insn(run, IL_RULE_UNKNOWN_INSTRUCTION, in, "unpredictable: two operands must be different registers"))
        return false;
    if ((in->writes & X18_BIT) && !reject_insn(run, IL_RULE_RESERVED_REGISTER, in, "x18")) return false;
    if (in->writes & SP_BIT) {
        const uint32_t rule = check_stack_pointer(run, in);
        if (rule != 0 && !reject_insn(run, rule, in, "sp")) return false;
    }
    if (!check_control_flow(run, in, is_relocated)) return false;
    track_shape(run, in);
    track_copy(run, in);
    if (in->row->check >= IL_A64_B_COND) forget_sequences(run);
    else watch(run);
    return true;
}

/* ---- Rules for the image -------------------------------------------------------------------------------------------------------- */
static bool check_instructions(pass *run) {
    const uint32_t words = run->image->code_bytes / WORD_BYTES, rest = run->image->code_bytes % WORD_BYTES;
    insn in = {.row = &il_a64_rows[0], .offset = 0};
    for (uint32_t index = 0; index < words; index++) {
        in.offset = index * WORD_BYTES;
        in.word = load_word(run->image->code + in.offset);
        in.row = find_row(in.word);
        in.writes = registers_written(in.row, in.word);
        if ((in.row->classes & run->refused_classes) != 0 &&
            !reject_insn(run, IL_RULE_POLICY, &in, "the policy refuses this class of instructions"))
            return false;
        const uint32_t is_special = (in.row->flags & IL_A64_LOOK) | (in.writes & run->watched) | (in.offset >= run->relocation_offset);
        if (is_special && !check_closely(run, &in)) return false;
    }
    if (rest != 0)
        return reject(run, IL_RULE_TRUNCATED_INSTRUCTION, words * WORD_BYTES, 0, 0, "the code is no whole number of words");
    /* Also where a nop follows: an entry may name it.  Behind a refused word nobody knows: no second complaint. */
    if (in.row->check < IL_A64_B && in.row->rule == 0 &&
        !reject_item(run, IL_RULE_FALL_THROUGH, in.offset, "the last instruction does not end the flow"))
        return false;
    for (; run->next_relocation < run->image->relocation_count; next_relocation(run))
        if (!reject_item(run, IL_RULE_RELOCATION, run->relocation_offset, "outside the code")) return false;
    return true;
}

/* Finds who branches to a place that is no start.  Only a bad image is read again. */
static bool report_targets(pass *run) {
    insn in;
    int64_t target;
    for (in.offset = 0; in.offset + WORD_BYTES <= run->image->code_bytes; in.offset += WORD_BYTES) {
        in.word = load_word(run->image->code + in.offset);
        in.row = find_row(in.word);
        if (!find_target(&in, &target) || !is_in_code(run, target)) continue;
        const uint32_t index = (uint32_t)target / WORD_BYTES;
        if (bit_test(run->scratch->starts, index) || !bit_test(run->scratch->targets, index)) continue;
        if (!reject_insn(run, IL_RULE_BRANCH_TARGET, &in, "the target is inside a sequence")) return false;
    }
    return true;
}

static bool check_targets(pass *run) {
    const uint32_t groups = (run->image->code_bytes / WORD_BYTES + 63) / 64;
    uint64_t bad = 0;
    for (uint32_t group = 0; group < groups; group++) bad |= run->scratch->targets[group] & ~run->scratch->starts[group];
    return bad == 0 || report_targets(run);
}

static bool is_start(const pass *run, int64_t offset) {
    return is_in_code(run, offset) && bit_test(run->scratch->starts, (uint32_t)offset / WORD_BYTES);
}

static bool check_entries(pass *run) {
    const il_image *image = run->image;
    for (uint32_t index = 0; index < image->entry_count; index++) {
        const bool is_ascending = index == 0 || image->entries[index - 1] < image->entries[index];
        if (is_ascending && is_start(run, image->entries[index])) continue;
        if (!reject_item(run, IL_RULE_ENTRY, image->entries[index], is_ascending ? "" : "the entries are not in ascending order"))
            return false;
    }
    return true;
}

static bool check_jump_tables(pass *run) {
    const il_image *image = run->image;
    uint64_t total_bytes = 0;
    for (uint32_t index = 0; index < image->jump_table_count; index++) {
        const il_jump_table *table = &image->jump_tables[index];
        const uint64_t bytes = (uint64_t)table->count * 4;
        total_bytes += bytes; /* tables cannot share bytes, which also bounds the time spent here */
        if (table->count == 0 || table->rodata_offset % 4 != 0 || table->rodata_offset + bytes > image->rodata_bytes ||
            total_bytes > image->rodata_bytes) {
            if (!reject_item(run, IL_RULE_JUMP_TABLE, table->rodata_offset, "outside the constants, empty or unaligned")) return false;
            continue;
        }
        for (uint32_t entry = 0; entry < table->count; entry++) {
            const uint32_t at = table->rodata_offset + entry * 4;
            if (is_start(run, (int64_t)table->base_offset + (int32_t)load_word(image->rodata + at))) continue;
            if (!reject_item(run, IL_RULE_JUMP_TABLE, at, "an entry names no instruction")) return false;
        }
    }
    return true;
}

static bool check_sizes(pass *run) {
    const il_image *image = run->image;
    if (image->code_bytes == 0 || image->code_bytes > IL_IMAGE_CODE_BYTES_MAX || image->rodata_bytes > IL_IMAGE_RODATA_BYTES_MAX ||
        image->entry_count == 0 || image->entry_count > IL_IMAGE_ENTRIES_MAX ||
        image->relocation_count > IL_IMAGE_RELOCATIONS_MAX || image->jump_table_count > IL_IMAGE_TABLES_MAX)
        return reject_item(run, IL_RULE_IMAGE_SIZE, 0, "") && false;
    return true;
}

static void validate(pass *run) {
    if (!check_sizes(run)) return;
    const uint32_t groups = (run->image->code_bytes / WORD_BYTES + 63) / 64;
    memset(run->scratch->starts, 0xFF, groups * sizeof run->scratch->starts[0]);
    memset(run->scratch->targets, 0, groups * sizeof run->scratch->targets[0]);
    run->relocation_offset = run->image->relocation_count != 0 ? run->image->relocations[0].offset : UINT32_MAX;
    forget_sequences(run);
    (void)(check_instructions(run) && check_targets(run) && check_entries(run) && check_jump_tables(run));
}

static pass begin(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch) {
    pass run = {.image = image, .scratch = scratch, .policy = policy, .import_count = import_count};
    run.refused_classes = policy == NULL ? 0 : policy->refused_classes;
    return run;
}

bool il_validate_aarch64(const il_image *image, const il_policy *policy, uint32_t import_count, il_validate_scratch *scratch,
                         il_verdict *verdict_out) {
    pass run = begin(image, policy, import_count, scratch);
    validate(&run);
    *verdict_out = run.verdict;
    return run.violations == 0;
}

static void count_only(void *context, const il_verdict *verdict) {
    (void)context;
    (void)verdict;
}

uint32_t il_validate_aarch64_all(const il_image *image, const il_policy *policy, uint32_t import_count,
                                 il_validate_scratch *scratch, il_report report, void *context) {
    pass run = begin(image, policy, import_count, scratch);
    run.report = report == NULL ? count_only : report;
    run.context = context;
    validate(&run);
    return run.violations;
}
