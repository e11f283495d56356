/* writer_main.c - the program interlock-writer on Linux: makes the two views, the payload and two pipes, hands their descriptors
 * to the application, then answers requests until their pipe ends.  Started by region_linux.c with a socket as descriptor
 * IL_SOCKET_FD.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
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
static _Alignas(8) uint8_t message[IL_MESSAGE_BYTES_MAX]; /* the private copy of a request and its payload */

/* Set-up failed: the application hears what and why. */
static _Noreturn void refuse(const char *operation) {
    il_hello hello = {.magic = IL_HELLO_MAGIC, .status = IL_UNSUPPORTED, .error_number = errno};
    strncpy(hello.operation, operation, sizeof hello.operation - 1);
    (void)send(IL_SOCKET_FD, &hello, sizeof hello, MSG_NOSIGNAL);
    _exit(1);
}

/* The flag says whether the file may be executed or mapped so; kernels before 6.3 do not know it. */
static int make_file(const char *name, unsigned flag, off_t bytes) {
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    long fd = syscall(SYS_memfd_create, name, flags | flag);
    if (fd < 0 && errno == EINVAL) fd = syscall(SYS_memfd_create, name, flags);
    if (fd < 0) refuse("memfd_create");
    if (ftruncate((int)fd, bytes) != 0) refuse("ftruncate of the memfd");
    return (int)fd;
}

/* Mapped before it is sealed: of a view this is the one writable mapping, the seal refuses any other. */
static void *map_and_seal(int fd, int protection, size_t bytes, int seals) {
    void *view = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
    if (view == MAP_FAILED) refuse("mmap of the writer's view");
    if (fcntl(fd, F_ADD_SEALS, seals) != 0) refuse("F_ADD_SEALS");
    (void)syscall(IL_SYS_MSEAL, view, bytes, 0UL); /* before Linux 6.10 there is none: not needed here */
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
 * trip instead of 37 on a virtual machine).  Only a sender that stays is followed, or two threads would chase it to and fro.
 * Refused, the writer stays where it is. */
static void follow(int32_t cpu) {
    static int32_t here = -1, before = -1;
    cpu_set_t set;
    const bool stays = cpu == before || here == -1;
    before = cpu;
    if (cpu == here || cpu < 0 || cpu >= CPU_SETSIZE || !stays) return;
    here = cpu;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

/* From here on: read, move, write, end.  Where the kernel has no seccomp the writer is as safe as its input checks. */
static void confine(void) {
    static const uint16_t allowed[] = {SYS_read, SYS_write, SYS_exit_group, SYS_exit, SYS_rt_sigreturn, SYS_restart_syscall,
                                       SYS_sched_setaffinity};
    enum { COUNT = sizeof allowed / sizeof allowed[0] };
    struct sock_filter program[COUNT + 6];
    struct sock_fprog filter = {.len = COUNT + 6, .filter = program};
    uint8_t at = 0;
    program[at++] = IL_BPF_LOAD(arch);
    program[at++] = IL_BPF_JUMP(BPF_JEQ, IL_AUDIT_ARCH, 1, 0);
    program[at++] = IL_BPF_RETURN(SECCOMP_RET_KILL_PROCESS);
    program[at++] = IL_BPF_LOAD(nr);
    for (uint8_t i = 0; i < COUNT; i++) program[at++] = IL_BPF_JUMP(BPF_JEQ, allowed[i], (uint8_t)(COUNT - i), 0);
    program[at++] = IL_BPF_RETURN(SECCOMP_RET_KILL_PROCESS);
    program[at++] = IL_BPF_RETURN(SECCOMP_RET_ALLOW);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0 && errno != EINVAL) refuse("PR_SET_SECCOMP");
}

static void send_hello(const int descriptors[IL_FD_COUNT]) {
    il_hello hello = {.magic = IL_HELLO_MAGIC, .status = IL_OK, .pid = getpid()};
    const size_t bytes = IL_FD_COUNT * sizeof *descriptors;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(IL_FD_COUNT * sizeof *descriptors)];
    } control = {.bytes = {0}};
    struct iovec part = {.iov_base = &hello, .iov_len = sizeof hello};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(header), descriptors, bytes);
    if (sendmsg(IL_SOCKET_FD, &packet, MSG_NOSIGNAL) != (ssize_t)sizeof hello) _exit(1);
}

/* One whole request and its payload, or the end of the program. */
static void receive_request(int requests, const uint8_t *payload) {
    ssize_t got;
    do got = read(requests, message, sizeof(il_request));
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(il_request)) _exit(got != 0);
    const uint64_t bytes = il_request_bytes((const il_request *)(const void *)message);
    if (bytes == 0) _exit(1);
    memcpy(message + sizeof(il_request), payload, bytes - sizeof(il_request)); /* the only look at shared memory */
}

static void send_reply(int replies, const il_reply *reply) {
    ssize_t sent;
    do sent = write(replies, reply, sizeof *reply);
    while (sent < 0 && errno == EINTR);
    if (sent != (ssize_t)sizeof *reply) _exit(0);
}

int main(void) {
    enum { READ_WRITE = PROT_READ | PROT_WRITE };
    int requests[2], replies[2], descriptors[IL_FD_COUNT];
    il_reply reply;
    harden();
    descriptors[IL_FD_CODE] = make_file("interlock-code", IL_MFD_EXEC, IL_CODE_VIEW_BYTES);
    descriptors[IL_FD_RODATA] = make_file("interlock-rodata", IL_MFD_NOEXEC_SEAL, IL_CODE_VIEW_BYTES);
    descriptors[IL_FD_PAYLOAD] = make_file("interlock-payload", IL_MFD_NOEXEC_SEAL, IL_PAYLOAD_FILE_BYTES);
    uint8_t *code = map_and_seal(descriptors[IL_FD_CODE], READ_WRITE, IL_CODE_VIEW_BYTES, IL_SEALS);
    uint8_t *rodata = map_and_seal(descriptors[IL_FD_RODATA], READ_WRITE, IL_CODE_VIEW_BYTES, IL_SEALS);
    const uint8_t *payload = map_and_seal(descriptors[IL_FD_PAYLOAD], PROT_READ, IL_PAYLOAD_FILE_BYTES, IL_SIZE_SEALS);
    if (pipe(requests) != 0 || pipe(replies) != 0) refuse("pipe");
    descriptors[IL_FD_REQUESTS_END] = requests[0];
    descriptors[IL_FD_REQUESTS] = requests[1];
    descriptors[IL_FD_REPLIES] = replies[0];
    il_writer_open(&writer, code, rodata);
    send_hello(descriptors);
    for (int i = 0; i < IL_FD_COUNT; i++)
        if (i != IL_FD_REQUESTS_END) (void)close(descriptors[i]);
    (void)close(IL_SOCKET_FD);
    confine();
    for (;;) {
        receive_request(requests[0], payload);
        follow(((const il_request *)(const void *)message)->cpu);
        il_writer_handle(&writer, message, &reply);
        send_reply(replies[1], &reply);
    }
}
