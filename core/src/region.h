/* region.h - the application's side of code memory: what the parts of the library share.  Nothing here can write code. */
#ifndef IL_REGION_H
#define IL_REGION_H

#include <sys/uio.h>

#include "protocol.h"

/* The code views that this process can run: its own last, before it those of the processes that it was forked from.  They never go
 * away.  Safe to read in a signal handler. */
extern uint64_t il_code_bases[IL_RESERVATIONS_MAX];
extern uint32_t il_reservations;
/* il_harden has succeeded: there is no new executable memory any more. */
extern bool il_is_hardened;

/* First byte behind the code view in which the address lies; 0 when it lies in none. */
static inline uint64_t il_code_end(uint64_t addr) {
    for (uint32_t i = __atomic_load_n(&il_reservations, __ATOMIC_ACQUIRE); i-- > 0;)
        if (addr - il_code_bases[i] < (uint64_t)IL_CODE_VIEW_BYTES) return il_code_bases[i] + IL_CODE_VIEW_BYTES;
    return 0;
}

static inline bool il_is_code_addr(uint64_t addr) { return il_code_end(addr) != 0; }

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
/* Gives up the way to the writer; the views stay.  Called in forked children too. */
void il_views_close(il_views *views);
/* Makes other threads drop instructions fetched before: needed when a slot is used again. */
void il_views_synchronise(void);

/* forks.c.  A reservation's forks: to be counted from before it is open; whether one may live. */
il_status il_forks_track(uint32_t reservation);
void il_forks_untrack(uint32_t reservation);
bool il_forks_live(uint32_t reservation);
bool il_forks_prepared(void);
/* What forks.c calls: locks are taken before a fork, so that what they guard is whole in the child... */
void il_region_lock(void);
void il_region_unlock(void);
void il_traps_lock(void);
void il_traps_unlock(void);
/* ...and in the child, before they are released: the writer is the parent's, and other threads are not here. */
void il_region_forget(void);

#endif
