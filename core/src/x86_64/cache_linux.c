/* cache_linux.c - x86-64: instruction fetches see what was written. */
#include "arch.h"

void il_cache_clean(const uint8_t *start, uint64_t bytes) { (void)start, (void)bytes; }

void il_cache_drop(const uint8_t *start, uint64_t bytes) { (void)start, (void)bytes; }
