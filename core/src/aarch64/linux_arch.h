/* linux_arch.h - Linux on AArch64: numbers and the interrupted context. */
#ifndef IL_LINUX_ARCH_H
#define IL_LINUX_ARCH_H

#include <linux/audit.h>
#include <sys/syscall.h>
#include <ucontext.h>

enum {
    IL_SYS_PROCESS_VM_READV = 270,
    IL_SYS_PROCESS_VM_WRITEV = 271,
    IL_SYS_SECCOMP = 277,
    IL_SYS_MEMFD_CREATE = 279,
    IL_SYS_USERFAULTFD = 282,
    IL_SYS_MEMBARRIER = 283,
    IL_SYS_PKEY_MPROTECT = 288
};

#define IL_AUDIT_ARCH AUDIT_ARCH_AARCH64
#define IL_REFUSED_OF_ARCH /* nothing */

static inline uint64_t il_context_pc(const ucontext_t *context) { return context->uc_mcontext.pc; }

static inline void il_context_redirect(ucontext_t *context, uint64_t pc, uint64_t sp) {
    context->uc_mcontext.sp = sp;
    context->uc_mcontext.pc = pc;
}

#endif
