/* arch_abi.h - constants of x86-64 under the System V ABI, and of the systems on it. */
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

/* Of an interrupted context (ucontext_t). */
#define IL_LINUX_PC uc_mcontext.gregs[REG_RIP]
#define IL_LINUX_SP uc_mcontext.gregs[REG_RSP]
#define IL_MACOS_PC uc_mcontext->__ss.__rip
#define IL_MACOS_SP uc_mcontext->__ss.__rsp

#define IL_AUDIT_ARCH AUDIT_ARCH_X86_64
/* Refused by il_harden, besides what every architecture has. */
#define IL_REFUSED_OF_ARCH IL_REFUSED(SYS_modify_ldt) IL_REFUSED(SYS_uselib) IL_REFUSED(SYS_iopl) IL_REFUSED(SYS_ioperm)

#endif
