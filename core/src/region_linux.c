/* region_linux.c - opening the region on Linux: start the writer process, check the seals of what it sends, map the views.
 *
 * The writer is started by a child that forks again and ends, both without an exit signal, so that neither SIGCHLD nor wait() of
 * the application ever sees them.  Between clone and execve only async-signal-safe calls are made.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux_abi.h"
#include "protocol.h"
#include "region.h"

enum { GUARD_BYTES = 1 << 16, VIEWS_BYTES = 2 * IL_CODE_VIEW_BYTES, DESCRIPTORS_MAX = 1 << 20, HELLO_SECONDS = 20 };
_Static_assert(IL_RODATA_DELTA == IL_CODE_VIEW_BYTES, "the rodata view follows the code view");

static pid_t clone_without_signal(void) { return (pid_t)syscall(SYS_clone, 0UL, NULL, NULL, NULL, 0UL); }

static void close_from(unsigned first) {
    struct rlimit limit;
    if (syscall(IL_SYS_CLOSE_RANGE, first, ~0U, 0U) == 0) return;
    unsigned end = DESCRIPTORS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < end) end = (unsigned)limit.rlim_cur;
    for (unsigned fd = first; fd < end; fd++) (void)close((int)fd);
}

/* In the grandchild: nothing of the application is left but the socket. */
static _Noreturn void become_writer(int socket, const char *path) {
    static char name[] = "interlock-writer";
    char *const arguments[] = {name, NULL}, *const environment[] = {NULL};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    /* Ctrl-C is for the application.  Not a session: the scheduler's autogroups would keep the two apart (13 us became 40). */
    (void)setpgid(0, 0);
    if (socket == IL_SOCKET_FD) (void)fcntl(socket, F_SETFD, 0);
    else (void)dup2(socket, IL_SOCKET_FD);
    for (int fd = 0; fd < IL_SOCKET_FD; fd++) (void)close(fd);
    close_from(IL_SOCKET_FD + 1);
    for (int number = 1; number <= SIGRTMAX; number++) (void)sigaction(number, &action, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execve(path, arguments, environment);
    const il_hello hello = {.magic = IL_HELLO_MAGIC, .status = IL_SYSTEM, .error_number = errno, .operation = "execve of the writer"};
    (void)send(IL_SOCKET_FD, &hello, sizeof hello, MSG_NOSIGNAL);
    _exit(127);
}

static il_status start_writer(const char *path, int *socket_out) {
    int pair[2], ended = 0;
    sigset_t all, before;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return il_fail(IL_SYSTEM, "socketpair", errno);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = clone_without_signal();
    if (child == 0) {
        pid_t writer = clone_without_signal();
        if (writer == 0) become_writer(pair[1], path);
        _exit(writer < 0 ? errno : 0);
    }
    int error_number = child < 0 ? errno : 0;
    /* Another thread that waits with __WALL may be faster (ECHILD): then the hello tells. */
    while (child > 0 && waitpid(child, &ended, __WALL) < 0 && errno == EINTR) {}
    if (child > 0 && WIFEXITED(ended)) error_number = WEXITSTATUS(ended);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)close(pair[1]);
    if (error_number != 0) {
        (void)close(pair[0]);
        return il_fail(IL_SYSTEM, "clone", error_number);
    }
    *socket_out = pair[0];
    return IL_OK;
}

static void close_both(const int descriptors[2]) {
    for (int i = 0; i < 2; i++)
        if (descriptors[i] >= 0) (void)close(descriptors[i]);
}

/* descriptors_out: the caller closes what is not -1, whatever the result. */
static il_status receive_hello(int socket, int descriptors_out[2], int *pid_out) {
    static char operation[sizeof((il_hello *)0)->operation]; /* il_last_failure refers to it; opening is serialised */
    const struct timeval patience = {.tv_sec = HELLO_SECONDS}, forever = {0};
    il_hello hello;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec part = {.iov_base = &hello, .iov_len = sizeof hello};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control};
    ssize_t got;
    (void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    do got = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    int error_number = got < 0 ? errno : 0;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    if (got > 0 && header != NULL && header->cmsg_type == SCM_RIGHTS)
        memcpy(descriptors_out, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    (void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
    if (got <= 0) return il_fail(IL_SYSTEM, "the writer gave no sign of life", error_number);
    if (got != (ssize_t)sizeof hello || hello.magic != IL_HELLO_MAGIC) return il_fail(IL_PROTOCOL, "hello of the writer", 0);
    if (hello.status != IL_OK) {
        memcpy(operation, hello.operation, sizeof operation - 1);
        return il_fail(hello.status == IL_SYSTEM ? IL_SYSTEM : IL_UNSUPPORTED, operation, hello.error_number);
    }
    if (descriptors_out[0] < 0 || descriptors_out[1] < 0) return il_fail(IL_PROTOCOL, "descriptors of the writer", 0);
    *pid_out = hello.pid;
    return IL_OK;
}

static il_status check_file(int fd) {
    struct stat file;
    int seals = fcntl(fd, IL_F_GET_SEALS);
    if (seals < 0 || (seals & IL_SEALS) != IL_SEALS) return il_fail(IL_UNSUPPORTED, "F_GET_SEALS: the view is not sealed", 0);
    if (fstat(fd, &file) != 0) return il_fail(IL_SYSTEM, "fstat of the view", errno);
    if (file.st_size != IL_CODE_VIEW_BYTES) return il_fail(IL_UNSUPPORTED, "fstat: the view has another size", 0);
    return IL_OK;
}

static il_status map_over(uint8_t *at, int protection, int fd) {
    if (mmap(at, IL_CODE_VIEW_BYTES, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        return il_fail(IL_UNSUPPORTED, protection & PROT_EXEC ? "mmap of the code view" : "mmap of the rodata view", errno);
    /* The seal's promise, tried out: the mapping cannot be made writable. */
    if (mprotect(at, 4096, PROT_READ | PROT_WRITE) == 0) return il_fail(IL_UNSUPPORTED, "mprotect made a sealed view writable", 0);
    return IL_OK;
}

static il_status map_views(const int descriptors[2], il_views *views_out) {
    const size_t bytes = VIEWS_BYTES + 2 * GUARD_BYTES;
    il_status status = check_file(descriptors[0]);
    if (status == IL_OK) status = check_file(descriptors[1]);
    if (status != IL_OK) return status;
    uint8_t *base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return il_fail(IL_NO_MEMORY, "mmap of the reservation", errno);
    status = map_over(base + GUARD_BYTES, PROT_READ | PROT_EXEC, descriptors[0]);
    if (status == IL_OK) status = map_over(base + GUARD_BYTES + IL_RODATA_DELTA, PROT_READ, descriptors[1]);
    if (status != IL_OK) {
        (void)munmap(base, bytes);
        return status;
    }
    views_out->has_mseal = syscall(IL_SYS_MSEAL, base, bytes, 0UL) == 0;
    views_out->code_base = (uint64_t)(uintptr_t)(base + GUARD_BYTES);
    return IL_OK;
}

il_status il_views_open(const char *writer_path, il_views *views_out) {
    il_views views = {.socket = -1};
    int descriptors[2] = {-1, -1};
    il_status status = start_writer(writer_path, &views.socket);
    if (status != IL_OK) return status;
    status = receive_hello(views.socket, descriptors, &views.writer_pid);
    if (status == IL_OK) status = map_views(descriptors, &views);
    close_both(descriptors);
    if (status != IL_OK) {
        (void)close(views.socket); /* the writer ends when it sees that */
        return status;
    }
    (void)syscall(IL_SYS_MEMBARRIER, IL_MEMBARRIER_REGISTER_SYNC_CORE, 0U, 0);
    *views_out = views;
    return IL_OK;
}

static bool send_parts(int socket, struct iovec *parts, uint32_t count) {
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = count};
    while (packet.msg_iovlen > 0) {
        ssize_t sent = sendmsg(socket, &packet, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) return false;
        size_t left = sent < 0 ? 0 : (size_t)sent;
        for (; packet.msg_iovlen > 0 && left >= packet.msg_iov->iov_len; packet.msg_iov++, packet.msg_iovlen--)
            left -= packet.msg_iov->iov_len;
        if (left == 0) continue;
        packet.msg_iov->iov_base = (uint8_t *)packet.msg_iov->iov_base + left;
        packet.msg_iov->iov_len -= left;
    }
    return true;
}

static bool receive_reply(int socket, il_reply *reply_out) {
    size_t have = 0;
    while (have < sizeof *reply_out) {
        ssize_t got = recv(socket, (uint8_t *)reply_out + have, sizeof *reply_out - have, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) errno = 0;
        if (got <= 0) return false;
        have += (size_t)got;
    }
    return true;
}

bool il_views_exchange(il_views *views, struct iovec *parts, uint32_t count, il_reply *reply_out, il_failure *failure_out) {
    ((il_request *)parts[0].iov_base)->cpu = sched_getcpu();
    const bool is_sent = send_parts(views->socket, parts, count);
    if (is_sent && receive_reply(views->socket, reply_out)) return true;
    *failure_out = (il_failure){is_sent ? "receive from the writer" : "send to the writer", errno};
    return false;
}

void il_views_close(il_views *views) {
    if (views->socket >= 0) (void)close(views->socket);
    views->socket = -1;
}

/* Before Linux 4.16 there is none: there the kernel's own return to user mode has to do. */
void il_views_synchronise(void) { (void)syscall(IL_SYS_MEMBARRIER, IL_MEMBARRIER_SYNC_CORE, 0U, 0); }
