/* arch.c - AArch64: import stubs, relocations, trap instructions. */
#include "arch.h"

#include <string.h>

#include "validate.h"

enum { PAGE_SHIFT = 12 }; /* adrp's pages */

_Static_assert((int)IL_ARCH_NATIVE == (int)IL_ARCH_AARCH64, "arch_abi.h");
_Static_assert((uint32_t)IL_POISON_WORD == (UINT32_C(0xd4200000) | (0x5500 | IL_TRAP_CODE_RETIRED) << 5), "brk");
_Static_assert(IL_RODATA_DELTA >> PAGE_SHIFT == 0x4000 && IL_RODATA_DELTA % (1 << PAGE_SHIFT) == 0, "the stub's adrp");

void il_stub_write(uint8_t *stub, uint32_t slot_offset) {
    const uint32_t low = slot_offset & 0xfff;
    const uint32_t code[IL_STUB_BYTES / 4] = {
        0xd503245f,                  /* bti c */
        0x90020011,                  /* adrp x17, . + IL_RODATA_DELTA.  x16 may hold a function index */
        0xf9400231 | low / 8 << 10,  /* ldr x17, [x17, low] */
        0xd61f0220,                  /* br x17: allowed to land on bti c */
    };
    memcpy(stub, code, sizeof code);
}

void il_relocate(uint8_t *code, const il_relocation *relocation, uint32_t slot_offset, uint32_t stubs_offset) {
    const uint32_t pc = slot_offset + relocation->offset, constant = slot_offset + IL_RODATA_DELTA + relocation->target;
    uint32_t instruction;
    memcpy(&instruction, code + relocation->offset, sizeof instruction);
    switch (relocation->kind) {
    case IL_R_AARCH64_JUMP26:
    case IL_R_AARCH64_CALL26: {
        const uint32_t stub = stubs_offset + relocation->target * IL_STUB_BYTES;
        instruction = (instruction & 0xfc000000) | ((stub - pc) >> 2 & 0x03ffffff);
        break;
    }
    case IL_R_AARCH64_ADR_PREL_PG_HI21: {
        const uint32_t pages = (constant >> PAGE_SHIFT) - (pc >> PAGE_SHIFT);
        instruction = (instruction & 0x9f00001f) | (pages & 3) << 29 | (pages >> 2 & 0x7ffff) << 5;
        break;
    }
    default: {
        const int32_t log2 = il_lo12_log2(relocation->kind);
        if (log2 < 0) __builtin_trap(); /* the validator accepts no other kind */
        instruction = (instruction & 0xffc003ff) | (constant & 0xfff) >> log2 << 10;
    }
    }
    memcpy(code + relocation->offset, &instruction, sizeof instruction);
}

uint32_t il_trap_kind_at(const uint8_t *pc, uint64_t bytes) {
    uint32_t instruction;
    if (bytes < sizeof instruction) return IL_TRAP_FAULT;
    memcpy(&instruction, pc, sizeof instruction);
    const uint32_t kind = instruction >> 5 & 0xff; /* brk 0x5500 | kind: llvm.ubsantrap */
    return (instruction & 0xffffe01f) == (UINT32_C(0xd4200000) | 0x5500 << 5) && kind != IL_TRAP_NONE ? kind : IL_TRAP_FAULT;
}
