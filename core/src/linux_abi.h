/* linux_abi.h - numbers of the Linux kernel that the headers we build against may be too old to have; the same on every architecture. */
#ifndef IL_LINUX_ABI_H
#define IL_LINUX_ABI_H

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

#endif
