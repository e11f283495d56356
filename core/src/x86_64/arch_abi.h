/* arch_abi.h - constants of x86-64 under the System V ABI. */
#ifndef IL_ARCH_ABI_H
#define IL_ARCH_ABI_H

#include <stdint.h>

/* What another thread sees of an instruction at once: its first byte decides. */
typedef uint8_t il_code_unit;

#define IL_POISON_WORD UINT64_C(0xCCCCCCCCCCCCCCCC) /* int3 */

enum {
    IL_ARCH_NATIVE = 1,        /* IL_ARCH_X86_64 */
    IL_INTEGER_REGISTERS = 6,  /* rdi rsi rdx rcx r8 r9 */
    IL_VECTOR_REGISTERS = 8,   /* xmm0-7 */
    IL_BREAKPOINT_ADVANCE = 1  /* int3 has been executed when the signal comes */
};

#endif
