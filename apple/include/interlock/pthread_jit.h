/* interlock/pthread_jit.h - Apple's calls for just-in-time compilers, on Linux.
 *
 * Include this instead of (or after) <pthread.h>, <sys/mman.h> and <libkern/OSCacheControl.h>, link with -linterlock_apple, and a
 * program written for a Mac runs here under Apple's rules: what a Mac refuses fails with its errno, what faults there raises
 * SIGBUS, what kills there ends the process with Apple's message and the rule of ours that explains it.  On a Mac this header
 * includes Apple's own and adds nothing.
 *
 * The library takes the place of mmap, munmap, mprotect, madvise, read, pread, recv, sigaction, signal, the signal mask's two
 * calls, getpagesize and sysconf in the whole process, as the rules of a Mac hold for all of it.  What it cannot catch:
 * docs/reference/apple-on-linux.md.
 *
 * Which Mac it is: the environment variable INTERLOCK_APPLE (`interlock mac exec` sets it), or il_apple_configure().
 */
#ifndef INTERLOCK_PTHREAD_JIT_H
#define INTERLOCK_PTHREAD_JIT_H

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

/* Not __APPLE__ alone: code whose Apple path is to be compiled here may define it. */
#if defined(__APPLE__) && !defined(__linux__)
#include <libkern/OSCacheControl.h>
#else

#ifdef __cplusplus
extern "C" {
#endif

/* ---- mmap and madvise: Apple's names, with values that Linux gives no meaning ---------------------------------------------- */
#ifndef MAP_JIT
#define MAP_JIT 0x0800 /* Apple's own value; Linux ignores it */
#endif
#define MAP_HASSEMAPHORE 0x0200
#define MAP_NOCACHE 0x0400
#define MAP_RESILIENT_CODESIGN 0x200000
#define MAP_RESILIENT_MEDIA 0x400000
#define MAP_TPRO 0x800000

#define MADV_ZERO_WIRED_PAGES 0x494c06
#define MADV_FREE_REUSABLE 0x494c07
#define MADV_FREE_REUSE 0x494c08
#define MADV_ZERO 0x494c0b

#define VM_MAKE_TAG(tag) ((int)((unsigned)(tag) << 24)) /* goes into mmap's descriptor */

/* 16384 on Apple silicon, 4096 on Intel and under Rosetta; getpagesize() and sysconf(_SC_PAGESIZE) say the same. */
extern size_t vm_page_size;

/* ---- The thread's switch --------------------------------------------------------------------------------------------------- */

/* 1 where the switch exists, 0 on Intel and under Rosetta. */
int pthread_jit_write_protect_supported_np(void);

/* 0: this thread may write RWX MAP_JIT memory and not execute it; anything else: execute and not write. */
void pthread_jit_write_protect_np(int enabled);

/* ---- The callback call and the allow-list ---------------------------------------------------------------------------------- */
typedef int (*pthread_jit_write_callback_t)(void *context);

/* Call `callback(context)` while this thread may write; its result. */
int pthread_jit_write_with_callback_np(pthread_jit_write_callback_t callback, void *context);

/* Close the list, under jit-write-allowlist-freeze-late: once, after the last library with callbacks is loaded. */
void pthread_jit_write_freeze_callbacks_np(void);

/* The list of this executable or library: once, at file scope.
 *
 * An array in a section, as on a Mac; the linker makes symbols for its start and end.  A note with their distances is how the
 * library finds the section in a loaded image, without the file and its section headers (docs/decisions/0016). */
#define PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(...) \
    IL_APPLE_FIND_CALLBACKS \
    IL_APPLE_KEEP static const pthread_jit_write_callback_t pthread_jit_write_allowed_callbacks[] \
        __attribute__((section(IL_APPLE_LIST_SECTION))) = {__VA_ARGS__, NULL}

#define IL_APPLE_LIST_SECTION "__pth_jit_func"
#define IL_APPLE_NOTE_NAME "Interlock"
#define IL_APPLE_NOTE_TYPE 1
/* Name of 10 bytes with NUL, padded to 12; description of two distances of 8 bytes. */
#define IL_APPLE_FIND_CALLBACKS \
    __asm__(".pushsection .note.interlock.apple,\"a\",%note\n" \
            ".balign 4\n" \
            ".long 10, 16, 1\n" \
            ".asciz \"Interlock\"\n" \
            ".balign 4\n" \
            ".hidden __start___pth_jit_func\n" \
            ".hidden __stop___pth_jit_func\n" \
            ".quad __start___pth_jit_func - .\n" \
            ".quad __stop___pth_jit_func - .\n" \
            ".popsection");
#if defined(__has_attribute)
#if __has_attribute(retain)
#define IL_APPLE_KEEP __attribute__((used, retain))
#endif
#endif
#ifndef IL_APPLE_KEEP
#define IL_APPLE_KEEP __attribute__((used))
#endif

/* ---- libkern/OSCacheControl.h ---------------------------------------------------------------------------------------------- */
void sys_icache_invalidate(void *start, size_t length);
void sys_dcache_flush(void *start, size_t length);

/* ---- Extensions: not on a Mac, so call them under #ifndef __APPLE__ -------------------------------------------------------- */

/* Choose the Mac: words separated by spaces, later ones win; what is not named keeps its value.  INTERLOCK_APPLE holds the same.
 *
 *     profile=NAME          macos-arm64 (the default), macos-arm64-hardened, macos-arm64-allowlist, macos-x86_64,
 *                           macos-x86_64-hardened, rosetta
 *     macos=MAJOR.MINOR     the version of macOS; 26.0
 *     entitlements=A,B      exactly these instead of the profile's, by their short names (allow-jit); none if empty
 *     SWITCH=VALUE          what nobody but a Mac can answer: jit-regions=many; `interlock explain A7` names the switch
 *     wait-ms=N             how long a thread that wants to execute waits for writers before that counts as a deadlock; 10000
 *     verbose=1             a line on stderr for each refusal and each fault, also for those that the program handles
 *
 * Call it before any other call of this header and before the first mmap with MAP_JIT.  0; -1 with errno EINVAL for text that it
 * does not understand, EBUSY if it is too late; then nothing has changed. */
int il_apple_configure(const char *settings);

/* The id of the rule behind the last refusal or fault of this thread, "" if there is none; asking forgets it, as dlerror does. */
const char *il_apple_rule(void);

#ifdef __cplusplus
}
#endif

#endif /* Linux */
#endif /* INTERLOCK_PTHREAD_JIT_H */
