/* scenario.c - all that the core does, once, in a process of its own, while one call of the C library fails.
 *
 * scenario WRITER first|forked CALL ERROR owner|others
 *
 * CALL is the number of the call that fails (0: none), made by this process (owner) or by those that it starts (others).  Whatever
 * fails: each status is one of its function's, nothing of code memory is writable, what was published runs, what failed to open
 * has left nothing and opens the next time, and no process remains.  Prints the calls that were made; exits 0, or says what does
 * not hold.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "interlock.h"

#if defined(__x86_64__)
static const uint8_t returns_42[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xb8, 42, 0, 0, 0, 0xc3};
enum { ARCH = IL_ARCH_X86_64 };
#else
static const uint8_t returns_42[] = {0x5f, 0x24, 0x03, 0xd5, 0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
enum { ARCH = IL_ARCH_AARCH64 };
#endif
enum { PATIENCE_SECONDS = 30, DESCRIPTORS = 256, MEMORY_BYTES = 65536 };

/* Not one of the calls that are made to fail. */
pid_t __real_waitpid(pid_t process, int *status_out, int options);

static const char *step = "start";

static void require(bool holds, const char *what) {
    il_failure failure;
    if (holds) return;
    fault_state->is_armed = 0;
    il_last_failure(&failure);
    (void)fprintf(stderr, "%s: %s (last failure: %s, errno %d)\n", step, what, failure.operation, failure.error_number);
    _exit(1);
}

/* A status that says what happened: with an operation, unless it is IL_OK. */
static bool succeeds(il_status status) {
    il_failure failure;
    if (status == IL_OK) return true;
    il_last_failure(&failure);
    require(fault_state->error != EINTR, "a call that was interrupted was not made again");
    require(status == IL_SYSTEM || status == IL_NO_MEMORY || status == IL_UNSUPPORTED || status == IL_WRITER_LOST, "not a clear status");
    require(failure.operation != NULL && failure.operation[0] != 0, "no operation");
    return false;
}

/* ---- What must hold whatever failed ------------------------------------------------------------------------------------------ */
typedef struct state {
    uint32_t descriptors, maps, blocked;
} state;

/* Of the mappings those that the core makes: views, payload, shared pages, reservations. */
static uint32_t count_maps(void) {
    char line[512];
    uint32_t count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    require(maps != NULL, "/proc/self/maps");
    while (fgets(line, sizeof line, maps) != NULL) {
        const bool is_view = strstr(line, "memfd:interlock-code") != NULL || strstr(line, "memfd:interlock-rodata") != NULL;
        require(strstr(line, " rwx") == NULL, "memory that is writable and executable");
        require(!is_view || strstr(line, " rw") == NULL, "a writable view");
        count += is_view || strstr(line, "memfd:interlock-payload") != NULL || strstr(line, "/dev/zero") != NULL ||
                 strstr(line, " ---p 00000000 00:00 0") != NULL;
    }
    (void)fclose(maps);
    return count;
}

static uint32_t count_timers(void) {
    char line[512];
    uint32_t count = 0;
    FILE *timers = fopen("/proc/self/timers", "r"); /* not in every kernel */
    while (timers != NULL && fgets(line, sizeof line, timers) != NULL) count += strncmp(line, "ID:", 3) == 0;
    if (timers != NULL) (void)fclose(timers);
    return count;
}

static state now(void) {
    state found = {.maps = count_maps()};
    sigset_t blocked;
    for (int fd = 0; fd < DESCRIPTORS; fd++) found.descriptors += dup2(fd, fd) == fd;
    (void)sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int number = 1; number <= 31; number++) found.blocked += (uint32_t)sigismember(&blocked, number);
    return found;
}

static void require_no_child(void) {
    require(__real_waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD, "a child is left");
}

/* ---- The steps --------------------------------------------------------------------------------------------------------------- */
static uint64_t published; /* address; 0: none */

static bool is_right(void) {
    il_exec exec = {.is_native = true};
    const il_funcref callee = {.code = published, .vmctx = &exec};
    il_registers registers = {.stack_count = 0};
    il_trap trap;
    const il_status status = il_call(&exec, &callee, &registers, &trap);
    /* A thread that cannot be registered does not run. */
    return status == IL_OK ? registers.integer[0] == 42 : status == IL_NO_MEMORY;
}

static void publish(const char *writer) {
    const uint32_t entry = 0;
    const uint64_t import = 0x1000;
    const il_image image = {.arch = ARCH, .code_bytes = sizeof returns_42, .entry_count = 1, .code = returns_42, .entries = &entry};
    il_arena arena;
    il_code code;
    il_verdict verdict;
    il_region_info info;
    uint64_t address;
    step = "il_arena_open";
    if (!succeeds(il_arena_open(&import, 1, NULL, 4096, &arena))) {
        require(il_region_describe(&info) == IL_OK, "il_region_describe");
        return;
    }
    step = "il_publish";
    if (succeeds(il_publish(arena, &image, &code, &address, &verdict))) {
        published = address;
        require(is_right(), "published code");
        if (succeeds(il_publish(arena, &image, &code, &address, &verdict))) (void)succeeds(il_retire(code));
        (void)succeeds(il_publish(arena, &image, &code, &address, &verdict)); /* in memory that is used again */
    }
    step = "il_region_open again";
    (void)succeeds(il_region_open(writer));
    require(il_region_describe(&info) == IL_OK && info.code_base != 0, "il_region_describe");
}

static void memories(void) {
    il_memory memory;
    il_table table;
    const uint32_t before = count_maps();
    step = "il_memory_open";
    if (succeeds(il_memory_open(MEMORY_BYTES, 4 * MEMORY_BYTES, &memory))) {
        const int64_t grown = il_memory_grow(&memory, 1);
        require(grown == 1 || (grown == -1 && memory.length_bytes == MEMORY_BYTES), "il_memory_grow");
        memory.base[memory.length_bytes - 1] = 1;
        step = "il_memory_close";
        if (!succeeds(il_memory_close(&memory))) require(il_memory_close(&memory) == IL_OK, "the second time");
    }
    step = "il_table_open";
    if (succeeds(il_table_open(1, 10, &table)) && !succeeds(il_table_close(&table)))
        require(il_table_close(&table) == IL_OK, "the second time");
    require(count_maps() == before, "mappings are left");
}

static void deadlines(void) {
    step = "il_deadline_set";
    if (succeeds(il_deadline_set(UINT64_C(3600000000000)))) require(!il_is_interrupted(), "interrupted");
    (void)succeeds(il_deadline_set(0));
    require(count_timers() == 0, "timers are left");
}

static void arm(char **arguments) {
    fault_state->owner = getpid();
    fault_state->number = (uint32_t)strtoul(arguments[3], NULL, 10);
    fault_state->error = atoi(arguments[4]);
    fault_state->target = strcmp(arguments[5], "owner") == 0 ? OF_OWNER : OF_OTHERS;
    fault_state->is_armed = 1;
}

static void all(char **arguments) {
    const char *const writer = arguments[1];
    const state before = now();
    arm(arguments);
    step = "il_traps_install";
    (void)succeeds(il_traps_install());
    step = "il_region_open";
    if (!succeeds(il_region_open(writer))) {
        fault_state->is_armed = 0;
        const state after = now();
        require(after.descriptors == before.descriptors, "descriptors are left");
        require(after.maps == before.maps, "mappings are left");
        require(after.blocked == before.blocked, "signals are blocked");
        require_no_child();
        if (fault_state->target == OF_OWNER || strstr(writer, ".writer") == NULL) require(il_region_open(writer) == IL_OK, "it does not open again");
        else return; /* a writer that always fails */
    }
    publish(writer);
    memories();
    deadlines();
    step = "il_harden";
    (void)succeeds(il_harden());
    fault_state->is_armed = 0;
    step = "end";
    require(now().blocked == before.blocked, "signals are blocked");
    require(published == 0 || is_right(), "published code");
    require_no_child();
}

/* A forked child of a process with a region: its own reservation. */
static void forked(char **arguments) {
    require(il_region_open(arguments[1]) == IL_OK, "il_region_open of the parent");
    publish(arguments[1]);
    const uint64_t parents = published;
    arm(arguments);
    fault_state->owner = 0;
    const pid_t child = fork();
    if (child == 0) {
        fault_state->owner = getpid();
        publish(arguments[1]);
        fault_state->is_armed = 0;
        published = parents;
        require(is_right(), "the parent's code in the child");
        (void)count_maps();
        require_no_child();
        _exit(0);
    }
    int status;
    require(__real_waitpid(child, &status, 0) == child && status == 0, "the child");
    require(is_right(), "the parent's code in the parent");
}

int main(int count, char **arguments) {
    int status;
    if (count != 6) return 2;
    faults_open();
    /* What the core starts and leaves becomes our child. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    const pid_t subject = fork();
    if (subject == 0) {
        if (strcmp(arguments[2], "first") == 0) all(arguments);
        else forked(arguments);
        _exit(0);
    }
    if (__real_waitpid(subject, &status, 0) != subject || status != 0) {
        (void)fprintf(stderr, "%s: status %d\n", arguments[2], status);
        return 1;
    }
    (void)alarm(PATIENCE_SECONDS); /* ends us if a writer does not end */
    while (__real_waitpid(-1, NULL, __WALL) > 0) {}
    for (uint32_t whose = OF_OWNER; whose <= OF_OTHERS; whose++)
        for (uint32_t i = 0; i < fault_state->count[whose] && i < CALLS_MAX; i++)
            (void)printf("%s %u %s\n", whose == OF_OWNER ? "owner" : "others", i + 1, fault_names[fault_state->calls[whose][i]]);
    return 0;
}
