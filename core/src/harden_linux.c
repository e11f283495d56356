/* harden_linux.c - the Hardened Runtime of Linux: from now on this process gets no new executable memory and reaches into no
 * other process.  Nothing of it can be undone.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux_abi.h"
#include "region.h"

enum { X32_BIT = 0x40000000, REFUSE = SECCOMP_RET_ERRNO | EPERM, ARGUMENT_2 = offsetof(struct seccomp_data, args[2]) };

/* What makes memory executable when its third argument has the bit. */
static const struct { uint32_t number, bit; } executable[] = {
    {SYS_mmap, PROT_EXEC}, {SYS_mprotect, PROT_EXEC}, {IL_SYS_PKEY_MPROTECT, PROT_EXEC}, {SYS_shmat, SHM_EXEC}};

/* Ways around a mapping's protection, and into other processes. */
static const uint32_t refused[] = {
    SYS_ptrace, IL_SYS_PROCESS_VM_READV, IL_SYS_PROCESS_VM_WRITEV, IL_SYS_PIDFD_GETFD, IL_SYS_MEMFD_CREATE, IL_SYS_USERFAULTFD,
    IL_SYS_IO_URING_SETUP, SYS_remap_file_pages, SYS_personality, IL_REFUSED_OF_ARCH};

enum { EXECUTABLE = sizeof executable / sizeof *executable, REFUSED = sizeof refused / sizeof *refused };

static uint16_t make_filter(struct sock_filter *program) {
    uint16_t at = 0;
#define EMIT(...) program[at++] = (struct sock_filter)__VA_ARGS__
    EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IL_AUDIT_ARCH, 1, 0));
    EMIT(BPF_STMT(BPF_RET | BPF_K, REFUSE)); /* the 32-bit system calls have other numbers */
    EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    EMIT(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
    EMIT(BPF_STMT(BPF_RET | BPF_K, REFUSE));
    for (int i = 0; i < REFUSED; i++) {
        EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], 0, 1));
        EMIT(BPF_STMT(BPF_RET | BPF_K, REFUSE));
    }
    for (int i = 0; i < EXECUTABLE; i++) {
        EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, executable[i].number, 0, 4));
        EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT_2));
        EMIT(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, executable[i].bit, 0, 1));
        EMIT(BPF_STMT(BPF_RET | BPF_K, REFUSE));
        EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
#undef EMIT
    return at;
}

/* Root's way to the memory file of the writer.  Of this thread, and of those that it starts later. */
static bool drop_ptrace_capability(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) != 0) return false;
    const uint32_t kept = ~(UINT32_C(1) << CAP_SYS_PTRACE);
    if ((data[0].permitted & ~kept) == 0) return true;
    if (prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0) != 0 && errno != EPERM) return false;
    data[0].effective &= kept;
    data[0].permitted &= kept;
    data[0].inheritable &= kept;
    return syscall(SYS_capset, &header, data) == 0;
}

il_status il_harden(void) {
    struct sock_filter program[6 + 2 * REFUSED + 5 * EXECUTABLE + 1];
    const struct sock_fprog filter = {.len = make_filter(program), .filter = program};
    static bool is_done;
    if (is_done) return IL_OK;
    if (!drop_ptrace_capability()) return il_fail(IL_SYSTEM, "drop CAP_SYS_PTRACE", errno);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return il_fail(IL_SYSTEM, "PR_SET_NO_NEW_PRIVS", errno);
    /* Linux 6.3; before, the filter alone refuses new executable memory. */
    if (prctl(IL_PR_SET_MDWE, IL_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0 && errno != EINVAL)
        return il_fail(IL_SYSTEM, "PR_SET_MDWE", errno);
    const long status = syscall(IL_SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
    if (status > 0) return il_fail(IL_UNSUPPORTED, "a thread has a seccomp filter of its own", 0);
    if (status < 0) return il_fail(IL_UNSUPPORTED, "seccomp", errno);
    is_done = true;
    return IL_OK;
}
