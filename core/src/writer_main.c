/* writer_main.c - the program interlock-writer on Linux: makes the two views, hands their sealed descriptors to the application,
 * then answers requests until the socket ends.  Started by region_linux.c with the socket as descriptor IL_SOCKET_FD.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux_abi.h"
#include "writer.h"

static il_writer_state writer;
static _Alignas(8) uint8_t message[IL_MESSAGE_BYTES_MAX + 1]; /* one more than any message, so that too much is noticed */

/* Set-up failed: the application hears what and why. */
static _Noreturn void refuse(const char *operation) {
    il_hello hello = {.magic = IL_HELLO_MAGIC, .status = IL_UNSUPPORTED, .error_number = errno};
    strncpy(hello.operation, operation, sizeof hello.operation - 1);
    (void)send(IL_SOCKET_FD, &hello, sizeof hello, MSG_NOSIGNAL);
    _exit(1);
}

/* The flag says whether the file may be executed or mapped so; kernels before 6.3 do not know it. */
static int make_file(const char *name, unsigned flag) {
    const unsigned flags = IL_MFD_CLOEXEC | IL_MFD_ALLOW_SEALING;
    long fd = syscall(IL_SYS_MEMFD_CREATE, name, flags | flag);
    if (fd < 0 && errno == EINVAL) fd = syscall(IL_SYS_MEMFD_CREATE, name, flags);
    if (fd < 0) refuse("memfd_create");
    if (ftruncate((int)fd, IL_CODE_VIEW_BYTES) != 0) refuse("ftruncate of the memfd");
    return (int)fd;
}

/* The one writable mapping; after it the seal refuses any other. */
static uint8_t *map_and_seal(int fd) {
    void *view = mmap(NULL, IL_CODE_VIEW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (view == MAP_FAILED) refuse("mmap of the writable view");
    if (fcntl(fd, IL_F_ADD_SEALS, IL_SEALS) != 0) refuse("F_ADD_SEALS");
    (void)syscall(IL_SYS_MSEAL, view, (size_t)IL_CODE_VIEW_BYTES, 0UL); /* before Linux 6.10 there is none: not needed here */
    return view;
}

/* Nobody but root reads or writes this process; it leaves no core file and never gains a privilege. */
static void harden(void) {
    const struct rlimit none = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) refuse("PR_SET_DUMPABLE");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) refuse("PR_SET_NO_NEW_PRIVS");
    if (setrlimit(RLIMIT_CORE, &none) != 0) refuse("RLIMIT_CORE");
    if (chdir("/") != 0) refuse("chdir");
}

/* The application sleeps while the writer works: on the same processor neither has to be woken across (measured: 9 us a round
 * trip instead of 37 on a virtual machine).  Only a sender that stays is followed, or two could chase each other.  Refused, the
 * writer stays where it is. */
static void follow(int32_t cpu) {
    enum { STAYS = 4 };
    static int32_t here = -1, there = -1, count;
    cpu_set_t set;
    count = cpu == there ? count + 1 : 0;
    there = cpu;
    if (cpu == here || cpu < 0 || cpu >= CPU_SETSIZE || (here != -1 && count < STAYS)) return;
    here = cpu;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

/* From here on: receive, move, send, end.  Where the kernel has no seccomp the writer is as safe as its input checks. */
static void confine(void) {
    static const uint16_t allowed[] = {SYS_recvfrom, SYS_sendto, SYS_exit_group, SYS_exit, SYS_rt_sigreturn, SYS_restart_syscall,
                                       SYS_sched_setaffinity};
    enum { COUNT = sizeof allowed / sizeof allowed[0] };
    struct sock_filter program[COUNT + 6];
    struct sock_fprog filter = {.len = COUNT + 6, .filter = program};
    uint8_t at = 0;
    program[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IL_AUDIT_ARCH, 1, 0);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (uint8_t i = 0; i < COUNT; i++, at++)
        program[at] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], (uint8_t)(COUNT - i), 0);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0 && errno != EINVAL) refuse("PR_SET_SECCOMP");
}

static void send_hello(int code_fd, int rodata_fd) {
    il_hello hello = {.magic = IL_HELLO_MAGIC, .status = IL_OK, .pid = getpid()};
    const int descriptors[2] = {code_fd, rodata_fd};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof descriptors)];
    } control = {.bytes = {0}};
    struct iovec part = {.iov_base = &hello, .iov_len = sizeof hello};
    struct msghdr packet = {0};
    packet.msg_iov = &part;
    packet.msg_iovlen = 1;
    packet.msg_control = control.bytes;
    packet.msg_controllen = sizeof control.bytes;
    struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptors);
    memcpy(CMSG_DATA(header), descriptors, sizeof descriptors);
    if (sendmsg(IL_SOCKET_FD, &packet, MSG_NOSIGNAL) != (ssize_t)sizeof hello) _exit(1);
}

/* One whole message, or the end of the program.  The application waits for the reply, so more than one message is a lie. */
static void receive_request(void) {
    uint64_t have = 0, want = sizeof(il_request);
    bool has_header = false;
    while (have < want) {
        ssize_t got = recv(IL_SOCKET_FD, message + have, sizeof message - have, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) _exit(0);
        have += (uint64_t)got;
        if (!has_header && have >= sizeof(il_request)) {
            has_header = true;
            want = il_request_bytes((const il_request *)(void *)message);
            if (want == 0) _exit(1);
        }
    }
    if (have != want) _exit(1);
}

static void send_reply(const il_reply *reply) {
    uint64_t sent = 0;
    while (sent < sizeof *reply) {
        ssize_t got = send(IL_SOCKET_FD, (const char *)reply + sent, sizeof *reply - sent, MSG_NOSIGNAL);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) _exit(0);
        sent += (uint64_t)got;
    }
}

int main(void) {
    il_reply reply;
    harden();
    int code_fd = make_file("interlock-code", IL_MFD_EXEC), rodata_fd = make_file("interlock-rodata", IL_MFD_NOEXEC_SEAL);
    uint8_t *code = map_and_seal(code_fd), *rodata = map_and_seal(rodata_fd);
    il_writer_open(&writer, code, rodata);
    send_hello(code_fd, rodata_fd);
    (void)close(code_fd);
    (void)close(rodata_fd);
    confine();
    for (;;) {
        receive_request();
        follow(((const il_request *)(const void *)message)->cpu);
        il_writer_handle(&writer, message, &reply);
        send_reply(&reply);
    }
}
