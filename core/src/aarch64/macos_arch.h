/* macos_arch.h - macOS on AArch64: the interrupted context. */
#ifndef IL_MACOS_ARCH_H
#define IL_MACOS_ARCH_H

#include <stdint.h>
#include <sys/ucontext.h>

static inline uint64_t il_context_pc(const ucontext_t *context) { return context->uc_mcontext->__ss.__pc; }

static inline void il_context_redirect(ucontext_t *context, uint64_t pc, uint64_t sp) {
    context->uc_mcontext->__ss.__sp = sp;
    context->uc_mcontext->__ss.__pc = pc;
}

#endif
