/* region_macos.c - code memory on macOS: one MAP_JIT region, and one callback that writes it.  Has not run on a Mac.
 *
 * The writer is a function of this process.  On Apple silicon a thread can write the region only inside
 * pthread_jit_write_with_callback_np, and then not run it; on Intel there is no such switch, and il_region_info says so.  What
 * the writer decides with, and the constants, are ordinary memory, read-only except during a call (docs/decisions/0014).  The
 * numbers A1, C10 and the like are those of docs/explanation/macos.md.
 */
#include "library.h"

#include <errno.h>
#include <libkern/OSCacheControl.h>
#include <string.h>
#include <sys/mman.h>

#include "writer.h"

enum { GUARD_BYTES = 1 << 20, SPAN_BYTES = 2 * GUARD_BYTES + 2 * IL_CODE_VIEW_BYTES, PAGE_BYTES_MAX = 16384 };
_Static_assert(IL_RODATA_DELTA == IL_CODE_VIEW_BYTES, "the rodata view follows the code view");

/* What the application hands over: any thread may write it at any time. */
static _Alignas(8) uint8_t payload[IL_PAYLOAD_BYTES_MAX];

/* Whole pages at an address that is part of the code, so that no pointer to it can be replaced. */
static struct {
    _Alignas(PAGE_BYTES_MAX) il_writer_state state; /* the struct's size is a multiple of it too */
    il_reply reply;
    _Alignas(8) uint8_t message[IL_MESSAGE_BYTES_MAX];
} writer;

/* The thread can write the region and not run it: no system call and no code but the core's own in here (T9, C4, C5).  Whoever
 * has this called with a context of his own controls all that it points to, so it is copied before it is looked at (C6), nothing
 * is written through it, and the reply stays where only the writer writes. */
static int write_code(void *context) {
    if (context == NULL) return 0;
    memcpy(writer.message, context, sizeof(il_request));
    const uint64_t bytes = il_request_bytes((const il_request *)(const void *)writer.message);
    if (bytes < sizeof(il_request) || bytes > sizeof writer.message) return -1;
    memcpy(writer.message + sizeof(il_request), payload, bytes - sizeof(il_request));
    il_writer_handle(&writer.state, writer.message, &writer.reply);
    return 0;
}

/* The one list of this library (C10 to C14).  In a host with the entitlement jit-write-allowlist it counts when the host's main
 * program links this library; in a library loaded later, as extension modules load it, only with freeze-late (C18, C19).  The
 * host freezes, never we (F1, F3).  Without the entitlement no list is asked for (C7). */
PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(write_code);

/* What is left writable when it must not be ends the process. */
static bool set_writer_protection(int protection) {
    return mprotect(&writer, sizeof writer, protection) == 0 &&
           mprotect(writer.state.rodata, IL_CODE_VIEW_BYTES, protection) == 0;
}

bool il_views_exchange(il_views *views, il_request *request, il_reply *reply_out, il_failure *failure_out) {
    sigset_t all, before;
    (void)views;
    /* No handler of anybody's runs in a thread that can write the region, or leaves the callback by a jump (C4, T12). */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!set_writer_protection(PROT_READ | PROT_WRITE)) __builtin_trap();
    const int result = pthread_jit_write_with_callback_np(write_code, request);
    if (!set_writer_protection(PROT_READ)) __builtin_trap();
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    *reply_out = writer.reply;
    *failure_out = (il_failure){"pthread_jit_write_with_callback_np", 0};
    return result == 0;
}

/* One MAP_JIT region wherever the system puts it (A2: never MAP_FIXED; A4: a hint may be ignored).  Ordinary memory then takes
 * the place of its ends (A13): guards, and the constants, whose protection can be changed (P1, P4).  No hole is ever left in
 * which another thread could map something. */
static il_status map_span(uint8_t **code_out) {
    const int anonymous = MAP_PRIVATE | MAP_ANON;
    uint8_t *const span = mmap(NULL, SPAN_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, anonymous | MAP_JIT, -1, 0);
    if (span == MAP_FAILED) return il_fail(IL_UNSUPPORTED, "mmap with MAP_JIT: the entitlement allow-jit is missing?", errno);
    uint8_t *const code = span + GUARD_BYTES, *const rodata = code + IL_RODATA_DELTA;
    if (mmap(span, GUARD_BYTES, PROT_NONE, anonymous | MAP_FIXED, -1, 0) == MAP_FAILED ||
        mmap(rodata, IL_CODE_VIEW_BYTES + GUARD_BYTES, PROT_NONE, anonymous | MAP_FIXED, -1, 0) == MAP_FAILED) {
        const int error_number = errno;
        (void)munmap(span, SPAN_BYTES);
        return il_fail(IL_NO_MEMORY, "mmap over the ends of the MAP_JIT region", error_number);
    }
    *code_out = code;
    return IL_OK;
}

il_status il_views_open(const char *writer_path, il_views *views_out) {
    (void)writer_path; /* there is no program to start */
    uint8_t *code = NULL;
    /* All zero: in a forked child it is a copy of the parent's. */
    if (mmap(&writer, sizeof writer, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0) == MAP_FAILED)
        return il_fail(IL_NO_MEMORY, "mmap of the writer's state", errno);
    const il_status status = map_span(&code);
    if (status != IL_OK) return status;
    il_writer_open(&writer.state, code, code + IL_RODATA_DELTA);
    if (!set_writer_protection(PROT_READ)) __builtin_trap();
    *views_out = (il_views){
        .code_base = (uint64_t)(uintptr_t)code,
        .payload = payload,
        .writer = pthread_jit_write_protect_supported_np() != 0 ? IL_WRITER_CALLBACK : IL_WRITER_ANYONE,
    };
    return IL_OK;
}

void il_views_close(il_views *views) { (void)views; }

/* Whether another core needs more than il_cache_drop does is not stated by Apple (I6), and there is no call to ask for it. */
void il_views_synchronise(void) {}

/* Inside the callback, where no call of the system's has a place; il_cache_drop comes after it (I2). */
void il_cache_clean(const uint8_t *start, uint64_t bytes) { (void)start, (void)bytes; }

void il_cache_drop(const uint8_t *start, uint64_t bytes) { sys_icache_invalidate((void *)(uintptr_t)start, bytes); }

/* The Hardened Runtime belongs to the signature of the application. */
il_status il_harden(void) {
    return il_fail(IL_UNSUPPORTED, "on macOS the application's signature turns the Hardened Runtime on", 0);
}
