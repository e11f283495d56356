/* cache_linux.c - the compiler's own function knows what it takes: on AArch64 Linux dc cvau, ic ivau and their barriers, line by
 * line, which the kernel lets programs execute; on x86-64 nothing.
 */
#include "arch.h"

void il_cache_clean(const uint8_t *start, uint64_t bytes) {
    __builtin___clear_cache((char *)(uintptr_t)start, (char *)(uintptr_t)start + bytes);
}

void il_cache_drop(const uint8_t *start, uint64_t bytes) { il_cache_clean(start, bytes); }
