/* validate_x86_64.c - the code validator for x86-64, policy `permitted`.
 *
 * One linear pass: decode from the table, apply the rules that need one instruction, note starts and branch targets in two
 * bitmaps.  What the table does not list is refused.
 */
#include <string.h>

#include "../generated/x86_64.h"
#include "validate.h"

enum { RSP = 4, RBP = 5, NO_REGISTER = 31, RIP = 30 };
/* Of il_x86_index. */
enum { MAP_ONE_BYTE = 0, MAP_0F = 1, MAP_0F38 = 2, MAP_0F3A = 3, MAP_VEX = 4 };
#define REX_B 1u
#define REX_X 2u
#define REX_R 4u
#define REX_W 8u
enum { MARK_VEX = 1, MARK_LOCK = 2, MARK_NOTRACK = 4, MARK_EMPTY_REX = 8 };
/* The decoder may read this far behind an instruction's start, so short tails are copied into a padded buffer. */
enum { DECODE_BYTES = 32 };

typedef struct insn {
    const il_x86_row *row;
    uint32_t length; /* bytes that the decision rests on, also when it is a refusal */
    uint32_t rule;   /* 0 or the reason of the refusal */
    uint8_t opcode, map, vector_256, vvvv, prefix;
    uint8_t rex;   /* bits WRXB; of VEX too */
    uint8_t marks; /* what few instructions have */
    uint8_t mod, reg, rm, modrm_offset;
    bool has_rex, is_memory;
    bool is_suspect; /* perhaps rip-relative, or a write of rsp: decode asks no further */
    /* From here on by read_operands: */
    uint8_t base, index, scale_log2;
    int32_t disp, imm;
    uint32_t writes;       /* general registers written, implicitly or by an operand */
    uint32_t stack_writes; /* the same without the push-like changes of rsp */
} insn;

static const il_x86_row trap_row = {IL_X86_W0, 0, IL_CLASS_TRAP, 0, IL_CHECK_TRAP, 0, 0, 0, 0};
static const il_x86_row nop_row = {IL_X86_W0, 0, IL_CLASS_NOP, 0, IL_CHECK_NONE, 0, 0, 0, 0};

/* A signed little-endian number of 0, 1, 2, 4 or (its low half) 8 bytes; 4 must be readable.  Hosts are little endian too. */
static inline int32_t load_signed(const uint8_t *at, uint32_t bytes) {
    const uint32_t mask = bytes < 4 ? (1u << bytes * 8) - 1 : UINT32_MAX;
    const uint32_t sign = (mask >> 1) + 1;
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return (int32_t)(((value & mask) ^ sign) - sign);
}

/* ---- Decoding ------------------------------------------------------------------------------------------------------------ */
/* In two steps, because no rule looks at the operands of most instructions: `decode` finds the length, checks the form and notes
 * whether operands may matter; `read_operands` is for these.  What few instructions have is kept out of line. */
#define IL_RARE __attribute__((noinline))
#define IL_HOT inline __attribute__((always_inline))
/* 1 or 0. */
#define HAS(attributes, name) ((attributes) / IL_X86_##name & 1u)

/* The trap word and the long nops of LLVM are the only uses of 67 and of a repeated 66: matched whole.  0 = neither. */
static IL_RARE uint32_t match_fixed_form(const uint8_t *at, insn *out) {
    static const uint8_t trap[4] = {0x67, 0x0F, 0xB9, 0x40};
    static const uint8_t nop[9] = {0x2E, 0x0F, 0x1F, 0x84, 0, 0, 0, 0, 0};
    uint32_t repeats = 0;
    if (memcmp(at, trap, sizeof trap) == 0) {
        out->row = &trap_row;
        return 5;
    }
    while (repeats < 6 && at[repeats] == 0x66) repeats++;
    if (repeats == 0 || memcmp(at + repeats, nop, sizeof nop) != 0) return 0;
    out->row = &nop_row;
    return repeats + (uint32_t)sizeof nop;
}

static inline void refuse(insn *out, uint32_t rule) {
    if (out->rule == 0) out->rule = rule;
}

static IL_RARE const uint8_t *read_prefixes(const uint8_t *at, insn *out) {
    const uint8_t *end = at + IL_INSTRUCTION_BYTES_MAX;
    for (; at < end && il_x86_kind[*at] == IL_KIND_PREFIX; at++) {
        const uint8_t byte = *at;
        if (byte == 0x66) {
            if (out->prefix & 1) refuse(out, IL_RULE_REDUNDANT_PREFIX);
            out->prefix |= 1;
        } else if (byte == 0xF2 || byte == 0xF3) {
            if (out->prefix > 1) refuse(out, IL_RULE_REDUNDANT_PREFIX);
            else out->prefix |= byte == 0xF3 ? 2 : 4;
        } else if (byte == 0xF0) {
            if (out->marks & MARK_LOCK) refuse(out, IL_RULE_REDUNDANT_PREFIX);
            out->marks |= MARK_LOCK;
        } else if (byte == 0x3E && !(out->marks & MARK_NOTRACK)) {
            out->marks |= MARK_NOTRACK;
        } else {
            refuse(out, byte == 0x67 ? IL_RULE_REDUNDANT_PREFIX : IL_RULE_SEGMENT);
        }
    }
    return at;
}

/* at: the C4 or C5 byte.  Returns the address of the opcode. */
static IL_RARE const uint8_t *read_vex(const uint8_t *at, insn *out) {
    static const uint8_t prefixes[4] = {0, 1, 2, 4};
    const bool is_long = at[0] == 0xC4;
    const uint8_t last = at[is_long ? 2 : 1];
    if (out->has_rex || out->prefix || out->marks) refuse(out, IL_RULE_REDUNDANT_PREFIX);
    if (is_long && (at[1] & 31) > MAP_0F3A) refuse(out, IL_RULE_UNKNOWN_INSTRUCTION);
    out->marks |= MARK_VEX;
    out->map = (uint8_t)(MAP_VEX | (is_long ? at[1] & 3 : MAP_0F));
    out->rex = (uint8_t)(~at[1] >> 5 & (is_long ? 7 : 4));
    if (is_long && last >> 7) out->rex |= REX_W;
    out->vvvv = (uint8_t)(~last >> 3 & 15);
    out->vector_256 = last >> 2 & 1;
    out->prefix = prefixes[last & 3];
    return at + (is_long ? 3 : 2);
}

static inline const uint8_t *read_map(const uint8_t *at, insn *out) {
    const uint32_t kind = il_x86_kind[*at];
    if (kind == IL_KIND_VEX) return read_vex(at, out);
    if (kind != IL_KIND_ESCAPE) return at;
    at++;
    out->map = *at == 0x38 ? MAP_0F38 : *at == 0x3A ? MAP_0F3A : MAP_0F;
    return out->map == MAP_0F ? at : at + 1;
}

/* at: the modrm byte.  Returns how many bytes modrm, sib and displacement take. */
static inline uint32_t read_modrm(const uint8_t *at, insn *out) {
    const uint32_t modrm = at[0];
    const uint32_t is_sib_disp32 = ((modrm & 0xC7) == 4) & ((at[1] & 7) == 5);
    out->mod = (uint8_t)(modrm >> 6);
    out->reg = (uint8_t)((modrm >> 3 & 7) | (out->rex & REX_R) << 1);
    out->rm = (uint8_t)((modrm & 7) | (out->rex & REX_B) << 3);
    out->is_memory = modrm < 0xC0;
    out->is_suspect = (out->reg == RSP) | ((out->rm == RSP) & !out->is_memory) | ((modrm & 0xC7) == 5);
    return (il_x86_modrm[modrm] >> 4) + is_sib_disp32 * 4;
}

static IL_RARE void check_marks(insn *out, uint32_t has) {
    const bool is_listed = has & (out->vector_256 ? IL_X86_L1 : IL_X86_L0);
    if ((out->marks & MARK_VEX) && (!is_listed || (out->vvvv != 0 && !(has & IL_X86_VVVV))))
        refuse(out, IL_RULE_UNKNOWN_INSTRUCTION);
    if ((out->marks & MARK_LOCK) && !(out->is_memory && (has & IL_X86_LOCK))) refuse(out, IL_RULE_REDUNDANT_PREFIX);
    if ((out->marks & MARK_NOTRACK) && out->row->check != IL_CHECK_INDIRECT_JMP) refuse(out, IL_RULE_SEGMENT);
    if ((out->marks & MARK_EMPTY_REX) && !(has & (IL_X86_RM_BYTE | IL_X86_REG_BYTE))) refuse(out, IL_RULE_REDUNDANT_PREFIX);
}

/* Whether the prefixes, W, L and vvvv are exactly what the row lists. */
static inline void check_form(insn *out, uint32_t has) {
    if ((out->rex & ~out->row->rex_permitted) | (out->row->rex_required & ~out->rex))
        refuse(out, out->marks & MARK_VEX ? IL_RULE_UNKNOWN_INSTRUCTION : IL_RULE_REDUNDANT_PREFIX);
    if (out->marks) check_marks(out, has);
}

/* at: the opcode.  0 = unknown. */
static inline uint32_t row_number(insn *out, uint32_t prefix, const uint8_t *at) {
    /* Page 0 is that of most instructions: one load less before the next one's start is known. */
    const bool is_usual = (prefix == 0) & (out->map == MAP_ONE_BYTE);
    const uint32_t page = is_usual ? 0 : il_x86_index[out->map][prefix];
    const uint32_t entry = il_x86_pages[page][*at];
    if (!(entry & 0x8000u)) return entry;
    out->length = 1; /* the decision rests on modrm too */
    return il_x86_groups[entry & 0x7FFF][il_x86_modrm[at[1]] & 15];
}

/* at: the opcode.  Where only the prefixes are foreign, the row without them tells the length. */
static IL_RARE const il_x86_row *find_foreign_row(const uint8_t *at, insn *out) {
    const uint32_t row = out->marks & MARK_VEX ? 0 : row_number(out, 0, at);
    const bool is_late_prefix = out->map == MAP_ONE_BYTE && (il_x86_kind[*at] & (IL_KIND_PREFIX | IL_KIND_REX));
    refuse(out, row != 0 || is_late_prefix ? IL_RULE_REDUNDANT_PREFIX : IL_RULE_UNKNOWN_INSTRUCTION);
    return &il_x86_rows[row];
}

/* at: the opcode.  Row 0 stands for unknown. */
static inline const il_x86_row *find_row(const uint8_t *at, insn *out) {
    const uint32_t row = row_number(out, out->prefix, at);
    out->opcode = *at;
    return row != 0 ? &il_x86_rows[row] : find_foreign_row(at, out);
}

static inline uint32_t immediate_bytes(const insn *in) {
    return in->row->immediate + (in->row->attributes & IL_X86_IMMEDIATE_W && in->rex & REX_W ? 4u : 0u);
}

/* Decodes one instruction; DECODE_BYTES must be readable at start. */
static IL_HOT void decode(const uint8_t *start, insn *out) {
    const uint8_t *at = start;
    memset(out, 0, offsetof(insn, base));
    if (il_x86_kind[*at] == IL_KIND_PREFIX) {
        out->length = match_fixed_form(at, out);
        if (out->length != 0) return;
        at = read_prefixes(at, out);
    }
    if (il_x86_kind[*at] == IL_KIND_REX) {
        out->has_rex = true;
        out->rex = *at++ & 15;
        if (out->rex == 0) out->marks |= MARK_EMPTY_REX;
    }
    at = read_map(at, out);
    const il_x86_row *row = out->row = find_row(at++, out);
    const uint32_t has = row->attributes;
    out->modrm_offset = (uint8_t)(at - start);
    if (has & IL_X86_MODRM) at += read_modrm(at, out);
    if (row == &il_x86_rows[0]) {
        out->length += (uint32_t)(at - start);
        return;
    }
    out->length = (uint32_t)(at - start) + immediate_bytes(out);
    out->is_suspect |= (HAS(has, OPCODE_WRITE) & ((out->opcode & 7) == RSP)) | HAS(has, VVVV_WRITE) |
                       ((row->writes >> RSP & 1) & !HAS(has, STACK));
    if (row->rule != 0) out->rule = row->rule; /* a named denial says more than its prefixes */
    else check_form(out, has);
    if (out->length > IL_INSTRUCTION_BYTES_MAX) refuse(out, IL_RULE_UNKNOWN_INSTRUCTION);
}

/* Decodes at offset, with a padded copy where the code ends too soon.  tail must outlive out's use of it. */
static IL_HOT const uint8_t *decode_at(const il_image *image, uint32_t offset, uint8_t tail[DECODE_BYTES], insn *out) {
    const uint32_t left = image->code_bytes - offset;
    const uint8_t *start = image->code + offset;
    if (left < DECODE_BYTES) {
        memset(tail, 0, DECODE_BYTES);
        memcpy(tail, start, left);
        start = tail;
    }
    decode(start, out);
    if (out->length > left) {
        out->rule = IL_RULE_TRUNCATED_INSTRUCTION;
        out->length = left;
    }
    return start;
}

/* at: the modrm byte of a memory operand. */
static IL_RARE void read_address(const uint8_t *at, insn *out) {
    uint32_t disp_bytes = out->mod == 1 ? 1 : out->mod == 2 ? 4 : 0;
    const uint32_t rm = *at++ & 7;
    out->base = out->rm;
    if (rm == 4) {
        const uint32_t sib = *at++;
        out->scale_log2 = (uint8_t)(sib >> 6);
        out->index = (uint8_t)((sib >> 3 & 7) | (out->rex & REX_X) << 2);
        if (out->index == 4) out->index = NO_REGISTER;
        out->base = (uint8_t)((sib & 7) | (out->rex & REX_B) << 3);
    }
    if (out->mod == 0 && (out->base & 7) == 5) {
        out->base = rm == 4 ? NO_REGISTER : RIP;
        disp_bytes = 4;
    }
    out->disp = load_signed(at, disp_bytes);
}

/* Without REX, byte registers 4..7 are ah ch dh bh. */
static uint32_t register_bit(const insn *in, uint32_t number, bool is_byte) {
    return 1u << (is_byte && !in->has_rex ? number & 3 : number);
}

static uint32_t explicit_writes(const insn *in) {
    const uint32_t has = in->row->attributes, low = (in->opcode & 7u) | (in->rex & REX_B) << 3;
    uint32_t writes = 0;
    if (!(has & (IL_X86_RM_WRITE | IL_X86_REG_WRITE | IL_X86_VVVV_WRITE | IL_X86_OPCODE_WRITE))) return 0;
    if ((has & IL_X86_RM_WRITE) && !in->is_memory) writes |= register_bit(in, in->rm, has & IL_X86_RM_BYTE);
    if (has & IL_X86_REG_WRITE) writes |= register_bit(in, in->reg, has & IL_X86_REG_BYTE);
    if (has & IL_X86_VVVV_WRITE) writes |= 1u << in->vvvv;
    if (has & IL_X86_OPCODE_WRITE) writes |= register_bit(in, low, has & IL_X86_REG_BYTE);
    return writes;
}

/* start: the instruction that decode was given. */
static IL_RARE void read_operands(const uint8_t *start, insn *out) {
    const uint32_t imm_bytes = immediate_bytes(out), explicit = explicit_writes(out);
    out->base = out->index = NO_REGISTER;
    out->imm = load_signed(start + out->length - imm_bytes, imm_bytes);
    if (out->is_memory) read_address(start + out->modrm_offset, out);
    out->stack_writes = explicit | (out->row->attributes & IL_X86_STACK ? 0 : out->row->writes);
    out->writes = explicit | out->row->writes;
}

/* ---- Rules for one instruction ------------------------------------------------------------------------------------------- */
static bool reject(il_pass *run, uint32_t rule, const insn *in, const char *detail) {
    return il_reject(run, rule, run->last_offset, run->image->code + run->last_offset, in->length, detail);
}

/* The only explicit writes of rsp: add, sub and lea by at most a frame, mov from rbp, and alignment.  0 or the rule broken. */
static uint32_t check_stack_pointer(const il_pass *run, const insn *in) {
    if (!(in->rex & REX_W)) return IL_RULE_RESERVED_REGISTER;
    switch (in->row->check) {
    case IL_CHECK_ADJUST:
        return il_frame_rule(run->policy, in->imm);
    case IL_CHECK_ALIGN:
        return in->imm == -16 || in->imm == -32 || in->imm == -64 ? 0 : IL_RULE_RESERVED_REGISTER;
    case IL_CHECK_LEA:
        if (in->index != NO_REGISTER || (in->base != RSP && in->base != RBP)) return IL_RULE_RESERVED_REGISTER;
        if (il_frame_rule(run->policy, in->disp) != 0) return il_frame_rule(run->policy, in->disp);
        return in->base == RSP || in->disp <= 0 ? 0 : IL_RULE_RESERVED_REGISTER;
    case IL_CHECK_COPY:
        return !in->is_memory && (in->opcode == 0x89 ? in->reg : in->rm) == RBP ? 0 : IL_RULE_RESERVED_REGISTER;
    default:
        return IL_RULE_RESERVED_REGISTER;
    }
}

static bool is_rip_operand_constant(const il_pass *run, const insn *in, uint32_t end) {
    const uint32_t has = in->row->attributes;
    const uint32_t log2 = in->row->memory_log2 + ((in->rex & REX_W) && (has & IL_X86_MEMORY_W) ? 1u : 0u) +
                          (in->vector_256 && (has & IL_X86_MEMORY_L) ? 1u : 0u) +
                          (in->vector_256 && (has & IL_X86_MEMORY_L4) ? 2u : 0u);
    const int64_t at = (int64_t)end + in->disp - IL_RODATA_DELTA;
    const bool is_read = !(has & IL_X86_MEMORY_WRITE);
    return is_read && at >= 0 && at + (INT64_C(1) << log2) <= (int64_t)run->image->rodata_bytes;
}

/* Follows the jump-table shape over every instruction which is no branch. */
static void track_shape(il_pass *run, const insn *in) {
    const uint32_t check = in->row->check;
    /* Where there is no memory operand or it has no base, base is none of the registers that an addition could name. */
    if (check == IL_CHECK_TABLE_LOAD && in->index != NO_REGISTER && in->scale_log2 == 2 && in->disp == 0 && in->reg != in->base) {
        il_shape_forget(run);
        run->shape_offset = run->last_offset;
        run->shape_load = in->reg;
        run->shape_live = 1u << in->reg | 1u << in->base;
    } else if (check == IL_CHECK_TABLE_ADD && !in->is_memory && (in->rex & REX_W) && run->shape_load != IL_NO_REGISTER &&
               run->shape_live == (1u << in->reg | 1u << in->rm)) {
        run->shape_load = IL_NO_REGISTER;
        run->shape_sum = in->opcode == 0x01 ? in->rm : in->reg;
        run->shape_live = 1u << run->shape_sum;
    } else if (in->writes & run->shape_live) {
        il_shape_forget(run);
    }
}

/* Relocations are consumed in step with the code.  relocated_out: the instruction's target is an import. */
static bool check_relocation(il_pass *run, const insn *in, bool *relocated_out) {
    const il_relocation *relocation = &run->image->relocations[run->next_relocation];
    const uint32_t end = run->last_offset + in->length;
    const bool is_branch = in->row->check == IL_CHECK_CALL || in->row->check == IL_CHECK_JMP;
    const bool is_second = *relocated_out;
    run->next_relocation++;
    *relocated_out = true;
    /* Of a refused instruction the operands were not read. */
    if (in->rule != 0 || !is_branch || is_second || relocation->offset != end - 4 || relocation->kind != IL_R_X86_64_PLT32 ||
        in->imm != 0)
        return reject(run, IL_RULE_RELOCATION, in, "a relocation is out of order, or not the empty rel32 field of a call or jmp");
    return relocation->target < run->import_count ||
           reject(run, IL_RULE_RELOCATION_TARGET, in, "the import index is past the table");
}

static bool check_branch(il_pass *run, const insn *in, bool is_relocated) {
    const uint32_t check = in->row->check, offset = run->last_offset;
    if (check == IL_CHECK_RM0 || check == IL_CHECK_RM2)
        return in->rm == (check == IL_CHECK_RM2 ? 2 : 0) ||
               reject(run, IL_RULE_UNKNOWN_INSTRUCTION, in, "a reserved form of fence or landing pad");
    if ((check == IL_CHECK_JCC || check == IL_CHECK_JMP || check == IL_CHECK_CALL) && !is_relocated &&
        !il_branch(run, offset, in->length, (int64_t)offset + in->length + in->imm))
        return false;
    if (check == IL_CHECK_INDIRECT_JMP && !il_shape_finish(run, offset, in->rm) &&
        !reject(run, IL_RULE_INDIRECT_BRANCH, in, "not the end of a jump-table sequence"))
        return false;
    il_shape_forget(run);
    return true;
}

static uint32_t classes_of(const insn *in) {
    return in->row->classes | (in->marks & MARK_LOCK ? (uint32_t)IL_CLASS_ATOMIC : 0);
}

static bool has_relocation_before(const il_pass *run, uint32_t end) {
    return run->next_relocation < run->image->relocation_count && run->image->relocations[run->next_relocation].offset < end;
}

static IL_RARE bool check_concerned(il_pass *run, insn *in, const uint8_t *bytes) {
    const uint32_t end = run->last_offset + in->length;
    bool is_relocated = false;
    if (in->rule == 0) read_operands(bytes, in);
    while (has_relocation_before(run, end))
        if (!check_relocation(run, in, &is_relocated)) return false;
    if (in->rule != 0) {
        run->is_terminated = true; /* nobody knows where a refused instruction leads: no second complaint */
        return reject(run, in->rule, in, "");
    }
    if (classes_of(in) & run->refused_classes &&
        !reject(run, IL_RULE_POLICY, in, "the policy refuses this class of instructions"))
        return false;
    if (in->stack_writes & 1u << RSP) {
        const uint32_t rule = check_stack_pointer(run, in);
        if (rule != 0 && !reject(run, rule, in, "rsp")) return false;
    }
    if (in->base == RIP && !is_rip_operand_constant(run, in, end) && !reject(run, IL_RULE_RIP_RELATIVE, in, "")) return false;
    if (in->row->check == IL_CHECK_TABLE_LOAD || (in->writes & run->shape_live)) track_shape(run, in);
    if (in->row->check >= IL_CHECK_JCC && !check_branch(run, in, is_relocated)) return false;
    /* Not so where a nop follows: an entry or a branch may name it. */
    run->is_terminated = in->row->check == IL_CHECK_JMP || in->row->check == IL_CHECK_RET || in->row->check == IL_CHECK_TRAP ||
                         in->row->check == IL_CHECK_INDIRECT_JMP;
    return true;
}

/* bytes: of the instruction at last_offset, as decode was given them. */
static inline bool check_instruction(il_pass *run, insn *in, const uint8_t *bytes) {
    const uint32_t classes = classes_of(in);
    const uint32_t concerns = in->rule | (classes & run->refused_classes) | run->shape_live | in->is_suspect |
                              (in->row->check >= IL_CHECK_TABLE_LOAD);
    if (concerns || has_relocation_before(run, run->last_offset + in->length)) return check_concerned(run, in, bytes);
    run->is_terminated = false;
    return true; /* as for most: no rule concerns them */
}

/* ---- The pass --------------------------------------------------------------------------------------------------------- */
bool il_read_x86_64(il_pass *run) {
    uint8_t tail[DECODE_BYTES];
    insn in;
    il_shape_forget(run);
    for (uint32_t offset = 0; offset < run->image->code_bytes; offset += in.length) {
        const uint8_t *bytes = decode_at(run->image, offset, tail, &in);
        run->last_offset = offset;
        il_bit_set(run->scratch->starts, offset);
        if (!check_instruction(run, &in, bytes)) return false;
    }
    return true;
}
