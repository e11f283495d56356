/* memory.c - mmap, munmap, mprotect, madvise and what else a Mac does differently with memory.
 *
 * The checks and their order are those of interlock.contract.memory, which has them from the kernel's source.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api.h"
#include "interlock/pthread_jit.h"
#include "lock.h"
#include "memory_map.h"
#include "report.h"
#include "thread.h"

enum {
    TAG_MASK = 0xffffff, /* VM_MAKE_TAG(n) is n << 24; the bits below are no tag */
    JIT_FLAGS = MAP_JIT | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
    APPLE_FLAGS = MAP_HASSEMAPHORE | MAP_NOCACHE | MAP_RESILIENT_CODESIGN | MAP_RESILIENT_MEDIA | MAP_TPRO,
    LOW_ADDRESS_FLAGS = 0x40 | 0x80, /* MAP_32BIT, MAP_ABOVE4G: of x86-64 */
    LINUX_FLAGS = MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | LOW_ADDRESS_FLAGS | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE |
                  MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_SYNC |
                  MAP_FIXED_NOREPLACE,
    ENTRIES_PER_CALL = 4, /* a call of mmap or munmap adds two by cutting and one; mprotect counts its gaps */
};

#define HUGE_SIZE_FLAGS ((int)(0x3fU << MAP_HUGE_SHIFT)) /* mean something with MAP_HUGETLB only */

static uint64_t mappings; /* calls of mmap so far */
IL_APPLE_API size_t vm_page_size = 16384;

/* One call of mmap. */
struct request {
    uintptr_t address;
    size_t bytes; /* whole pages */
    size_t file_bytes;
    int protection;
    int flags;
    int fd;
    off_t offset;
};

static size_t round_up(size_t bytes) {
    size_t page = il_mac.profile.page_bytes;
    return (bytes + page - 1) / page * page;
}

static bool is_aligned(uintptr_t address) {
    return address % il_mac.profile.page_bytes == 0;
}

/* Rule A6. */
static int readable(int protection) {
    return protection == PROT_NONE ? PROT_NONE : protection | PROT_READ;
}

/* A1 and P3: for Apple silicon a switch says whether the wider entitlements lift them. */
static bool refuses_wx(enum il_rule_id rule) {
    bool is_lifted = il_mac.switches[IL_SWITCH_UNSIGNED_MEMORY_LIFTS_WX] == IL_UNSIGNED_MEMORY_LIFTS_WX_YES &&
                     il_mac.profile.is_hardened && !il_is_enforcing_signatures();
    return il_holds(rule) && !is_lifted;
}

/* Question 2; without enforcement it is the memory layer that refuses. */
static int wx_errno(void) {
    bool is_policy = il_mac.switches[IL_SWITCH_HARDENED_RWX_ERRNO] == IL_HARDENED_RWX_ERRNO_EINVAL;
    return il_is_enforcing_signatures() && is_policy ? EINVAL : EACCES;
}

/* ---- mmap ------------------------------------------------------------------------------------------------------------------ */

static bool has_unknown_flag(int flags) {
    int known = LINUX_FLAGS | APPLE_FLAGS | ((flags & MAP_HUGETLB) != 0 ? HUGE_SIZE_FLAGS : 0);
    return (flags & ~known) != 0;
}

/* The rule that the flags break. */
static enum il_rule_id check_flags(const struct request *request) {
    int flags = request->flags;
    bool is_jit = (flags & MAP_JIT) != 0;
    bool is_anonymous = (flags & MAP_ANONYMOUS) != 0;
    int type = flags & MAP_TYPE;
    if (request->bytes == 0 || has_unknown_flag(flags)) {
        return IL_RULE_A3;
    }
    if (type != MAP_PRIVATE && type != MAP_SHARED) {
        return IL_RULE_A3;
    }
    if (is_jit && !is_anonymous && type == MAP_PRIVATE && (flags & ~JIT_FLAGS) == 0) {
        return IL_RULE_A14;
    }
    if (is_jit && (type != MAP_PRIVATE || (flags & ~JIT_FLAGS) != 0)) {
        return IL_RULE_A2;
    }
    if (is_anonymous && request->fd != -1 && (request->fd & TAG_MASK) != 0) {
        return IL_RULE_A5;
    }
    return IL_RULE_NONE;
}

/* The rule because of which the system's policy refuses; `errno_out` if it is not the rule's own. */
static enum il_rule_id check_policy(const struct request *request, int *errno_out) {
    bool is_jit = (request->flags & MAP_JIT) != 0;
    if (!is_jit && (request->protection & IL_PROT_WX) == IL_PROT_WX && refuses_wx(IL_RULE_A1)) {
        *errno_out = wx_errno();
        return IL_RULE_A1;
    }
    if (is_jit && il_holds(IL_RULE_A15)) {
        return IL_RULE_A15;
    }
    return is_jit && il_holds(IL_RULE_A8) ? IL_RULE_A8 : IL_RULE_NONE;
}

/* A7; the article's limit is a switch, single-jit's is not. */
static bool is_over_limit(const struct request *request) {
    if ((request->flags & MAP_JIT) == 0 || !il_holds(IL_RULE_A7)) {
        return false;
    }
    bool is_many = il_mac.switches[IL_SWITCH_JIT_REGIONS] == IL_JIT_REGIONS_MANY;
    return (il_is_entitled(IL_GRANTS_SINGLE_JIT) || !is_many) && il_map_has_jit(0, UINTPTR_MAX);
}

static uintptr_t kernel_mmap(const struct request *request, uintptr_t address, size_t bytes, int protection, int flags) {
    int linux_flags = flags & ~(MAP_JIT | APPLE_FLAGS);
    int fd = (flags & MAP_ANONYMOUS) != 0 ? -1 : request->fd;
    return (uintptr_t)syscall(SYS_mmap, address, bytes, protection, linux_flags, fd, request->offset);
}

/* Nothing, mapped at an address that is aligned to a Mac's pages: what was asked for follows on top of it. */
static uintptr_t reserve(const struct request *request, bool is_fixed) {
    size_t page = il_mac.profile.page_bytes;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (is_fixed) {
        return (uintptr_t)syscall(SYS_mmap, request->address, request->bytes, PROT_NONE, flags | MAP_FIXED, -1, 0);
    }
    uintptr_t found = (uintptr_t)syscall(SYS_mmap, 0, request->bytes + page, PROT_NONE, flags, -1, 0);
    if (found == (uintptr_t)MAP_FAILED) {
        return found;
    }
    uintptr_t start = round_up(found);
    if (start > found) {
        syscall(SYS_munmap, found, start - found);
    }
    if (found + page > start) {
        syscall(SYS_munmap, start + request->bytes, found + page - start);
    }
    return start;
}

/* Map; the pages behind the end of a file's part are reserved, as they are the mapping's on a Mac. */
static uintptr_t place_at(const struct request *request, uintptr_t hint, int protection) {
    bool is_fixed = (request->flags & MAP_FIXED) != 0;
    if (request->file_bytes == request->bytes) {
        uintptr_t found = kernel_mmap(request, hint, request->bytes, protection, request->flags);
        if (found == (uintptr_t)MAP_FAILED || is_aligned(found)) {
            return found;
        }
        syscall(SYS_munmap, found, request->bytes);
    }
    uintptr_t start = reserve(request, is_fixed);
    if (start == (uintptr_t)MAP_FAILED) {
        return start;
    }
    uintptr_t found = kernel_mmap(request, start, request->file_bytes, protection, request->flags | MAP_FIXED);
    if (found == (uintptr_t)MAP_FAILED && !is_fixed) {
        int error = errno;
        syscall(SYS_munmap, start, request->bytes);
        errno = error;
    }
    return found;
}

/* A hint is ignored for JIT memory, unless the switch says otherwise: also where the kernel would choose it by chance. */
static uintptr_t place(const struct request *request, int protection) {
    bool is_honoured = il_mac.switches[IL_SWITCH_ADDRESS_HINT] == IL_ADDRESS_HINT_HONOURED;
    if ((request->flags & MAP_JIT) == 0 || is_honoured || request->address == 0) {
        return place_at(request, request->address, protection);
    }
    uintptr_t found = place_at(request, 0, protection);
    if (found == request->address) {
        uintptr_t other = place_at(request, 0, protection);
        syscall(SYS_munmap, found, request->bytes);
        found = other;
    }
    return found;
}

static enum il_origin origin_of(const struct request *request, bool is_over_jit) {
    if (is_over_jit) {
        return IL_ORIGIN_OVERLAY;
    }
    if ((request->flags & MAP_ANONYMOUS) != 0) {
        return IL_ORIGIN_ANONYMOUS;
    }
    return (request->flags & MAP_TYPE) == MAP_PRIVATE ? IL_ORIGIN_FILE : IL_ORIGIN_ALIAS;
}

static uintptr_t map_locked(const struct request *request) {
    struct il_entry entry = {
        .protection = (uint8_t)readable(request->protection),
        .is_jit = (request->flags & MAP_JIT) != 0,
        .origin = (uint8_t)origin_of(request, false),
        .mapping = ++mappings,
    };
    if (is_over_limit(request)) {
        return (uintptr_t)il_refuse(IL_RULE_A7, "mmap", 0);
    }
    if (!il_map_has_room(ENTRIES_PER_CALL)) {
        errno = ENOMEM;
        return (uintptr_t)MAP_FAILED;
    }
    uintptr_t found = place(request, il_actual_protection(&entry));
    if (found == (uintptr_t)MAP_FAILED) {
        return found;
    }
    entry.start = found;
    entry.end = found + request->bytes;
    entry.origin = (uint8_t)origin_of(request, il_map_remove(entry.start, entry.end));
    il_map_insert(&entry);
    if (entry.is_jit && il_effect(IL_RULE_K1, IL_EFFECT_SIGNAL) != NULL) {
        syscall(SYS_madvise, entry.start, request->bytes, MADV_DONTFORK);
    }
    return found;
}

IL_APPLE_API void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    struct request request = {(uintptr_t)address, round_up(bytes), bytes, protection, flags, fd, offset};
    int error = 0;
    if ((flags & MAP_ANONYMOUS) != 0) {
        request.file_bytes = request.bytes;
    }
    enum il_rule_id rule = check_flags(&request);
    if (rule == IL_RULE_NONE && (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0 && !is_aligned(request.address)) {
        rule = IL_RULE_A12;
    }
    if (rule == IL_RULE_NONE) {
        rule = check_policy(&request, &error);
    }
    if (rule != IL_RULE_NONE) {
        il_refuse(rule, "mmap", error);
        return MAP_FAILED;
    }
    if ((flags & MAP_JIT) != 0) {
        il_settle_settings();
    }
    sigset_t mask;
    il_lock(&mask);
    uintptr_t found = map_locked(&request);
    il_unlock(&mask);
    if (found != (uintptr_t)MAP_FAILED && (flags & MAP_JIT) != 0 && address != NULL && found != request.address) {
        il_self.rule = IL_RULE_A4;
    }
    return (void *)found;
}

IL_APPLE_API void *mmap64(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
    __attribute__((alias("mmap")));

/* ---- munmap, mprotect, madvise --------------------------------------------------------------------------------------------- */

IL_APPLE_API int munmap(void *address, size_t bytes) {
    uintptr_t start = (uintptr_t)address;
    sigset_t mask;
    if (!is_aligned(start)) {
        return il_refuse(IL_RULE_A12, "munmap", 0);
    }
    il_lock(&mask);
    int status = -1;
    if (!il_map_has_room(ENTRIES_PER_CALL)) {
        errno = ENOMEM;
    } else {
        status = (int)syscall(SYS_munmap, start, round_up(bytes));
    }
    if (status == 0) {
        il_map_remove(start, start + round_up(bytes));
    }
    il_unlock(&mask);
    return status;
}

/* Whether a new protection of the range is refused: by one page for all. */
static enum il_rule_id check_protection(uintptr_t start, uintptr_t end, int protection) {
    struct il_entry *stop;
    uintptr_t jit_bytes = 0;
    for (struct il_entry *entry = il_map_from(start, &stop); entry < stop && entry->start < end; entry++) {
        if (il_is_switched(entry) && il_holds(IL_RULE_P1)) {
            return entry->is_by_mprotect ? IL_RULE_P2 : IL_RULE_P1;
        }
        if (entry->is_jit && !entry->is_lost) {
            uintptr_t first = entry->start > start ? entry->start : start;
            jit_bytes += (entry->end < end ? entry->end : end) - first;
        }
    }
    bool is_wx = (protection & IL_PROT_WX) == IL_PROT_WX;
    return is_wx && jit_bytes < end - start && refuses_wx(IL_RULE_P3) ? IL_RULE_P3 : IL_RULE_NONE;
}

/* Give memory that mmap did not make an entry, where it becomes executable; nothing else is asked about such memory. */
static bool adopt_gaps(uintptr_t start, uintptr_t end) {
    uintptr_t at = start;
    while (at < end) {
        struct il_entry *stop;
        struct il_entry *next = il_map_from(at, &stop);
        uintptr_t gap_end = next < stop && next->start < end ? next->start : end;
        if (gap_end > at) {
            struct il_entry gap = {.start = at, .end = gap_end, .origin = IL_ORIGIN_OTHER};
            if (!il_map_has_room(ENTRIES_PER_CALL)) {
                return false;
            }
            il_map_insert(&gap);
            at = gap_end;
        } else {
            at = next->end;
        }
    }
    return true;
}

/* Protect the range, whose pages are all mapped and may have the protection. */
static int protect_locked(uintptr_t start, uintptr_t end, int protection) {
    bool is_executable = (protection & PROT_EXEC) != 0;
    struct il_entry *stop;
    int status = 0;
    if (!il_map_has_room(ENTRIES_PER_CALL) || (is_executable && !adopt_gaps(start, end))) {
        errno = ENOMEM;
        return -1;
    }
    il_map_clip(start, end);
    if (!is_executable) { /* nothing to hold back, entry or not */
        status = (int)syscall(SYS_mprotect, start, end - start, protection);
    }
    for (struct il_entry *entry = il_map_from(start, &stop); status == 0 && entry < stop && entry->start < end; entry++) {
        entry->protection = (uint8_t)protection;
        entry->is_by_mprotect = true;
        if (is_executable) {
            status = (int)syscall(SYS_mprotect, entry->start, entry->end - entry->start, il_actual_protection(entry));
        }
    }
    il_map_merge(start, end);
    return status;
}

IL_APPLE_API int mprotect(void *address, size_t bytes, int protection) {
    uintptr_t start = (uintptr_t)address;
    uintptr_t end = start + round_up(bytes);
    sigset_t mask;
    if (!is_aligned(start)) {
        return il_refuse(IL_RULE_A12, "mprotect", 0);
    }
    il_lock(&mask);
    int status = msync(address, end - start, MS_ASYNC); /* fails with ENOMEM unless all of it is mapped */
    if (status == 0) {
        enum il_rule_id rule = check_protection(start, end, protection);
        status = rule != IL_RULE_NONE ? il_refuse(rule, "mprotect", 0) : protect_locked(start, end, readable(protection));
    }
    il_unlock(&mask);
    return status;
}

IL_APPLE_API int madvise(void *address, size_t bytes, int advice) {
    uintptr_t start = (uintptr_t)address;
    bool is_zeroing = advice == MADV_ZERO || advice == MADV_ZERO_WIRED_PAGES;
    sigset_t mask;
    if (advice == MADV_FREE_REUSE) {
        return 0;
    }
    if (!is_zeroing && advice != MADV_FREE_REUSABLE) {
        return (int)syscall(SYS_madvise, start, bytes, advice);
    }
    il_lock(&mask);
    int status = -1;
    if (is_zeroing && il_holds(IL_RULE_P6) && il_map_has_jit(start, start + bytes)) {
        il_refuse(IL_RULE_P6, "madvise", 0);
    } else {
        status = (int)syscall(SYS_madvise, start, round_up(bytes), MADV_DONTNEED);
    }
    il_unlock(&mask);
    return status;
}

/* ---- The kernel writes (P8) ------------------------------------------------------------------------------------------------ */

static bool refuses_kernel_write(uintptr_t start, size_t bytes) {
    bool is_refused = false;
    sigset_t mask;
    if (!il_may_be_jit(start, bytes) || !il_is_native()) {
        return false;
    }
    bool follows_state = il_mac.switches[IL_SWITCH_KERNEL_WRITE] == IL_KERNEL_WRITE_FOLLOWS_STATE;
    il_lock(&mask);
    struct il_entry *stop;
    for (struct il_entry *entry = il_map_from(start, &stop); entry < stop && entry->start < start + bytes; entry++) {
        is_refused = is_refused || (il_is_switched(entry) && !(follows_state && il_self.now.state == IL_STATE_RW));
    }
    il_unlock(&mask);
    return is_refused;
}

IL_APPLE_API ssize_t read(int fd, void *buffer, size_t bytes) {
    bool is_refused = refuses_kernel_write((uintptr_t)buffer, bytes);
    return is_refused ? il_refuse(IL_RULE_P8, "read", 0) : __read(fd, buffer, bytes);
}

IL_APPLE_API ssize_t pread(int fd, void *buffer, size_t bytes, off_t offset) {
    bool is_refused = refuses_kernel_write((uintptr_t)buffer, bytes);
    return is_refused ? il_refuse(IL_RULE_P8, "pread", 0) : __pread64(fd, buffer, bytes, offset);
}

IL_APPLE_API ssize_t pread64(int fd, void *buffer, size_t bytes, off_t offset) __attribute__((alias("pread")));

IL_APPLE_API ssize_t recv(int fd, void *buffer, size_t bytes, int flags) {
    bool is_refused = refuses_kernel_write((uintptr_t)buffer, bytes);
    return is_refused ? il_refuse(IL_RULE_P8, "recv", 0) : recvfrom(fd, buffer, bytes, flags, NULL, NULL);
}

/* ---- Pages and caches ------------------------------------------------------------------------------------------------------ */

IL_APPLE_API int getpagesize(void) {
    return (int)il_mac.profile.page_bytes;
}

IL_APPLE_API long sysconf(int name) {
    return name == _SC_PAGESIZE ? getpagesize() : __sysconf(name);
}

IL_APPLE_API void sys_icache_invalidate(void *start, size_t length) {
    __builtin___clear_cache(start, (char *)start + length);
}

IL_APPLE_API void sys_dcache_flush(void *start, size_t length) {
    __builtin___clear_cache(start, (char *)start + length);
}
