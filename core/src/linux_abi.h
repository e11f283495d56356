/* linux_abi.h - numbers of the Linux kernel that the headers we build against may be too old to have; the same on every
 * architecture. */
#ifndef IL_LINUX_ABI_H
#define IL_LINUX_ABI_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

enum {
    IL_SYS_IO_URING_SETUP = 425,
    IL_SYS_IO_URING_ENTER = 426,
    IL_SYS_IO_URING_REGISTER = 427,
    IL_SYS_CLOSE_RANGE = 436,      /* Linux 5.9 */
    IL_SYS_PIDFD_GETFD = 438,
    IL_SYS_PROCESS_MADVISE = 440,
    IL_SYS_MSEAL = 462,            /* Linux 6.10 */
    IL_MFD_NOEXEC_SEAL = 8,        /* Linux 6.3 */
    IL_MFD_EXEC = 16,
    IL_SIZE_SEALS = 1 | 2 | 4,     /* F_SEAL_SEAL, SHRINK, GROW */
    IL_SEALS = 1 | 2 | 4 | 16,     /* F_SEAL_SEAL, SHRINK, GROW, FUTURE_WRITE (Linux 5.1) */
    IL_PR_SET_MDWE = 65,           /* Linux 6.3 */
    IL_MDWE_REFUSE_EXEC_GAIN = 1
};

/* Instructions of a seccomp filter: a field of seccomp_data, a test of it with the distances to jump, the end. */
#define IL_BPF_LOAD(field) (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define IL_BPF_JUMP(test, operand, yes, no) (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | BPF_K | (test)), operand, yes, no)
#define IL_BPF_RETURN(action) (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action)

#endif
