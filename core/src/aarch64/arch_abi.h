/* arch_abi.h - constants of AArch64 under the AAPCS64, and of the systems on it. */
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

/* Of an interrupted context (ucontext_t). */
#define IL_LINUX_PC uc_mcontext.pc
#define IL_LINUX_SP uc_mcontext.sp
#define IL_MACOS_PC uc_mcontext->__ss.__pc
#define IL_MACOS_SP uc_mcontext->__ss.__sp

#define IL_AUDIT_ARCH AUDIT_ARCH_AARCH64
#define IL_REFUSED_OF_ARCH /* nothing */

#endif
