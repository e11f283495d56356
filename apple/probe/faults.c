/* Signal handlers of a scenario: catch goes on behind the access that faulted, heal toggles to RW and lets it be tried again. */
#include <signal.h>
#include <string.h>

#include "driver.h"
#include "signals.h"

/* A signal that a scenario sends itself, to be answered by the steps of its handler. */
typedef struct {
    actor *self;
    unsigned depth;
} pending_delivery;

/* The access of this thread that is under way, and the delivery. */
static _Thread_local sigjmp_buf *access_end;
static _Thread_local const pending_delivery *delivery;
static volatile sig_atomic_t heals;

outcome guarded(outcome (*access)(void *context), void *context) {
    sigjmp_buf end;
    heals = 0;
    int caught = sigsetjmp(end, 1);
    if (caught != 0) {
        access_end = NULL;
        return (outcome){.kind = OUTCOME_SIGNAL, .value = caught};
    }
    access_end = &end;
    outcome result = access(context);
    access_end = NULL;
    return result;
}

/* What no access of the scenario has caused, for example the thread library's own trap, ends the process at its next try. */
static void let_die(int number) {
    signal(number, SIG_DFL);
}

static void catch(int number) {
    const pending_delivery *delivered = delivery;
    if (delivered != NULL) {
        int value;
        delivery = NULL; /* what comes now are faults of the handler's steps */
        reply(delivered->self, OK);
        if (run_steps(delivered->self, delivered->depth + 1, &value) != END_HANDLER) {
            protocol_error("a handler ends with handler-return", delivered->self->name);
        }
        return;
    }
    sigjmp_buf *end = access_end;
    if (end == NULL) {
        let_die(number);
        return;
    }
    siglongjmp(*end, number);
}

static void heal(int number) {
    if (++heals > HEALS_MAX || access_end == NULL) {
        let_die(number);
        return;
    }
    pthread_jit_write_protect_np(0);
}

outcome step_handler(const step *the) {
    bool is_heal = strcmp(the->words[1], "heal") == 0;
    /* SA_NODEFER: a fault inside the handler is an outcome too. */
    struct sigaction action = {.sa_flags = SA_NODEFER};
    action.sa_handler = is_heal ? heal : catch;
    sigemptyset(&action.sa_mask);
    if (sigaction(signal_number(the->words[0]), &action, NULL) != 0) { /* EINVAL for 0 */
        protocol_error("no handler for", the->words[0]);
    }
    return OK;
}

outcome step_deliver(const step *the, actor *self, unsigned depth) {
    const pending_delivery mine = {.self = self, .depth = depth};
    delivery = &mine;
    pthread_kill(pthread_self(), signal_number(the->words[0]));
    return OK; /* of handler-return */
}
