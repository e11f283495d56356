/* region_macos_test.c - region_macos.c driven on Linux under a model of Apple's calls (macos/model.h).  Exits 0, or prints what
 * does not hold.  Nothing here has run on a Mac.
 *
 * Compiled and run by tests/core/test_region_macos.py.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library.h"

#define CHECK(claim)                                                          \
    do {                                                                      \
        if (!(claim)) {                                                       \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #claim); \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

enum { HOSTILE_REQUESTS = 20000, MAP_JIT = 0x0800 };
extern int (*const model_listed[])(void *);

/* ---- The model ------------------------------------------------------------------------------------------------------------- */
static uint8_t *jit;           /* the one region (A7) */
static size_t jit_bytes;
static bool is_writing;        /* the thread's state */
static int writable_ranges;    /* ordinary memory that mprotect opened and has not closed */
static uint8_t *invalidated;
static size_t invalidated_bytes;

void *model_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int model_munmap(void *at, size_t bytes);
int model_mprotect(void *at, size_t bytes, int protection);
int pthread_jit_write_with_callback_np(int (*callback)(void *), void *context);
int pthread_jit_write_protect_supported_np(void);
void sys_icache_invalidate(void *start, size_t bytes);

static bool is_jit_range(const uint8_t *at, size_t bytes) { return jit != NULL && at < jit + jit_bytes && jit < at + bytes; }

/* Ordinary memory over one end of the region: what is left of it is JIT memory (A13). */
static void replace_jit(uint8_t *at, size_t bytes, int flags) {
    uint8_t *const end = jit + jit_bytes;
    CHECK((flags & MAP_FIXED) && (at == jit || at + bytes == end));
    if (at == jit) jit += bytes;
    jit_bytes -= bytes;
}

void *model_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
    const bool is_jit = (flags & MAP_JIT) != 0, is_writable_code = (protection & PROT_WRITE) && (protection & PROT_EXEC);
    CHECK(!is_writing && fd == -1);                                                              /* T9, A5 */
    CHECK(is_jit == is_writable_code);                                                           /* A1 */
    if (!is_jit) {
        if (is_jit_range(at, bytes)) replace_jit(at, bytes, flags);
        return mmap(at, bytes, protection, flags, fd, offset);
    }
    CHECK((flags & MAP_PRIVATE) && (flags & MAP_ANONYMOUS) && !(flags & (MAP_FIXED | MAP_SHARED))); /* A2 */
    CHECK(jit == NULL);                                                                          /* A7 */
    jit = mmap(at, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    jit_bytes = bytes;
    return jit;
}

int model_munmap(void *at, size_t bytes) {
    if (is_jit_range(at, bytes)) jit = NULL;
    return munmap(at, bytes);
}

int model_mprotect(void *at, size_t bytes, int protection) {
    CHECK(!is_writing && !is_jit_range(at, bytes));      /* T9, P1 */
    CHECK(!(protection & PROT_EXEC));                    /* P3 */
    if (protection & PROT_WRITE) writable_ranges++;
    else if (writable_ranges > 0) writable_ranges--;
    return mprotect(at, bytes, protection);
}

int pthread_jit_write_with_callback_np(int (*callback)(void *), void *context) {
    sigset_t blocked;
    CHECK(!is_writing);                                                  /* C3 */
    CHECK(callback == model_listed[0] && model_listed[1] == NULL);       /* C8, C11 */
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0 && sigismember(&blocked, SIGINT) == 1);
    CHECK(writable_ranges == 2 && mprotect(jit, jit_bytes, PROT_READ | PROT_WRITE) == 0);
    is_writing = true;
    const int result = callback(context);
    is_writing = false;
    CHECK(mprotect(jit, jit_bytes, PROT_READ | PROT_EXEC) == 0);
    return result;
}

int pthread_jit_write_protect_supported_np(void) { return 1; }

void sys_icache_invalidate(void *start, size_t bytes) {
    CHECK(!is_writing && writable_ranges == 0); /* I2: after the callback */
    invalidated = start;
    invalidated_bytes = bytes;
}

/* What signals_macos.c has. */
bool il_barrier_prepare(void) { return false; }
bool il_barrier(void) { return false; }

/* ---- The claims ------------------------------------------------------------------------------------------------------------ */
static bool has_protection(uint64_t address, const char *wanted) {
    char line[512];
    bool is_found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (!is_found && fgets(line, sizeof line, maps) != NULL) {
        char *end;
        const uint64_t start = strtoull(line, &end, 16), stop = strtoull(end + 1, &end, 16);
        if (address >= start && address < stop) is_found = strncmp(end + 1, wanted, 4) == 0;
    }
    (void)fclose(maps);
    return is_found;
}

static int forty_two(void) { return 42; }

/* endbr64; mov eax, 7; ret */
static const uint8_t seven[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xb8, 7, 0, 0, 0, 0xc3};
/* endbr64; jmp import 0 */
static const uint8_t import[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xe9, 0, 0, 0, 0};
/* endbr64; mov eax, [rip + IL_RODATA_DELTA - 10]; ret */
static const uint8_t constant[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x8b, 0x05, 0xf6, 0xff, 0xff, 0x03, 0xc3};
/* endbr64; syscall; ret */
static const uint8_t system_call[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x05, 0xc3};

static il_status publish(il_arena arena, const uint8_t *code, uint32_t bytes, uint32_t relocations, il_code *code_out,
                         uint64_t *address_out) {
    static const uint32_t entry[] = {0};
    static const il_relocation branch[] = {{.offset = 5, .kind = IL_R_X86_64_PLT32, .target = 0}};
    static const uint8_t rodata[] = {9, 0, 0, 0};
    const il_image image = {.arch = IL_ARCH_X86_64, .code_bytes = bytes, .rodata_bytes = sizeof rodata, .entry_count = 1,
                            .relocation_count = relocations, .code = code, .rodata = rodata, .entries = entry,
                            .relocations = branch};
    il_verdict verdict;
    return il_publish(arena, &image, code_out, address_out, &verdict);
}

static int call(uint64_t address) { return ((int (*)(void))(uintptr_t)address)(); }

static void hostile_requests_change_nothing(uint64_t address) {
    static const uint32_t sizes[] = {0, 1, IL_IMAGE_CODE_BYTES_MAX, IL_IMAGE_CODE_BYTES_MAX + 1, 0x7fffffff, 0xffffffff};
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < HOSTILE_REQUESTS; i++) {
        uint32_t words[sizeof(il_request) / 4];
        il_request request;
        il_reply reply;
        il_failure failure;
        il_views views = {.code_base = il_code_bases[0]};
        for (uint32_t at = 0; at < sizeof words / sizeof *words; at++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            words[at] = seed % 3 == 0 ? sizes[seed / 3 % 6] : (uint32_t)(seed >> 33);
        }
        memcpy(&request, words, sizeof request);
        request.operation = (uint32_t)(seed >> 7) % 6;
        if (request.operation == IL_OP_RETIRE || request.operation == IL_OP_ARENA_CLOSE) request.handle = 0;
        request.may_reclaim = 0;
        if (il_views_exchange(&views, &request, &reply, &failure)) CHECK(request.operation == IL_OP_ARENA_OPEN || reply.status != IL_OK);
        CHECK(writable_ranges == 0);
    }
    CHECK(call(address) == 7);
}

static void child_has_a_writer_of_its_own(void) {
    const pid_t child = fork();
    if (child == 0) {
        il_request request = {.operation = IL_OP_RETIRE};
        il_views views;
        il_reply reply;
        il_failure failure;
        jit = NULL;
        CHECK(il_views_open("/ignored", &views) == IL_OK && views.code_base != il_code_bases[0]);
        CHECK(il_views_exchange(&views, &request, &reply, &failure) && reply.status == IL_STALE && reply.taken_bytes == 0);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void) {
    il_region_info info;
    il_arena arena;
    il_code code, other;
    uint64_t address, second;
    const uint64_t imports[] = {(uint64_t)(uintptr_t)forty_two};
    CHECK(il_region_open("/ignored") == IL_OK && il_region_describe(&info) == IL_OK);
    CHECK(info.writer == IL_WRITER_CALLBACK && !info.has_seals && !info.has_mseal && info.writer_pid == 0);
    CHECK(info.code_base == (uint64_t)(uintptr_t)jit && jit_bytes == IL_CODE_VIEW_BYTES);
    CHECK(has_protection(info.code_base, "r-xp") && has_protection(info.rodata_base, "r--p"));
    CHECK(has_protection(info.code_base - 1, "---p") && has_protection(info.rodata_base + info.view_bytes, "---p")); /* P4 */

    CHECK(il_arena_open(imports, 1, NULL, 1 << 20, &arena) == IL_OK);
    CHECK(publish(arena, seven, sizeof seven, 0, &code, &address) == IL_OK);
    CHECK(invalidated == (uint8_t *)(uintptr_t)address && invalidated_bytes == IL_SLOT_GRAIN_BYTES); /* I1 */
    CHECK(call(address) == 7);
    CHECK(publish(arena, import, sizeof import, 1, &other, &second) == IL_OK && call(second) == 42);
    CHECK(publish(arena, constant, sizeof constant, 0, &other, &second) == IL_OK && call(second) == 9);
    CHECK(has_protection(second, "r-xp") && has_protection(second + IL_RODATA_DELTA, "r--p") && writable_ranges == 0);
    CHECK(publish(arena, system_call, sizeof system_call, 0, &other, &second) == IL_REJECTED);
    hostile_requests_change_nothing(address);
    child_has_a_writer_of_its_own();

    CHECK(il_retire(code) == IL_OK && *(const uint8_t *)(uintptr_t)address == 0xcc && il_retire(code) == IL_STALE);
    CHECK(invalidated == (uint8_t *)(uintptr_t)address);
    CHECK(il_arena_close(arena) == IL_OK && il_arena_close(arena) == IL_STALE);
    CHECK(il_harden() == IL_UNSUPPORTED);
    return 0;
}
