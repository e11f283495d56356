/* arch.c - x86-64: import stubs, relocations, trap instructions. */
#include "arch.h"

#include <string.h>

/* endbr64; jmp [rip + IL_RODATA_DELTA - 10] */
static const uint8_t import_stub[IL_STUB_BYTES] = {0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 0xf6,      0xff,
                                                   0xff, 0x03, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc};
_Static_assert(IL_RODATA_DELTA - 10 == 0x03fffff6, "the stub's displacement");
_Static_assert((int)IL_ARCH_NATIVE == (int)IL_ARCH_X86_64, "arch_abi.h");

void il_stub_write(uint8_t *stub, uint32_t slot_offset) {
    (void)slot_offset;
    memcpy(stub, import_stub, IL_STUB_BYTES);
}

void il_relocate(uint8_t *code, const il_relocation *relocation, uint32_t slot_offset, uint32_t stubs_offset) {
    const uint32_t stub = stubs_offset + relocation->target * IL_STUB_BYTES;
    const uint32_t rel32 = stub - (slot_offset + relocation->offset + 4);
    memcpy(code + relocation->offset, &rel32, 4);
}

uint32_t il_trap_kind_at(const uint8_t *pc, uint64_t bytes) {
    static const uint8_t ud1[4] = {0x67, 0x0f, 0xb9, 0x40}; /* then the kind: llvm.ubsantrap */
    if (pc[0] == (uint8_t)IL_POISON_WORD) return IL_TRAP_CODE_RETIRED;
    if (bytes <= sizeof ud1 || memcmp(pc, ud1, sizeof ud1) != 0) return IL_TRAP_FAULT;
    return pc[4] != IL_TRAP_NONE ? pc[4] : IL_TRAP_FAULT;
}
