/* arch_abi.h - constants of AArch64 under the AAPCS64. */
#ifndef IL_ARCH_ABI_H
#define IL_ARCH_ABI_H

#include <stdint.h>

/* What another thread sees of an instruction at once: all of it. */
typedef uint32_t il_code_unit;

#define IL_POISON_WORD UINT64_C(0xD42AA1A0D42AA1A0) /* brk 0x550d, twice: the trap of kind IL_TRAP_CODE_RETIRED */

enum {
    IL_ARCH_NATIVE = 2,        /* IL_ARCH_AARCH64 */
    IL_INTEGER_REGISTERS = 8,  /* x0-7 */
    IL_VECTOR_REGISTERS = 8,   /* v0-7 */
    IL_BREAKPOINT_ADVANCE = 0  /* brk has not been executed when the signal comes */
};

#endif
