/* decode_batch_capstone.c - capstone's view of the same batches; test only, against the headers of the Python package. */
#include <capstone/capstone.h>

enum { CASE_BYTES = 16 };

typedef struct decoded {
    uint16_t writes; /* general registers, by number */
    uint8_t length;  /* 0 = unknown to capstone */
    uint8_t is_privileged;
} decoded;

/* Bit of the 64-bit register that reg is a part of, or 0. */
static uint16_t general_bit(unsigned reg) {
    static const unsigned parts[16][5] = {
        {X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL, X86_REG_AH},
        {X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH},
        {X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH},
        {X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL, X86_REG_BH},
        {X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL},
        {X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL},
        {X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL},
        {X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL},
        {X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B},
        {X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B},
        {X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B},
        {X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B},
        {X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B},
        {X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B},
        {X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B},
        {X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B}};
    for (unsigned number = 0; number < 16; number++)
        for (unsigned part = 0; part < 5; part++)
            if (parts[number][part] != 0 && parts[number][part] == reg) return (uint16_t)(1u << number);
    return 0;
}

/* Returns 0, or capstone's error when it cannot be opened. */
__attribute__((visibility("default"))) int capstone_batch(const uint8_t *cases, uint32_t count, decoded *out) {
    csh handle;
    const cs_err error = cs_open(CS_ARCH_X86, CS_MODE_64, &handle);
    if (error != CS_ERR_OK) return (int)error;
    (void)cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
    cs_insn *insn = cs_malloc(handle);
    for (uint32_t index = 0; index < count; index++) {
        const uint8_t *at = cases + (size_t)index * CASE_BYTES;
        size_t left = CASE_BYTES;
        uint64_t address = 0;
        cs_regs reads, writes;
        uint8_t read_count = 0, write_count = 0;
        out[index] = (decoded){0};
        if (!cs_disasm_iter(handle, &at, &left, &address, insn)) continue;
        out[index].length = (uint8_t)insn->size;
        out[index].is_privileged = cs_insn_group(handle, insn, CS_GRP_PRIVILEGE) ? 1 : 0;
        (void)cs_regs_access(handle, insn, reads, &read_count, writes, &write_count);
        for (uint8_t number = 0; number < write_count; number++)
            out[index].writes = (uint16_t)(out[index].writes | general_bit(writes[number]));
    }
    cs_free(insn, 1);
    return (int)cs_close(&handle);
}
