/* memory_map.h - what this process has mapped through the library: which ranges, with which protection and of which origin.
 *
 * The same table as interlock.contract.memory_map's, without contents.  `protection` is what the program asked for and a Mac
 * would show; what the kernel has is il_actual_protection(): for RWX MAP_JIT pages it follows the threads that may write, and
 * code without a signature is not executable under the Hardened Runtime.
 *
 * Everything here needs the lock (lock.h).
 */
#ifndef INTERLOCK_APPLE_MEMORY_MAP_H
#define INTERLOCK_APPLE_MEMORY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

enum { IL_ENTRIES_MAX = 16384 };

enum { IL_PROT_WX = PROT_WRITE | PROT_EXEC, IL_PROT_RWX = PROT_READ | PROT_WRITE | PROT_EXEC };

enum il_origin {
    IL_ORIGIN_ANONYMOUS,
    IL_ORIGIN_FILE,
    IL_ORIGIN_OVERLAY, /* mapped over JIT memory */
    IL_ORIGIN_ALIAS,   /* a shared mapping of a file: one of several, perhaps */
    IL_ORIGIN_OTHER,   /* not made by mmap: an array, the heap */
};

struct il_entry {
    uintptr_t start;
    uintptr_t end;
    uint64_t mapping; /* the call of mmap that made it */
    uint8_t protection;
    uint8_t origin;
    bool is_jit;
    bool is_by_mprotect; /* its protection is mprotect's: if it is RWX now, it was raised (P2) */
    bool is_lost;        /* JIT memory that a fork did not hand on (K1); not there any more */
};

/* What a thread that is in RX state could do with RWX MAP_JIT pages. */
enum il_mode { IL_MODE_RX, IL_MODE_RW, IL_MODE_NEITHER };

/* The entry that holds `address`, lost ones included; NULL if there is none. */
struct il_entry *il_map_find(uintptr_t address);

/* Entries from the first one that ends behind `address`; `end_out` is one past the last. */
struct il_entry *il_map_from(uintptr_t address, struct il_entry **end_out);

/* Whether `added` more entries surely fit. */
bool il_map_has_room(size_t added);

/* Cut entries at both ends of the range, so that each lies inside it or outside.  Adds two at most. */
void il_map_clip(uintptr_t start, uintptr_t end);

/* Forget what lies in the range; whether there was JIT memory in it.  Adds two at most. */
bool il_map_remove(uintptr_t start, uintptr_t end);

/* Add an entry where there is none. */
void il_map_insert(const struct il_entry *entry);

/* Join neighbours that are alike, around the range. */
void il_map_merge(uintptr_t start, uintptr_t end);

/* Whether there is JIT memory in the range. */
bool il_map_has_jit(uintptr_t start, uintptr_t end);

/* Whether the thread switch governs it. */
bool il_is_switched(const struct il_entry *entry);

/* What the kernel is to grant. */
int il_actual_protection(const struct il_entry *entry);

/* The mode of all switched entries; setting it changes their pages. */
enum il_mode il_map_mode(void);
void il_map_set_mode(enum il_mode mode);

/* Whether the range lies between the ends of all JIT memory there ever was: if not, it meets no switched entry.  Needs no lock. */
bool il_may_be_jit(uintptr_t start, size_t bytes);

/* In a forked child of a system that does not hand JIT memory on (K1). */
void il_map_lose_jit(void);

#endif
