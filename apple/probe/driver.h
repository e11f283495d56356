/* The scenario driver: a process that takes a scenario's steps natively, one line each, and answers with what they came to.
 *
 * Each thread of a scenario, forked children included, is an actor: it reads steps from a socket of its own and writes what each
 * came to.  The steps of a callback and of a signal handler are read by a nested loop inside the callback or handler.  Whoever
 * sends the steps sees a death as the end of the socket. */
#ifndef INTERLOCK_PROBE_DRIVER_H
#define INTERLOCK_PROBE_DRIVER_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "apple_api.h"
#include "channel.h"

enum {
    NAME_BYTES_MAX = 65,
    WORDS_MAX = 12,
    ACTORS_MAX = 8,
    REGIONS_MAX = 16,
    LIBRARIES_MAX = 8,
    DEPTH_MAX = 8, /* callbacks and handlers inside each other */
    STEPS_MAX = 1000,
    HEALS_MAX = 100, /* after so many, a fault that heals nothing ends the process */
};

typedef enum {
    OUTCOME_OK,
    OUTCOME_VALUE,
    OUTCOME_ERRNO,
    OUTCOME_SIGNAL,
    OUTCOME_UNKNOWN, /* it could not be tried; `why` says the reason */
} outcome_kind;

typedef struct {
    outcome_kind kind;
    long value; /* the value, the errno or the signal */
    const char *why;
} outcome;

#define OK ((outcome){.kind = OUTCOME_OK})

/* The words of a step. */
typedef struct {
    size_t count;
    const char *words[WORDS_MAX];
    int descriptor; /* came with the line; the channel of a new actor */
} step;

typedef struct {
    char name[NAME_BYTES_MAX];
    int channel;
    pid_t process; /* a forked child's, in the process that forked it */
} actor;

typedef struct {
    char name[NAME_BYTES_MAX];
    char *address;
    size_t bytes;
    bool is_jit;
    int descriptor; /* of shared memory, for a second mapping */
} region;

/* Why a loop of steps ended. */
typedef enum { END_RETURN, END_ESCAPE, END_HANDLER, END_THREAD } steps_end;

/* Read and take steps until one of them ends the loop; `value_out` is what a callback returns, or the way it escapes. */
steps_end run_steps(actor *self, unsigned depth, int *value_out);

void reply(const actor *self, outcome result);

/* Ends the process with a message: the sender broke the protocol.  It has no business with what is tested. */
_Noreturn void protocol_error(const char *message, const char *detail);

extern const char *driver_path;

actor *actor_add(const char *name, int channel);
actor *actor_find(const char *name);
void actor_remove(actor *gone);
/* Close all channels but this actor's, which is the only one that is left. */
void actors_keep(const actor *kept);

/* ---- Places: operands of steps --------------------------------------------------------------------------------------------- */

region *region_add(const char *name);
/* `code+2p`; the address, and the region that it is in. */
char *place_address(const char *text, region **region_out);
/* `2p`, `64b`; the bytes. */
size_t amount_bytes(const char *text);
/* The length of a step, or the rest of the region where it is `-`. */
size_t range_bytes(const char *text, const char *address, const region *within);
void regions_arguments(char *arguments[], size_t *count_inout);
void regions_from_arguments(int count, char *arguments[]);

/* ---- Steps; each takes the words behind its verb --------------------------------------------------------------------------- */

outcome step_map(const step *the);
outcome step_unmap(const step *the);
outcome step_protect(const step *the);
outcome step_advise(const step *the);
outcome step_alias(const step *the);
outcome step_write(const step *the);
outcome step_read(const step *the);
outcome step_kernel_write(const step *the);
outcome step_execute(const step *the);
outcome step_invalidate(const step *the);
outcome step_clear_cache(const step *the);
outcome step_flush_by_hand(const step *the);
outcome step_barrier(const step *the);
outcome step_toggle(const step *the);
outcome step_supported(const step *the);
outcome step_freeze(const step *the);
outcome step_symbol(const step *the);
outcome step_dlopen(const step *the);
outcome step_handler(const step *the);
outcome step_closure(const step *the);
outcome step_page_size(const step *the);
outcome step_alive(const step *the);
outcome step_reap(const step *the);

/* These need the actor that takes them, and answer themselves where other steps run inside. */
outcome step_callback(const step *the, actor *self, unsigned depth);
outcome step_deliver(const step *the, actor *self, unsigned depth);
outcome step_thread(const step *the);
outcome step_fork(const step *the);
outcome step_exec(const actor *self);

/* ---- Faults ---------------------------------------------------------------------------------------------------------------- */

/* Runs `access` and gives its outcome, or the signal that it was ended by if a handler caught that. */
outcome guarded(outcome (*access)(void *context), void *context);

/* ---- What the systems do differently --------------------------------------------------------------------------------------- */

/* A second mapping of JIT memory, which has no descriptor; MAP_FAILED with errno 0 where the system has no call for it. */
void *system_remap(void *address, size_t bytes, int protection);
/* The file name of libffi. */
extern const char *const system_libffi;

#endif
