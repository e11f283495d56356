/* protocol.h - what the application and the writer process say to each other.
 *
 * One request, one reply, in turn, each through a pipe (of the ways to wake another process that also tell of its death, the
 * fastest: docs/decisions/0011).  What a request is about, its payload, lies in memory that both share.  Both ends are built
 * together, so the structs travel as they are in memory.  The writer believes nothing: it copies the payload once, no more of it
 * than the request's counts say, each checked against its limit (il_request_bytes), and from then on looks at its copy only.
 *
 * Payload, in this order, so that everything is aligned:
 *   PUBLISH     entries, relocations, jump tables, rodata (padded to 4 bytes), code
 *   ARENA_OPEN  policy, import addresses
 *   otherwise   nothing
 */
#ifndef IL_PROTOCOL_H
#define IL_PROTOCOL_H

#include "interlock.h"

enum { IL_SOCKET_FD = 3, IL_HELLO_MAGIC = 0x314c4f49 };

typedef enum il_operation {
    IL_OP_PUBLISH = 1,
    IL_OP_RETIRE = 2,
    IL_OP_ARENA_OPEN = 3,
    IL_OP_ARENA_CLOSE = 4
} il_operation;

typedef struct il_request {
    uint32_t operation;         /* il_operation */
    uint32_t may_reclaim;       /* no thread is inside: what was retired before this request may be reused */
    uint64_t handle;            /* il_arena or il_code */
    uint64_t arena_bytes_max;
    uint32_t import_count;
    uint32_t arch;
    union {                     /* as in il_image */
        struct { uint32_t code_bytes, rodata_bytes, entry_count, relocation_count, jump_table_count; };
        uint32_t sizes[IL_SIZES];
    };
    int32_t cpu;                /* where the sender runs and will wait; -1 unknown.  A hint */
} il_request;

typedef struct il_reply {
    uint32_t status;            /* il_status */
    uint32_t is_recycled;       /* the slot held other code before */
    uint64_t handle;
    uint64_t slot_offset;
    uint64_t changed_bytes;     /* of code, from there on */
    uint64_t taken_bytes;       /* of the view, quarantine included */
    uint64_t quarantined_bytes;
    il_verdict verdict;
} il_reply;

/* The writer's first message, over a socket which is closed afterwards; with IL_OK it carries descriptors in this order. */
typedef enum il_hello_descriptor {
    IL_FD_CODE = 0,             /* the sealed views */
    IL_FD_RODATA = 1,
    IL_FD_PAYLOAD = 2,          /* IL_PAYLOAD_FILE_BYTES, of a size that nobody can change */
    IL_FD_REQUESTS = 3,         /* to write to */
    IL_FD_REQUESTS_END = 4,     /* their other end: held, never read, it keeps SIGPIPE away from the application */
    IL_FD_REPLIES = 5,          /* to read from */
    IL_FD_COUNT = 6
} il_hello_descriptor;

typedef struct il_hello {
    uint32_t magic;
    uint32_t status;            /* il_status */
    int32_t error_number;
    int32_t pid;
    char operation[48];         /* what failed */
} il_hello;

enum {
    IL_PAYLOAD_BYTES_MAX = IL_IMAGE_CODE_BYTES_MAX + IL_IMAGE_RODATA_BYTES_MAX + IL_IMAGE_ENTRIES_MAX * 4 +
                           IL_IMAGE_RELOCATIONS_MAX * 12 + IL_IMAGE_TABLES_MAX * 12,
    IL_PAYLOAD_FILE_BYTES = (IL_PAYLOAD_BYTES_MAX + 65535) & ~65535,
    IL_MESSAGE_BYTES_MAX = (int)sizeof(il_request) + IL_PAYLOAD_BYTES_MAX
};

_Static_assert(sizeof(il_reply) <= 512, "the smallest PIPE_BUF: requests and replies are written and read whole");
_Static_assert(sizeof(il_request) == 56 && sizeof(il_relocation) == 12 && sizeof(il_jump_table) == 12, "no padding");
_Static_assert(sizeof(il_policy) == 60 && sizeof(il_policy) + IL_ARENA_IMPORTS_MAX * 8 < IL_PAYLOAD_BYTES_MAX, "policy and imports fit");

#endif
