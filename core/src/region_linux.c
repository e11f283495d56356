/* region_linux.c - the region on Linux: start the writer process, check the seals of what it sends, map the views, talk to it.
 *
 * The writer is started by a child that forks again and ends, both without an exit signal, so that neither SIGCHLD nor wait() of
 * the application ever sees them.  Between clone and execve only async-signal-safe calls are made.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sched.h>
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
#include "library.h"

enum { GUARD_BYTES = 1 << 16, VIEWS_BYTES = 2 * IL_CODE_VIEW_BYTES, DESCRIPTORS_MAX = 1 << 20, HELLO_SECONDS = 20 };
_Static_assert(IL_RODATA_DELTA == IL_CODE_VIEW_BYTES, "the rodata view follows the code view");

/* qemu-user only knows children that end with SIGCHLD. */
static pid_t clone_without_signal(void) {
    const pid_t child = (pid_t)syscall(SYS_clone, 0UL, NULL, NULL, NULL, 0UL);
    return child >= 0 || errno != EINVAL ? child : (pid_t)syscall(SYS_clone, (unsigned long)SIGCHLD, NULL, NULL, NULL, 0UL);
}

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
    const il_hello hello = {.magic = IL_HELLO_MAGIC, .status = IL_SYSTEM, .error_number = errno,
                            .operation = "execve of the writer"};
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

static void close_all(int *descriptors, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (descriptors[i] >= 0) (void)close(descriptors[i]);
}

/* descriptors_out: the caller closes what is not -1, whatever the result. */
static il_status receive_hello(int socket, int descriptors_out[IL_FD_COUNT], int *pid_out) {
    static char operation[sizeof((il_hello *)0)->operation]; /* il_last_failure refers to it; opening is serialised */
    const struct timeval patience = {.tv_sec = HELLO_SECONDS};
    il_hello hello;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(IL_FD_COUNT * sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec part = {.iov_base = &hello, .iov_len = sizeof hello};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control};
    ssize_t got;
    (void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    do got = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return il_fail(IL_SYSTEM, "the writer gave no sign of life", got < 0 ? errno : 0);
    const struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    if (header != NULL && header->cmsg_type == SCM_RIGHTS)
        memcpy(descriptors_out, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    if (got != (ssize_t)sizeof hello || hello.magic != IL_HELLO_MAGIC) return il_fail(IL_PROTOCOL, "hello of the writer", 0);
    if (hello.status != IL_OK) {
        memcpy(operation, hello.operation, sizeof operation - 1);
        return il_fail(hello.status == IL_SYSTEM ? IL_SYSTEM : IL_UNSUPPORTED, operation, hello.error_number);
    }
    for (int i = 0; i < IL_FD_COUNT; i++)
        if (descriptors_out[i] < 0) return il_fail(IL_PROTOCOL, "descriptors of the writer", 0);
    *pid_out = hello.pid;
    return IL_OK;
}

static il_status check_file(int fd, int wanted, off_t bytes) {
    struct stat file;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & wanted) != wanted) return il_fail(IL_UNSUPPORTED, "F_GET_SEALS: the view is not sealed", 0);
    if (fstat(fd, &file) != 0) return il_fail(IL_SYSTEM, "fstat of the view", errno);
    if (file.st_size != bytes) return il_fail(IL_UNSUPPORTED, "fstat: the view has another size", 0);
    return IL_OK;
}

static il_status map_over(uint8_t *at, int protection, int fd) {
    if (mmap(at, IL_CODE_VIEW_BYTES, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        return il_fail(IL_UNSUPPORTED, protection & PROT_EXEC ? "mmap of the code view" : "mmap of the rodata view", errno);
    /* The seal's promise, tried out: the mapping cannot be made writable. */
    if (mprotect(at, 4096, PROT_READ | PROT_WRITE) == 0)
        return il_fail(IL_UNSUPPORTED, "mprotect made a sealed view writable", 0);
    return IL_OK;
}

static il_status map_views(const int descriptors[IL_FD_COUNT], il_views *views_out) {
    const size_t bytes = VIEWS_BYTES + 2 * GUARD_BYTES;
    uint8_t *base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return il_fail(IL_NO_MEMORY, "mmap of the reservation", errno);
    il_status status = map_over(base + GUARD_BYTES, PROT_READ | PROT_EXEC, descriptors[IL_FD_CODE]);
    if (status == IL_OK) status = map_over(base + GUARD_BYTES + IL_RODATA_DELTA, PROT_READ, descriptors[IL_FD_RODATA]);
    if (status != IL_OK) {
        (void)munmap(base, bytes);
        return status;
    }
    views_out->has_mseal = syscall(IL_SYS_MSEAL, base, bytes, 0UL) == 0;
    views_out->code_base = (uint64_t)(uintptr_t)(base + GUARD_BYTES);
    return IL_OK;
}

/* Not in forked children: they have no business there. */
static il_status map_payload(int fd, uint8_t **payload_out) {
    uint8_t *payload = mmap(NULL, IL_PAYLOAD_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (payload == MAP_FAILED) return il_fail(IL_NO_MEMORY, "mmap of the payload", errno);
    if (madvise(payload, IL_PAYLOAD_FILE_BYTES, MADV_DONTFORK) != 0) {
        const int error_number = errno;
        (void)munmap(payload, IL_PAYLOAD_FILE_BYTES);
        return il_fail(IL_SYSTEM, "MADV_DONTFORK", error_number);
    }
    *payload_out = payload;
    return IL_OK;
}

void il_views_close(il_views *views) {
    close_all((int[]){views->requests, views->requests_end, views->replies}, 3);
    views->requests = views->requests_end = views->replies = -1;
    if (views->payload != NULL) (void)munmap(views->payload, IL_PAYLOAD_FILE_BYTES);
    views->payload = NULL;
}

/* The mappings come last: once sealed they cannot be undone. */
static il_status accept_writer(int socket, int descriptors[IL_FD_COUNT], il_views *views) {
    il_status status = receive_hello(socket, descriptors, &views->writer_pid);
    if (status == IL_OK) status = check_file(descriptors[IL_FD_CODE], IL_SEALS, IL_CODE_VIEW_BYTES);
    if (status == IL_OK) status = check_file(descriptors[IL_FD_RODATA], IL_SEALS, IL_CODE_VIEW_BYTES);
    if (status == IL_OK) status = check_file(descriptors[IL_FD_PAYLOAD], IL_SIZE_SEALS, IL_PAYLOAD_FILE_BYTES);
    if (status == IL_OK) status = map_payload(descriptors[IL_FD_PAYLOAD], &views->payload);
    if (status == IL_OK) status = map_views(descriptors, views);
    return status;
}

il_status il_views_open(const char *writer_path, il_views *views_out) {
    il_views views = {.writer = IL_WRITER_PROCESS, .has_seals = true, .requests = -1, .requests_end = -1, .replies = -1};
    int descriptors[IL_FD_COUNT] = {-1, -1, -1, -1, -1, -1}, socket = -1;
    il_status status = start_writer(writer_path, &socket);
    if (status != IL_OK) return status;
    status = accept_writer(socket, descriptors, &views);
    (void)close(socket);
    close_all(descriptors, status == IL_OK ? IL_FD_REQUESTS : IL_FD_COUNT); /* without the pipes the writer ends */
    if (status != IL_OK) {
        il_views_close(&views);
        return status;
    }
    views.requests = descriptors[IL_FD_REQUESTS];
    views.requests_end = descriptors[IL_FD_REQUESTS_END];
    views.replies = descriptors[IL_FD_REPLIES];
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0U, 0);
    *views_out = views;
    return IL_OK;
}

/* Request and reply are shorter than PIPE_BUF, so that they are written and read whole.
 *
 * Who sleeps is woken on an idle CPU, if there is one: away from the writer, and then each hand-over wakes a halted CPU.  So once
 * that was seen, the reply is awaited awake: the writer, which is on this CPU, runs in the yield.  When that took as long as a
 * time slice, others want this CPU too: to yield to them each time would cost more, and no CPU is idle (docs/decisions/0011). */
bool il_views_exchange(il_views *views, il_request *request, il_reply *reply_out, il_failure *failure_out) {
    enum { YIELDS_MAX = 64, AWAKE_NS_MAX = 1000000 };
    static bool is_pulled; /* exchanges are serialised */
    struct pollfd reply = {.fd = views->replies, .events = POLLIN};
    const uint64_t end = is_pulled ? il_now() + AWAKE_NS_MAX : 0;
    ssize_t moved;
    request->cpu = sched_getcpu();
    do moved = write(views->requests, request, sizeof *request);
    while (moved < 0 && errno == EINTR);
    if (moved == (ssize_t)sizeof *request) {
        for (int yields = 0; il_now() < end && yields < YIELDS_MAX && poll(&reply, 1, 0) == 0; yields++) (void)sched_yield();
        do moved = read(views->replies, reply_out, sizeof *reply_out);
        while (moved < 0 && errno == EINTR);
        if (moved == (ssize_t)sizeof *reply_out) {
            is_pulled = sched_getcpu() != request->cpu || il_now() < end;
            return true;
        }
    }
    *failure_out = (il_failure){"the writer process has ended", moved < 0 ? errno : 0};
    return false;
}

/* Before Linux 4.16 there is none: there the kernel's own return to user mode has to do. */
void il_views_synchronise(void) { (void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0U, 0); }

bool il_barrier_prepare(void) {
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0U, 0) == 0 && il_barrier();
}

bool il_barrier(void) { return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0U, 0) == 0; }
