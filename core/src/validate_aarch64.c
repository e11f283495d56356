/* validate_aarch64.c - the code validator for AArch64, policy `permitted`.
 *
 * One linear pass: each word is loaded once and classified by the table's decision tree; what the table does not list is refused.
 * Most words need nothing more than a look at the general registers they write.  Every word may be branched to, but the inner
 * ones of a jump-table sequence.
 *
 * Reserved: x18, which the platform owns on macOS, and sp, which moves by at most a frame at a time.
 */
#include <string.h>

#include "../generated/aarch64.h"
#include "validate.h"

enum { WORD_BYTES = 4, FP = 29, SP = 31 };
#define X18_BIT (UINT32_C(1) << 18)
#define SP_BIT (UINT32_C(1) << SP) /* of a set of registers; zr is in none */
/* The fields d, n, a, m of five bits each, at bits 0, 5, 10, 16. */
#define FIELDS_LOW UINT32_C(0x10421)
#define FIELDS_HIGH (FIELDS_LOW << 4)
#define FIELDS_X18 (FIELDS_LOW * 18)
#define FIELDS_SP (FIELDS_LOW * 31)

typedef struct insn {
    const il_a64_row *row;
    uint32_t word, offset, writes;
} insn;

static uint32_t field(uint32_t word, uint32_t low, uint32_t bits) { return word >> low & ((UINT32_C(1) << bits) - 1); }

static int32_t signed_field(uint32_t word, uint32_t low, uint32_t bits) {
    const uint32_t sign = UINT32_C(1) << (bits - 1);
    return (int32_t)(field(word, low, bits) ^ sign) - (int32_t)sign;
}

/* ---- Decoding -------------------------------------------------------------------------------------------------------------- */
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

/* Whether a field of the mask holds the number (in each field of numbers): a lane of zeros is found by the borrow from its
 * highest bit, and a lane below one that is zero cannot hide it. */
static inline uint32_t has_field(uint32_t word, uint32_t mask, uint32_t numbers) {
    const uint32_t lanes = (word ^ numbers) | ~mask;
    return (lanes - FIELDS_LOW) & ~lanes & FIELDS_HIGH;
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
    if (!(row->flags & IL_A64_UNPREDICTABLE)) return false;
    return ((row->flags & IL_A64_D_IS_A) && d == a) || ((row->flags & IL_A64_M_IS_D) && m == d) ||
           ((row->flags & IL_A64_M_IS_A) && m == a) || ((row->flags & IL_A64_N_IS_D) && n == d && n != SP) ||
           ((row->flags & IL_A64_N_IS_A) && n == a && n != SP) || ((row->flags & IL_A64_M_IS_N) && m == n && n != SP);
}

static bool reject(il_pass *run, uint32_t rule, const insn *in, const char *detail) {
    return il_reject(run, rule, in->offset, (const uint8_t *)&in->word, WORD_BYTES, detail);
}

/* ---- Rules for one instruction --------------------------------------------------------------------------------------------- */
/* The jump-table sequence: adr base, ..; ldrsw load, [table, x, lsl #2]; add sum, base, load; br sum.  The first three follow
 * each other directly; between add and br the sum must stay as it is. */
static void track_shape(il_pass *run, const insn *in) {
    const uint32_t d = in->word & 31, n = in->word >> 5 & 31, m = in->word >> 16 & 31, step = in->offset - run->shape_offset;
    const uint32_t base = run->shape_base, load = run->shape_load;
    if (in->row->check == IL_A64_ADR) {
        il_shape_forget(run);
        run->shape_offset = in->offset;
        run->shape_base = d != SP ? d : IL_NO_REGISTER; /* zr */
    } else if (in->row->check == IL_A64_TABLE_LOAD && base != IL_NO_REGISTER && step == WORD_BYTES && d != base) {
        run->shape_load = d;
    } else if (in->row->check == IL_A64_TABLE_ADD && load != IL_NO_REGISTER && step == 2 * WORD_BYTES && n == base &&
               m == load && d != SP) {
        run->shape_sum = d;
        run->shape_live = UINT32_C(1) << d;
    } else if (in->writes & run->shape_live) {
        il_shape_forget(run);
    }
}

static uint32_t immediate_12(uint32_t word) { return field(word, 10, 12) << (word & 1u << 22 ? 12 : 0); }

/* By how much a pre- or post-index immediate moves the base: pairs, structures (at most four vectors), single registers. */
static int32_t writeback_bytes(uint32_t word) {
    const bool is_vector = word >> 26 & 1;
    if (field(word, 27, 3) == 5) return signed_field(word, 15, 7) * (4 << (is_vector ? word >> 30 : word >> 31));
    return field(word, 27, 3) == 1 ? 64 : signed_field(word, 12, 9);
}

/* The only writes of sp: add and sub by at most a frame, mov and sub from x29, writeback.  0 or the rule broken. */
static uint32_t check_stack_pointer(const il_pass *run, const insn *in) {
    const uint32_t n = in->word >> 5 & 31, immediate = immediate_12(in->word);
    const bool is_64 = in->word >> 31, is_sub = in->word >> 30 & 1;
    if (in->row->check == IL_A64_WRITEBACK) return il_frame_rule(run->policy, writeback_bytes(in->word));
    if (in->row->check != IL_A64_ADD_IMM || !is_64 || (n != SP && n != FP)) return IL_RULE_RESERVED_REGISTER;
    if (n == FP && !is_sub && immediate != 0) return IL_RULE_RESERVED_REGISTER;
    return il_frame_rule(run->policy, immediate);
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
        if (check == IL_A64_LOAD_LO12) return il_lo12_log2(kind) == (int32_t)(word >> 30);
        return check == IL_A64_LOAD_LO12_V && il_lo12_log2(kind) == (int32_t)(word >> 30 | (word >> 21 & 4));
    }
}

/* Relocations are consumed in step with the code.  relocated_out: one applied to this instruction. */
static bool check_relocation(il_pass *run, const insn *in, bool *relocated_out) {
    const il_relocation relocation = run->image->relocations[run->next_relocation];
    const bool is_second = *relocated_out;
    run->next_relocation++;
    *relocated_out = true;
    if (is_second || relocation.offset != in->offset || !is_relocatable(in, relocation.kind))
        return reject(run, IL_RULE_RELOCATION, in, "a relocation is out of order, or not for this instruction's empty field");
    if (relocation.kind == IL_R_AARCH64_CALL26 || relocation.kind == IL_R_AARCH64_JUMP26)
        return relocation.target < run->import_count ||
               reject(run, IL_RULE_RELOCATION_TARGET, in, "the import index is past the table");
    const int32_t log2 = il_lo12_log2(relocation.kind); /* -1: adrp, which only names a page */
    const uint32_t bytes = UINT32_C(1) << (log2 < 0 ? 0 : log2);
    if ((uint64_t)relocation.target + bytes > run->image->rodata_bytes)
        return reject(run, IL_RULE_RIP_RELATIVE, in, "the relocation's target lies outside the constants");
    return relocation.target % bytes == 0 || reject(run, IL_RULE_RELOCATION, in, "the constant is not aligned to its size");
}

/* The offset of a branch's or adr's target; false when the instruction has none. */
static bool find_target(const insn *in, int64_t *target_out) {
    static const struct {
        uint8_t low, bits;
    } fields[] = {[IL_A64_ADR] = {5, 19}, [IL_A64_B_COND] = {5, 19}, [IL_A64_TBZ] = {5, 14}, [IL_A64_BL] = {0, 26},
                  [IL_A64_B] = {0, 26},   [IL_A64_TRAP] = {0, 0}};
    const uint32_t check = in->row->check, low = fields[check].low, bits = fields[check].bits;
    if (bits == 0) return false;
    *target_out = in->offset + INT64_C(4) * signed_field(in->word, low, bits) + (check == IL_A64_ADR ? in->word >> 29 & 3 : 0);
    return true;
}

static bool check_control_flow(il_pass *run, const insn *in, bool is_relocated) {
    const uint32_t check = in->row->check;
    int64_t target;
    if (check == IL_A64_ADRP) return is_relocated || reject(run, IL_RULE_RIP_RELATIVE, in, "adrp without a relocation");
    if (check == IL_A64_BR)
        return il_shape_finish(run, in->offset, in->word >> 5 & 31) ||
               reject(run, IL_RULE_INDIRECT_BRANCH, in, "not the end of a jump-table sequence");
    if (is_relocated || !find_target(in, &target)) return true;
    if (check == IL_A64_ADR && (target < 0 || target % WORD_BYTES != 0 || target >= (int64_t)run->image->code_bytes))
        return reject(run, IL_RULE_RIP_RELATIVE, in, "the target lies outside the image");
    return il_branch(run, in->offset, WORD_BYTES, target);
}

static uint32_t relocation_offset(const il_pass *run) {
    const uint32_t next = run->next_relocation;
    return next < run->image->relocation_count ? run->image->relocations[next].offset : UINT32_MAX;
}

/* Everything that most instructions do not need. */
static bool check_closely(il_pass *run, const insn *in) {
    const uint32_t check = in->row->check;
    bool is_relocated = false;
    while (relocation_offset(run) < in->offset + WORD_BYTES)
        if (!check_relocation(run, in, &is_relocated)) return false;
    if (in->row->rule != 0) return reject(run, in->row->rule, in, "");
    if (is_unpredictable(in->row, in->word) &&
        !reject(run, IL_RULE_UNKNOWN_INSTRUCTION, in, "unpredictable: two operands must be different registers"))
        return false;
    if ((in->writes & X18_BIT) && !reject(run, IL_RULE_RESERVED_REGISTER, in, "x18")) return false;
    if (in->writes & SP_BIT) {
        const uint32_t rule = check_stack_pointer(run, in);
        if (rule != 0 && !reject(run, rule, in, "sp")) return false;
    }
    if (check >= IL_A64_ADRP && !check_control_flow(run, in, is_relocated)) return false;
    if (check >= IL_A64_B_COND) il_shape_forget(run);
    else track_shape(run, in);
    return true;
}

/* ---- The pass -------------------------------------------------------------------------------------------------------------- */
bool il_read_aarch64(il_pass *run) {
    const uint32_t words = run->image->code_bytes / WORD_BYTES;
    uint32_t next_relocation = relocation_offset(run);
    insn in = {.row = &il_a64_rows[0], .offset = 0};
    if (!run->is_second) memset(run->scratch->starts, 0x11, (words + 1) / 2); /* one bit for each byte: the first of every word */
    il_shape_forget(run);
    for (uint32_t index = 0; index < words; index++) {
        memcpy(&in.word, run->image->code + index * WORD_BYTES, sizeof in.word); /* little endian, and so is every host */
        in.offset = index * WORD_BYTES;
        in.row = find_row(in.word);
        if ((in.row->classes & run->refused_classes) != 0 &&
            !reject(run, IL_RULE_POLICY, &in, "the policy refuses this class of instructions"))
            return false;
        const uint32_t is_reserved = has_field(in.word, in.row->zr_fields | in.row->sp_fields, FIELDS_X18) |
                                     has_field(in.word, in.row->sp_fields, FIELDS_SP);
        if (((in.row->flags & IL_A64_LOOK) | is_reserved | run->shape_live | (in.offset >= next_relocation)) == 0) continue;
        in.writes = registers_written(in.row, in.word);
        if (!check_closely(run, &in)) return false;
        next_relocation = relocation_offset(run);
    }
    run->last_offset = in.offset;
    /* Not so where a nop follows: an entry may name it.  Behind a refused word nobody knows: no second complaint. */
    run->is_terminated = in.row->check >= IL_A64_B || in.row->rule != 0;
    return words * WORD_BYTES == run->image->code_bytes ||
           il_reject(run, IL_RULE_TRUNCATED_INSTRUCTION, words * WORD_BYTES, NULL, 0, "the code is no whole number of words");
}
