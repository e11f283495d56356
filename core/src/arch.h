/* arch.h - what differs between instruction sets.  <arch>/arch.c, <arch>/calls.S and the headers of that folder are one
 * implementation each; core/build.py picks the folder.
 */
#ifndef IL_ARCH_H
#define IL_ARCH_H

#include "arch_abi.h" /* of the target's folder: il_code_unit and constants */
#include "interlock.h"

#pragma GCC visibility push(hidden) /* called directly */

enum { IL_STUB_BYTES = 16 };

/* Writes an import's stub; the address it jumps to lies at the stub's own offset of the rodata view. */
void il_stub_write(uint8_t *stub, uint32_t slot_offset);

/* Resolves a relocation which the validator has accepted, in the private copy of code that will lie at slot_offset. */
void il_relocate(uint8_t *code, const il_relocation *relocation, uint32_t slot_offset, uint32_t stubs_offset);

/* What was written as data becomes what is fetched: il_cache_clean by who wrote, on its view, before it answers;
 * il_cache_drop by who runs it, on its own view (an instruction cache may be indexed by virtual address), before it calls.
 * In cache_linux.c and region_macos.c: not every system lets a program see to it itself. */
void il_cache_clean(const uint8_t *start, uint64_t bytes);
void il_cache_drop(const uint8_t *start, uint64_t bytes);

/* The kind of the trap instruction at pc (IL_TRAP_CODE_RETIRED for poison), or IL_TRAP_FAULT when there is none.  bytes: how many
 * from pc on are readable, at least one. */
uint32_t il_trap_kind_at(const uint8_t *pc, uint64_t bytes);

#pragma GCC visibility pop
#endif
