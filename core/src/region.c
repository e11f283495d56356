/* region.c - the application's side: one request at a time to the writer.  Holds no writable view and no allocator; what it
 * remembers is only for il_region_describe and for asking when the quarantine may be freed.
 */
#include "library.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch.h"
#include "validate.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t owner; /* process that opened the last reservation; 0: none is this process's own */
static char writer_path[IL_PATH_BYTES_MAX]; /* that the first was opened with: forks open theirs with it */
static il_views views;
static bool is_lost;
static uint64_t taken_bytes, quarantined_bytes;
uint64_t il_code_bases[IL_RESERVATIONS_MAX];
uint32_t il_reservations;
bool il_is_hardened;

/* ---- Forks --------------------------------------------------------------------------------------------------------------------
 * What a fork changes: the child's memory shows the parent's views, whose code goes on running in it, but the child talks to a
 * writer of its own, about a reservation of its own.
 *
 * The parent's writer goes on writing the views that both see.  Code that the parent retires is poison in the child too, and
 * traps there; but it must not be replaced by other code as long as a child may be inside.  So each reservation has a page,
 * shared by all who see its views, in which forks announce themselves.  What cannot be known for sure (more children than the
 * page has places, a child killed in its first instructions, a fork that failed) counts as a child that lives.
 */
enum { PROCESSES_MAX = 1000 };

typedef struct family {
    uint32_t begun, arrived; /* forks */
    pid_t processes[PROCESSES_MAX];
} family;
static family *families[IL_RESERVATIONS_MAX]; /* of the reservations in il_code_bases */

static il_status track_forks(uint32_t reservation) {
    family *each = mmap(NULL, sizeof *each, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (each == MAP_FAILED) return il_fail(IL_NO_MEMORY, "mmap of a shared page", errno);
    families[reservation] = each;
    return IL_OK;
}

static bool are_forks_alive(uint32_t reservation) {
    family *each = families[reservation];
    if (__atomic_load_n(&each->begun, __ATOMIC_SEQ_CST) != __atomic_load_n(&each->arrived, __ATOMIC_SEQ_CST)) return true;
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        const pid_t process = __atomic_load_n(&each->processes[i], __ATOMIC_SEQ_CST);
        if (process == 0) continue;
        if (kill(process, 0) == 0 || errno != ESRCH) return true;
        __atomic_store_n(&each->processes[i], 0, __ATOMIC_SEQ_CST);
    }
    return false;
}

static bool announce(family *each, pid_t self) {
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        pid_t nobody = 0;
        if (__atomic_compare_exchange_n(&each->processes[i], &nobody, self, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return true;
    }
    return false;
}

static void before_fork(void) {
    (void)pthread_mutex_lock(&lock);
    (void)pthread_mutex_lock(&il_traps_mutex);
    for (uint32_t i = 0; i < IL_RESERVATIONS_MAX && families[i] != NULL; i++)
        (void)__atomic_fetch_add(&families[i]->begun, 1, __ATOMIC_SEQ_CST);
}

static void in_parent(void) {
    (void)pthread_mutex_unlock(&il_traps_mutex);
    (void)pthread_mutex_unlock(&lock);
}

static void in_child(void) {
    const pid_t self = getpid();
    for (uint32_t i = 0; i < IL_RESERVATIONS_MAX && families[i] != NULL; i++)
        if (announce(families[i], self)) (void)__atomic_fetch_add(&families[i]->arrived, 1, __ATOMIC_SEQ_CST);
    /* It must not keep the parent's writer alive, nor talk to it.  The payload was not inherited, and another's handler of this
     * fork, registered before ours, may have mapped something where it lay. */
    views.payload = NULL;
    if (owner != 0 && !is_lost) il_views_close(&views);
    owner = 0;
    is_lost = false;
    taken_bytes = quarantined_bytes = 0;
    il_validate_forget();
    il_threads_forget();
    in_parent();
}

/* When the library is loaded, so that no lock can be held by a fork that does not know of it. */
static bool is_prepared;
__attribute__((constructor)) static void prepare(void) { is_prepared = pthread_atfork(before_fork, in_parent, in_child) == 0; }

/* ---- The reservation ------------------------------------------------------------------------------------------------------- */
/* A handle that leaves carries the number of its reservation, so that a child's writer, which counts from the start again, is
 * never asked about one that the parent's gave out. */
enum { RESERVATION_SHIFT = 28, RESERVATION_MASK = 15 };
_Static_assert((IL_CODE_VIEW_BYTES / IL_SLOT_GRAIN_BYTES) <= 1 << RESERVATION_SHIFT && IL_ARENAS_MAX <= 1 << RESERVATION_SHIFT &&
                   IL_RESERVATIONS_MAX <= RESERVATION_MASK + 1, "indices and reservations fit into a handle");

static uint64_t reservation_bits(void) { return (uint64_t)(il_reservations - 1) << RESERVATION_SHIFT; }

static il_status open_own(void) {
    if (il_is_hardened) return il_fail(IL_UNSUPPORTED, "a region cannot be opened after the process was hardened", 0);
    if (il_reservations == IL_RESERVATIONS_MAX)
        return il_fail(IL_NO_MEMORY, "a fork of a fork, too many times: IL_RESERVATIONS_MAX", 0);
    if (!is_prepared) prepare();
    if (!is_prepared) return il_fail(IL_NO_MEMORY, "pthread_atfork", 0);
    il_status status = il_threads_open();
    if (status == IL_OK) status = track_forks(il_reservations);
    if (status != IL_OK) return status;
    status = il_views_open(writer_path, &views);
    if (status != IL_OK) {
        (void)munmap(families[il_reservations], sizeof **families);
        families[il_reservations] = NULL;
        return status;
    }
    il_code_bases[il_reservations] = views.code_base;
    __atomic_store_n(&il_reservations, il_reservations + 1, __ATOMIC_RELEASE);
    owner = getpid();
    return IL_OK;
}

/* Takes the lock when the region can be used; the caller releases it on IL_OK only.  A handle is replaced by what the writer
 * calls it; opening an arena is what opens a forked child's own reservation. */
static il_status enter(uint64_t *handle) {
    (void)pthread_mutex_lock(&lock);
    il_status status = IL_OK;
    if (owner == 0 && il_reservations == 0) status = il_fail(IL_INVALID_ARGUMENT, "the region is not open", 0);
    else if (owner == 0 && handle == NULL) status = open_own();
    else if (owner == 0) status = il_fail(IL_STALE, "the handle is the parent process's", 0);
    else if (owner != getpid()) status = il_fail(IL_FORKED, "the process was not forked by the C library's fork", 0);
    else if (is_lost) status = il_fail(IL_WRITER_LOST, "the writer process has ended", 0);
    if (status == IL_OK && handle != NULL) {
        *handle ^= reservation_bits();
        if ((*handle >> RESERVATION_SHIFT & RESERVATION_MASK) != 0)
            status = il_fail(IL_STALE, "the handle is another process's", 0);
    }
    if (status != IL_OK) (void)pthread_mutex_unlock(&lock);
    return status;
}

static il_status leave(il_status status) {
    (void)pthread_mutex_unlock(&lock);
    return status;
}

static il_status lose_writer(il_status status, const char *operation, int error_number) {
    is_lost = true;
    il_views_close(&views);
    return il_fail(status, operation, error_number);
}

/* A part of the payload, which lies where the writer reads it until the next request. */
static void put(uint8_t **at, const void *start, uint64_t bytes) {
    if (bytes != 0) memcpy(*at, start, bytes);
    *at += bytes;
}

/* One request, whose payload was put, and its reply.  With the lock held. */
static il_status transact(il_request *request, il_reply *reply_out) {
    il_failure failure = {0};
    if (!il_views_exchange(&views, request, reply_out, &failure))
        return lose_writer(IL_WRITER_LOST, failure.operation, failure.error_number);
    taken_bytes = reply_out->taken_bytes;
    quarantined_bytes = reply_out->quarantined_bytes;
    switch (reply_out->status) {
    case IL_OK:
        if (reply_out->slot_offset >= IL_CODE_VIEW_BYTES || reply_out->changed_bytes > IL_CODE_VIEW_BYTES - reply_out->slot_offset)
            break;
        il_cache_drop((const uint8_t *)(uintptr_t)(views.code_base + reply_out->slot_offset), reply_out->changed_bytes);
        if (reply_out->is_recycled != 0) il_views_synchronise();
        return IL_OK;
    case IL_REJECTED: return IL_REJECTED;
    case IL_STALE: return il_fail(IL_STALE, "the handle names something that was closed or retired", 0);
    case IL_INVALID_ARGUMENT:
        return il_fail(IL_INVALID_ARGUMENT, "the policy is wider than ours or refuses what is not there", 0);
    case IL_NO_MEMORY: return il_fail(IL_NO_MEMORY, "the arena's quota or the region is used up", 0);
    default: break;
    }
    return lose_writer(IL_PROTOCOL, "reply of the writer", 0);
}

/* Whether what was retired before now may be used again: nobody is inside.  What is retired by the same request waits for the
 * next one. */
static uint32_t may_reclaim(void) { return quarantined_bytes != 0 && !il_is_running() && !are_forks_alive(il_reservations - 1); }

/* What was retired is room, if nobody is inside any more: a full region is tried again with it. */
static il_status transact_or_reclaim(il_request *request, il_reply *reply_out) {
    const il_status status = transact(request, reply_out);
    if (status != IL_NO_MEMORY) return status;
    request->may_reclaim = may_reclaim();
    return request->may_reclaim == 0 ? status : transact(request, reply_out);
}

il_status il_region_open(const char *path) {
    if (path == NULL || path[0] != '/' || strlen(path) >= sizeof writer_path)
        return il_fail(IL_INVALID_ARGUMENT, "the writer's path is not absolute, or too long", 0);
    (void)pthread_mutex_lock(&lock);
    if (owner != 0 && owner != getpid())
        return leave(il_fail(IL_FORKED, "the process was not forked by the C library's fork", 0));
    if (owner != 0) return leave(is_lost ? il_fail(IL_WRITER_LOST, "the writer process has ended", 0) : IL_OK);
    memcpy(writer_path, path, strlen(path) + 1);
    return leave(open_own());
}

il_status il_region_describe(il_region_info *info_out) {
    if (info_out == NULL) return il_fail(IL_INVALID_ARGUMENT, "info_out", 0);
    (void)pthread_mutex_lock(&lock);
    const bool is_open = il_reservations != 0, has_writer = owner != 0 && owner == getpid() && !is_lost;
    *info_out = (il_region_info){
        .code_base = views.code_base,
        .rodata_base = is_open ? views.code_base + IL_RODATA_DELTA : 0,
        .view_bytes = is_open ? IL_CODE_VIEW_BYTES : 0,
        .writer = has_writer ? views.writer : IL_WRITER_NONE,
        .writer_pid = has_writer ? views.writer_pid : 0,
        .has_seals = views.has_seals,
        .has_mseal = views.has_mseal,
        .code_bytes_used = taken_bytes,
    };
    return leave(IL_OK);
}

il_status il_arena_open(const uint64_t *imports, uint32_t import_count, const il_policy *policy, uint64_t code_bytes_max,
                        il_arena *arena_out) {
    if (arena_out == NULL || (imports == NULL && import_count != 0) || import_count > IL_ARENA_IMPORTS_MAX)
        return il_fail(IL_INVALID_ARGUMENT, "imports or arena_out", 0);
    il_status status = enter(NULL);
    if (status != IL_OK) return status;
    il_request request = {.operation = IL_OP_ARENA_OPEN, .arena_bytes_max = code_bytes_max, .import_count = import_count};
    const il_policy permitted = IL_POLICY_PERMITTED;
    il_reply reply;
    uint8_t *at = views.payload;
    put(&at, policy != NULL ? policy : &permitted, sizeof *policy);
    put(&at, imports, import_count * sizeof *imports);
    status = transact_or_reclaim(&request, &reply);
    if (status == IL_OK) *arena_out = reply.handle | reservation_bits();
    return leave(status);
}

static il_status end_of_life(il_operation operation, uint64_t handle) {
    il_status status = enter(&handle);
    if (status != IL_OK) return status;
    il_request request = {.operation = operation, .handle = handle, .may_reclaim = may_reclaim()};
    il_reply reply;
    return leave(transact(&request, &reply));
}

il_status il_arena_close(il_arena arena) { return end_of_life(IL_OP_ARENA_CLOSE, arena); }

il_status il_retire(il_code code) { return end_of_life(IL_OP_RETIRE, code); }

il_status il_publish(il_arena arena, const il_image *image, il_code *code_out, uint64_t *address_out, il_verdict *verdict_out) {
    static const uint8_t padding[4];
    if (image == NULL || code_out == NULL || address_out == NULL || verdict_out == NULL || !il_image_is_complete(image))
        return il_fail(IL_INVALID_ARGUMENT, "image or out pointer", 0);
    const il_image once = *image; /* counts are looked at and used once; the arrays are the writer's to copy and check */
    if (!il_is_within(once.sizes, il_sizes_max)) {
        *verdict_out = (il_verdict){.rule = IL_RULE_IMAGE_SIZE, .detail = "a count is above its limit"};
        return IL_REJECTED;
    }
    il_status status = enter(&arena);
    if (status != IL_OK) return status;
    il_request request = {.operation = IL_OP_PUBLISH, .handle = arena, .arch = once.arch};
    memcpy(request.sizes, once.sizes, sizeof request.sizes);
    il_reply reply;
    uint8_t *at = views.payload;
    put(&at, once.entries, once.entry_count * sizeof *once.entries);
    put(&at, once.relocations, once.relocation_count * sizeof *once.relocations);
    put(&at, once.jump_tables, once.jump_table_count * sizeof *once.jump_tables);
    put(&at, once.rodata, once.rodata_bytes);
    put(&at, padding, -once.rodata_bytes & 3);
    put(&at, once.code, once.code_bytes);
    status = transact_or_reclaim(&request, &reply);
    if (status == IL_REJECTED) *verdict_out = reply.verdict;
    if (status == IL_OK) {
        *code_out = reply.handle | reservation_bits();
        *address_out = views.code_base + reply.slot_offset;
    }
    return leave(status);
}
