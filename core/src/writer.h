/* writer.h - the writer: the only code that writes code memory.  No system calls, so that tests and fuzzers drive it in
 * process; writer_main.c gives it the real views and the socket.
 */
#ifndef IL_WRITER_H
#define IL_WRITER_H

#include "arch.h"
#include "arenas.h"
#include "protocol.h"
#include "validate.h"

#pragma GCC visibility push(hidden) /* called directly */

typedef struct il_writer_state {
    uint8_t *code;             /* writable views, IL_CODE_VIEW_BYTES each */
    uint8_t *rodata;
    uint64_t poisoned_bytes;   /* code below is poison where no slot is; above it was never touched */
    uint64_t used_bytes;       /* no slot ever ended above */
    il_ledger ledger;
    il_validate_scratch scratch;
} il_writer_state;

/* state is all zero (static memory). */
void il_writer_open(il_writer_state *state, uint8_t *code, uint8_t *rodata);

/* Size of the whole message, from its header alone; 0 when a count is above its limit: then the stream is lost. */
uint64_t il_request_bytes(const il_request *request);

/* message: il_request_bytes of a private copy, 8-byte aligned; it is changed (relocated).  Every reply is complete. */
void il_writer_handle(il_writer_state *state, uint8_t *message, il_reply *reply_out);

#pragma GCC visibility pop
#endif
