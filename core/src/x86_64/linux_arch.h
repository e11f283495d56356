/* linux_arch.h - Linux on x86-64: numbers and the interrupted context. */
#ifndef IL_LINUX_ARCH_H
#define IL_LINUX_ARCH_H

#include <linux/audit.h>
#include <sys/syscall.h>
#include <ucontext.h>

enum {
    IL_SYS_PROCESS_VM_READV = 310,
    IL_SYS_PROCESS_VM_WRITEV = 311,
    IL_SYS_SECCOMP = 317,
    IL_SYS_MEMFD_CREATE = 319,
    IL_SYS_USERFAULTFD = 323,
    IL_SYS_MEMBARRIER = 324,
    IL_SYS_PKEY_MPROTECT = 329
};

#define IL_AUDIT_ARCH AUDIT_ARCH_X86_64
/* Refused by il_harden, besides what every architecture has. */
#define IL_REFUSED_OF_ARCH IL_REFUSED(SYS_modify_ldt) IL_REFUSED(SYS_uselib) IL_REFUSED(SYS_iopl) IL_REFUSED(SYS_ioperm)

static inline uint64_t il_context_pc(const ucontext_t *context) { return (uint64_t)context->uc_mcontext.gregs[REG_RIP]; }

static inline void il_context_redirect(ucontext_t *context, uint64_t pc, uint64_t sp) {
    context->uc_mcontext.gregs[REG_RSP] = (greg_t)sp;
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
}

#endif
