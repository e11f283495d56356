/* harden_linux.c - the Hardened Runtime of Linux: from now on this process gets no new executable memory and reaches into no
 * other process.  Nothing of it can be undone.  tables/harden_linux.def and docs/reference/harden.md list what is refused.
 */
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arch_abi.h"
#include "linux_abi.h"
#include "library.h"

enum { X32_BIT = 0x40000000, PASSES = 500, PAUSE_NANOSECONDS = 4000000 };
enum { ROOTS_WAYS = 1 << CAP_SYS_PTRACE | 1 << CAP_SYS_MODULE | 1 << CAP_SYS_RAWIO }; /* to the writer's memory */

static const struct { uint32_t number, argument, test, operand; } refused[] = {
#define IL_REFUSED(number) {number, 0, BPF_JGE, 0},
#define IL_REFUSED_BITS(number, argument, bits) {number, argument, BPF_JSET, bits},
#define IL_REFUSED_VALUE(number, argument, value) {number, argument, BPF_JEQ, value},
#include "../tables/harden_linux.def"
    IL_REFUSED_OF_ARCH
};
enum { REFUSED = sizeof refused / sizeof *refused };

static uint16_t make_filter(struct sock_filter *program) {
    const struct sock_filter refuse = IL_BPF_RETURN(SECCOMP_RET_ERRNO | EPERM);
    uint16_t at = 0;
    program[at++] = IL_BPF_LOAD(arch);
    program[at++] = IL_BPF_JUMP(BPF_JEQ, IL_AUDIT_ARCH, 1, 0);
    program[at++] = refuse; /* the 32-bit system calls have other numbers */
    program[at++] = IL_BPF_LOAD(nr);
    program[at++] = IL_BPF_JUMP(BPF_JGE, X32_BIT, 0, 1);
    program[at++] = refuse;
    for (int i = 0; i < REFUSED; i++) {
        program[at++] = IL_BPF_LOAD(nr);
        program[at++] = IL_BPF_JUMP(BPF_JEQ, refused[i].number, 0, 3);
        program[at++] = IL_BPF_LOAD(args[refused[i].argument]);
        program[at++] = IL_BPF_JUMP(refused[i].test, refused[i].operand, 0, 1);
        program[at++] = refuse;
    }
    program[at++] = IL_BPF_RETURN(SECCOMP_RET_ALLOW);
    return at;
}

/* Of a thread (0: this one); one that has ended has none. */
static bool has_roots_ways(pid_t thread, struct __user_cap_data_struct data_out[_LINUX_CAPABILITY_U32S_3]) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = thread};
    return syscall(SYS_capget, &header, data_out) == 0 && (data_out->permitted & ROOTS_WAYS) != 0;
}

static void drop_own(int signal_number) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    (void)signal_number;
    if (!has_roots_ways(0, data)) return;
    data->effective &= ~(uint32_t)ROOTS_WAYS, data->permitted &= ~(uint32_t)ROOTS_WAYS, data->inheritable &= ~(uint32_t)ROOTS_WAYS;
    (void)syscall(SYS_capset, &header, data);
}

/* Capabilities belong to threads, and none can take another's: so each gives up its own, in the handler of a signal that is
 * ignored by default.  What counts is what the kernel then says of all of them; a thread that blocks the signal is an error. */
static il_status drop_in_all_threads(void) {
    const struct sigaction action = {.sa_handler = drop_own, .sa_flags = SA_RESTART};
    const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    struct sigaction before;
    bool is_left = true;
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL) return il_fail(IL_SYSTEM, "opendir of /proc/self/task", errno);
    (void)sigaction(SIGURG, &action, &before);
    for (int pass = 0; is_left && pass < PASSES; pass++) {
        is_left = false;
        if (pass != 0) (void)nanosleep(&pause, NULL);
        rewinddir(threads);
        for (const struct dirent *entry = readdir(threads); entry != NULL; entry = readdir(threads)) {
            const pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
            if (thread == 0 || !has_roots_ways(thread, data)) continue;
            is_left = true;
            (void)syscall(SYS_tgkill, getpid(), thread, SIGURG);
        }
    }
    (void)sigaction(SIGURG, &before, NULL);
    (void)closedir(threads);
    return is_left ? il_fail(IL_UNSUPPORTED, "a thread keeps CAP_SYS_PTRACE: it blocks SIGURG", 0) : IL_OK;
}

il_status il_harden(void) {
    struct sock_filter program[6 + 5 * REFUSED + 1];
    const struct sock_fprog filter = {.len = make_filter(program), .filter = program};
    void *frame;
    if (il_is_hardened) return IL_OK;
    (void)backtrace(&frame, 1); /* loads libgcc_s, without which glibc ends the process when a thread calls pthread_exit */
    const il_status dropped = drop_in_all_threads();
    if (dropped != IL_OK) return dropped;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return il_fail(IL_SYSTEM, "PR_SET_NO_NEW_PRIVS", errno);
    /* An ordinary user's own memory file would write into the text of libraries; and other processes' debuggers stay out. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return il_fail(IL_SYSTEM, "PR_SET_DUMPABLE", errno);
    /* Linux 6.3; before, the filter alone refuses new executable memory. */
    if (prctl(IL_PR_SET_MDWE, IL_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0 && errno != EINVAL)
        return il_fail(IL_SYSTEM, "PR_SET_MDWE", errno);
    const long status = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
    if (status > 0) return il_fail(IL_UNSUPPORTED, "a thread has a seccomp filter of its own", 0);
    if (status != 0) return il_fail(IL_UNSUPPORTED, "seccomp", errno);
    il_is_hardened = true;
    return IL_OK;
}
