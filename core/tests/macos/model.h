/* model.h - included before region_macos.c, so that it runs on Linux: Apple's calls, under the rules of the contract.
 *
 * A rule that is broken ends the process with its number (docs/reference/contract.md).  The switch of a thread is modelled by
 * mprotect, for the whole process: enough for one thread.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stddef.h>
#include <sys/mman.h>

#define MAP_JIT 0x0800 /* Linux has the bit, and ignores it */

typedef int (*pthread_jit_write_callback_t)(void *context);
#define PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(callback) \
    extern const pthread_jit_write_callback_t model_listed[]; \
    const pthread_jit_write_callback_t model_listed[] = {callback, NULL}

int pthread_jit_write_with_callback_np(pthread_jit_write_callback_t callback, void *context);
int pthread_jit_write_protect_supported_np(void);
void sys_icache_invalidate(void *start, size_t bytes);

void *model_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int model_munmap(void *at, size_t bytes);
int model_mprotect(void *at, size_t bytes, int protection);

#define mmap model_mmap
#define munmap model_munmap
#define mprotect model_mprotect
#endif
