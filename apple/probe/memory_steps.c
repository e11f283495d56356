/* mmap and its kin, loads, stores and calls. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cells.h"
#include "driver.h"

enum { TAG_SHIFT = 24, OWNER_ONLY = 0600 };

static outcome failure(void) {
    return (outcome){.kind = OUTCOME_ERRNO, .value = errno};
}

static outcome result_of(int status) {
    return status == 0 ? OK : failure();
}

static int protection_of(const char *letters) {
    int protection = PROT_NONE;
    protection |= strchr(letters, 'r') != NULL ? PROT_READ : 0;
    protection |= strchr(letters, 'w') != NULL ? PROT_WRITE : 0;
    protection |= strchr(letters, 'x') != NULL ? PROT_EXEC : 0;
    return strcmp(letters, "none") == 0 ? PROT_NONE : protection;
}

/* ---- Numbers by their names in a scenario ---------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    int number;
} named_number;

enum { UNKNOWN_FLAG = 0x40000000 }; /* a bit that no version of macOS gives a meaning to */

static const named_number map_flags[] = {
    {"jit", MAP_JIT}, {"resilient", MAP_RESILIENT_CODESIGN}, {"tpro", MAP_TPRO}, {"unknown", UNKNOWN_FLAG}, {NULL, 0}};

static const named_number advices[] = {{"FREE_REUSABLE", MADV_FREE_REUSABLE},
                                       {"FREE_REUSE", MADV_FREE_REUSE},
                                       {"ZERO", MADV_ZERO},
                                       {"ZERO_WIRED_PAGES", MADV_ZERO_WIRED_PAGES},
                                       {NULL, 0}};

static int number_of(const char *name, const named_number *table) {
    for (; table->name != NULL; table++) {
        if (strcmp(table->name, name) == 0) {
            return table->number;
        }
    }
    protocol_error("no flag or advice", name);
}

/* ---- mmap ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    char *hint;
    int flags;
    int descriptor;
    bool is_hinted;
} map_arguments;

/* An unlinked file of `bytes`; the descriptor. */
static int file_of(size_t bytes) {
    char path[] = "/tmp/interlock-probe-XXXXXX";
    int file = mkstemp(path);
    if (file < 0 || unlink(path) != 0 || ftruncate(file, (off_t)bytes) != 0) {
        protocol_error("no temporary file", strerror(errno));
    }
    return file;
}

/* Shared memory with a descriptor, so that it can be mapped a second time. */
static int shared_memory_of(size_t bytes) {
    char name[NAME_BYTES_MAX];
    snprintf(name, sizeof name, "/probe-%ld", (long)getpid());
    int memory = shm_open(name, O_RDWR | O_CREAT | O_EXCL, OWNER_ONLY);
    if (memory < 0 || shm_unlink(name) != 0 || ftruncate(memory, (off_t)bytes) != 0) {
        protocol_error("no shared memory", strerror(errno));
    }
    return memory;
}

/* An address where nothing is. */
static char *free_address(size_t bytes) {
    void *address = mmap(NULL, bytes, PROT_NONE, MAP_ANON | MAP_PRIVATE, NO_DESCRIPTOR, 0);
    if (address == MAP_FAILED || munmap(address, bytes) != 0) {
        protocol_error("no free address", strerror(errno));
    }
    return address;
}

static map_arguments map_arguments_of(const step *the, size_t bytes) {
    map_arguments found = {.flags = MAP_ANON | MAP_PRIVATE, .descriptor = NO_DESCRIPTOR};
    for (size_t i = 3; i < the->count; i++) {
        const char *word = the->words[i];
        region *place;
        if (strcmp(word, "shared") == 0) {
            found.flags = (found.flags & ~MAP_PRIVATE) | MAP_SHARED;
        } else if (strcmp(word, "noprivate") == 0) {
            found.flags &= ~MAP_PRIVATE;
        } else if (strcmp(word, "file") == 0) {
            found.flags &= ~MAP_ANON;
            found.descriptor = file_of(bytes);
        } else if (strcmp(word, "hint") == 0) {
            found.hint = free_address(bytes);
            found.is_hinted = true;
        } else if (strncmp(word, "fixed=", 6) == 0) {
            found.hint = place_address(word + 6, &place);
            found.flags |= MAP_FIXED;
        } else if (strncmp(word, "fd=", 3) == 0) {
            found.descriptor = (found.flags & MAP_ANON) != 0 ? atoi(word + 3) : found.descriptor;
        } else if (strncmp(word, "tag=", 4) == 0) {
            found.descriptor = atoi(word + 4) << TAG_SHIFT;
        } else {
            found.flags |= number_of(word, map_flags);
        }
    }
    return found;
}

outcome step_map(const step *the) {
    size_t bytes = amount_bytes(the->words[1]);
    size_t page_bytes = (size_t)getpagesize();
    map_arguments given = map_arguments_of(the, bytes);
    /* MAP_JIT memory that is shared is refused as anonymous memory; what can be shared gets a descriptor. */
    bool is_shared = (given.flags & (MAP_SHARED | MAP_ANON | MAP_JIT)) == (MAP_SHARED | MAP_ANON);
    if (is_shared) {
        given.descriptor = shared_memory_of(bytes);
        given.flags &= ~MAP_ANON;
    }
    region *mapped = region_add(the->words[0]);
    mapped->address = mmap(given.hint, bytes, protection_of(the->words[2]), given.flags, given.descriptor, 0);
    int error = errno;
    mapped->bytes = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    mapped->descriptor = is_shared ? given.descriptor : NO_DESCRIPTOR;
    mapped->is_jit = (given.flags & MAP_JIT) != 0;
    if (mapped->address == MAP_FAILED) {
        errno = error;
        return failure();
    }
    return given.is_hinted ? (outcome){.kind = OUTCOME_VALUE, .value = mapped->address == given.hint} : OK;
}

outcome step_unmap(const step *the) {
    region *within;
    char *address = place_address(the->words[0], &within);
    size_t bytes = range_bytes(the->words[1], address, within);
    if (bytes >= within->bytes && within->descriptor != NO_DESCRIPTOR) {
        close(within->descriptor);
        within->descriptor = NO_DESCRIPTOR;
    }
    return result_of(munmap(address, bytes));
}

outcome step_protect(const step *the) {
    region *within;
    char *address = place_address(the->words[0], &within);
    size_t bytes = range_bytes(the->words[1], address, within);
    return result_of(mprotect(address, bytes, protection_of(the->words[2])));
}

outcome step_advise(const step *the) {
    region *within;
    char *address = place_address(the->words[0], &within);
    size_t bytes = range_bytes(the->words[1], address, within);
    return result_of(madvise(address, bytes, number_of(the->words[2], advices)));
}

outcome step_alias(const step *the) {
    region *within;
    char *address = place_address(the->words[1], &within);
    region source = *within;
    size_t bytes = range_bytes(the->words[2], address, &source);
    int protection = protection_of(the->words[3]);
    void *mapped;
    errno = 0;
    if (source.descriptor != NO_DESCRIPTOR) {
        mapped = mmap(NULL, bytes, protection, MAP_SHARED, source.descriptor, (off_t)(address - source.address));
    } else {
        mapped = source.is_jit ? system_remap(address, bytes, protection) : MAP_FAILED;
    }
    int error = errno;
    if (mapped == MAP_FAILED && error == 0) {
        return (outcome){.kind = OUTCOME_UNKNOWN, .why = "nothing here maps this memory a second time"};
    }
    region *alias = region_add(the->words[0]);
    alias->address = mapped;
    alias->bytes = bytes;
    alias->is_jit = source.is_jit;
    errno = error;
    return mapped == MAP_FAILED ? failure() : OK;
}

/* ---- Loads, stores, calls -------------------------------------------------------------------------------------------------- */

typedef struct {
    char *address;
    size_t bytes;
    cell value;
} access_arguments;

static access_arguments access_of(const step *the) {
    region *within;
    access_arguments found = {.address = place_address(the->words[0], &within), .bytes = CELL_BYTES};
    return found;
}

static size_t cell_range(const char *text) {
    return strcmp(text, "-") == 0 ? CELL_BYTES : amount_bytes(text);
}

static outcome store(void *context) {
    const access_arguments *to = context;
    for (size_t at = 0; at < to->bytes; at += CELL_BYTES) {
        volatile uint64_t *words = (volatile uint64_t *)(void *)(to->address + at);
        for (size_t i = 0; i < CELL_WORDS; i++) {
            words[i] = to->value.words[i];
        }
    }
    return OK;
}

outcome step_write(const step *the) {
    access_arguments to = access_of(the);
    to.value = cell_of((uint16_t)atoi(the->words[1]));
    to.bytes = cell_range(the->words[2]);
    return guarded(store, &to);
}

static outcome load(void *context) {
    const access_arguments *from = context;
    const volatile uint64_t *words = (const volatile uint64_t *)(void *)from->address;
    cell found;
    for (size_t i = 0; i < CELL_WORDS; i++) {
        found.words[i] = words[i];
    }
    return (outcome){.kind = OUTCOME_VALUE, .value = cell_value(&found)};
}

outcome step_read(const step *the) {
    access_arguments from = access_of(the);
    return guarded(load, &from);
}

static outcome call(void *context) {
    const access_arguments *at = context;
    int (*function)(void);
    memcpy(&function, &at->address, sizeof function); /* C11 converts no data pointer to a function's */
    return (outcome){.kind = OUTCOME_VALUE, .value = function()};
}

outcome step_execute(const step *the) {
    access_arguments at = access_of(the);
    return guarded(call, &at);
}

outcome step_kernel_write(const step *the) {
    access_arguments to = access_of(the);
    cell value = cell_of((uint16_t)atoi(the->words[1]));
    int ends[2];
    if (pipe(ends) != 0 || write(ends[1], &value, sizeof value) != (ssize_t)sizeof value) {
        protocol_error("no pipe", strerror(errno));
    }
    ssize_t count = read(ends[0], to.address, sizeof value);
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    errno = error;
    return count == (ssize_t)sizeof value ? OK : failure();
}

/* ---- Caches ---------------------------------------------------------------------------------------------------------------- */

outcome step_invalidate(const step *the) {
    access_arguments range = access_of(the);
    sys_icache_invalidate(range.address, cell_range(the->words[1]));
    return OK;
}

outcome step_clear_cache(const step *the) {
    access_arguments range = access_of(the);
    __builtin___clear_cache(range.address, range.address + cell_range(the->words[1]));
    return OK;
}

static outcome flush(void *context) {
    (void)context;
    cell_flush_by_hand();
    return OK;
}

outcome step_flush_by_hand(const step *the) {
    (void)the;
    return guarded(flush, NULL);
}

outcome step_barrier(const step *the) {
    (void)the;
    cell_barrier();
    return OK;
}

outcome step_page_size(const step *the) {
    (void)the;
    return (outcome){.kind = OUTCOME_VALUE, .value = getpagesize()};
}
