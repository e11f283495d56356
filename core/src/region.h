/* region.h - the application's side of code memory: what the parts of the library share.  Nothing here can write code. */
#ifndef IL_REGION_H
#define IL_REGION_H

#include <sys/uio.h>

#include "protocol.h"

/* Address of the code view; 0 until the region is open, then constant.  Safe to read in a signal handler. */
extern uint64_t il_code_base;

static inline bool il_is_code_addr(uint64_t addr) {
    return il_code_base != 0 && addr - il_code_base < (uint64_t)IL_CODE_VIEW_BYTES;
}

/* Remembers the detail for il_last_failure and returns status.  operation: a string that lives for ever. */
il_status il_fail(il_status status, const char *operation, int error_number);

/* What the system made when the region was opened: region_<system>.c. */
typedef struct il_views {
    uint64_t code_base;
    il_writer writer;
    bool has_seals, has_mseal;
    /* Of a writer process: */
    uint8_t *payload;     /* IL_PAYLOAD_BYTES_MAX that the writer copies from (protocol.h) */
    int requests, requests_end, replies;
    int writer_pid;
} il_views;

/* IL_OK; or IL_SYSTEM / IL_UNSUPPORTED, with nothing left behind. */
il_status il_views_open(const char *writer_path, il_views *views_out);
/* One request and its whole reply.  The first part is the il_request, the others its payload; parts is used up.  False, with
 * failure_out, when the writer is lost.  Calls are serialised by region.c. */
bool il_views_exchange(il_views *views, struct iovec *parts, uint32_t count, il_reply *reply_out, il_failure *failure_out);
/* Gives up the way to the writer; the views stay.  Async-signal-safe: called in forked children. */
void il_views_close(il_views *views);
/* Makes other threads drop instructions fetched before: needed when a slot is used again. */
void il_views_synchronise(void);

#endif
