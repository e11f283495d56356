/* faults.c - which call fails; the wrappers themselves are made by test_faults.py from calls.txt. */
#include "faults.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

faults *fault_state;

long __real_syscall(long number, long a, long b, long c, long d, long e);
long __real_mmap(long a, long b, long c, long d, long e, long f);

int fault_next(uint16_t which) {
    faults *state = fault_state;
    if (state == NULL || !state->is_armed) return 0;
    /* The writer starts no other process, and its seccomp filter kills for getpid. */
    const bool is_owner = state->owner == ALONE || state->owner == (pid_t)__real_syscall(SYS_getpid, 0, 0, 0, 0, 0);
    const uint32_t whose = is_owner ? OF_OWNER : OF_OTHERS, at = state->count[whose]++;
    if (at < CALLS_MAX) state->calls[whose][at] = which;
    if (whose != state->target || at + 1 != state->number) return 0;
    state->is_done = 1;
    /* Or the filter kills. */
    if (state->error == DIE) (void)__real_syscall(SYS_kill, __real_syscall(SYS_getpid, 0, 0, 0, 0, 0), SIGKILL, 0, 0, 0);
    return state->error;
}

static bool open_state(int fd) {
    const int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = (void *)__real_mmap(0, sizeof *fault_state, PROT_READ | PROT_WRITE, flags, fd, 0);
    fault_state = memory == MAP_FAILED ? NULL : memory;
    return fault_state != NULL;
}

void faults_open(void) { (void)open_state(-1); }

/* The writer: "#!program FILE" made the file of the faults its first argument. */
__attribute__((constructor)) static void open_from_arguments(int count, char **arguments) {
    long __real_close(long a, long b, long c, long d, long e, long f);
    if (count != 3 || strcmp(arguments[1] + strlen(arguments[1]) - 7, ".faults") != 0) return;
    const int fd = (int)__real_syscall(SYS_openat, -100 /* AT_FDCWD */, (long)arguments[1], 2 /* O_RDWR */, 0, 0);
    if (fd < 0 || !open_state(fd)) return;
    (void)__real_close(fd, 0, 0, 0, 0, 0);
    fault_state->owner = ALONE;
}
