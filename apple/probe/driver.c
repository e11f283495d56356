/* The driver's main loop: lines in, outcomes out; actors; the protocol. */
#include "driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "signals.h"

enum { OUTCOME_BYTES_MAX = 160, NUMBER_BYTES_MAX = 24 };

const char *driver_path;
static actor actors[ACTORS_MAX];

/* ---- Actors ---------------------------------------------------------------------------------------------------------------- */

actor *actor_find(const char *name) {
    for (size_t i = 0; i < ACTORS_MAX; i++) {
        if (strcmp(actors[i].name, name) == 0) {
            return &actors[i];
        }
    }
    return NULL;
}

actor *actor_add(const char *name, int channel) {
    actor *free_place = actor_find("");
    if (free_place == NULL || strlen(name) >= NAME_BYTES_MAX) {
        protocol_error("no room for an actor", name);
    }
    strcpy(free_place->name, name);
    free_place->channel = channel;
    free_place->process = 0;
    return free_place;
}

void actor_remove(actor *gone) {
    if (gone->channel != NO_DESCRIPTOR) {
        close(gone->channel);
    }
    *gone = (actor){.channel = NO_DESCRIPTOR};
}

void actors_keep(const actor *kept) {
    for (size_t i = 0; i < ACTORS_MAX; i++) {
        if (&actors[i] != kept && actors[i].name[0] != '\0') {
            actor_remove(&actors[i]);
        }
    }
}

/* ---- The protocol ---------------------------------------------------------------------------------------------------------- */

void protocol_error(const char *message, const char *detail) {
    fprintf(stderr, "driver: %s: %s\n", message, detail);
    _exit(70); /* EX_SOFTWARE */
}

static const char *errno_name(long number, char text_out[NUMBER_BYTES_MAX]) {
    static const struct {
        int number;
        const char *name;
    } names[] = {{EACCES, "EACCES"}, {EBADF, "EBADF"},   {EFAULT, "EFAULT"},   {EINVAL, "EINVAL"},
                 {ENOMEM, "ENOMEM"}, {ENOSYS, "ENOSYS"}, {ENOTSUP, "ENOTSUP"}, {EPERM, "EPERM"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].number == number) {
            return names[i].name;
        }
    }
    snprintf(text_out, NUMBER_BYTES_MAX, "E%ld", number);
    return text_out;
}

void reply(const actor *self, outcome result) {
    char line[OUTCOME_BYTES_MAX];
    char number[NUMBER_BYTES_MAX];
    switch (result.kind) {
    case OUTCOME_OK: strcpy(line, "ok"); break;
    case OUTCOME_VALUE: snprintf(line, sizeof line, "ok %ld", result.value); break;
    case OUTCOME_ERRNO: snprintf(line, sizeof line, "errno %s", errno_name(result.value, number)); break;
    case OUTCOME_SIGNAL: snprintf(line, sizeof line, "signal %s", signal_name((int)result.value)); break;
    case OUTCOME_UNKNOWN: snprintf(line, sizeof line, "unknown %s", result.why); break;
    }
    channel_send(self->channel, line, NO_DESCRIPTOR);
}

static step split(char *line, int descriptor) {
    step the = {.descriptor = descriptor};
    char *rest = NULL;
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (the.count == WORDS_MAX) {
            protocol_error("too many words", word);
        }
        the.words[the.count++] = word;
    }
    return the;
}

/* ---- Steps by their verbs -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *verb;
    size_t operands; /* at least */
    outcome (*take)(const step *the);
} plain_steps[] = {
    {"map", 3, step_map},
    {"unmap", 2, step_unmap},
    {"protect", 3, step_protect},
    {"advise", 3, step_advise},
    {"alias", 4, step_alias},
    {"write", 3, step_write},
    {"read", 1, step_read},
    {"kernel-write", 2, step_kernel_write},
    {"execute", 1, step_execute},
    {"invalidate", 2, step_invalidate},
    {"clear-cache", 2, step_clear_cache},
    {"flush-by-hand", 0, step_flush_by_hand},
    {"barrier", 0, step_barrier},
    {"toggle", 1, step_toggle},
    {"supported", 0, step_supported},
    {"freeze", 0, step_freeze},
    {"symbol", 1, step_symbol},
    {"dlopen", 2, step_dlopen},
    {"thread", 1, step_thread},
    {"fork", 1, step_fork},
    {"handler", 2, step_handler},
    {"closure", 0, step_closure},
    {"page-size", 0, step_page_size},
    {"alive", 0, step_alive},
    {"reap", 1, step_reap},
};

static outcome take_step(const char *verb, const step *operands, actor *self, unsigned depth) {
    if (strcmp(verb, "callback") == 0 && operands->count == 1) {
        return step_callback(operands, self, depth);
    }
    if (strcmp(verb, "deliver") == 0 && operands->count == 1) {
        return step_deliver(operands, self, depth);
    }
    if (strcmp(verb, "exec") == 0) {
        return step_exec(self);
    }
    for (size_t i = 0; i < sizeof plain_steps / sizeof *plain_steps; i++) {
        if (strcmp(plain_steps[i].verb, verb) == 0 && operands->count >= plain_steps[i].operands) {
            return plain_steps[i].take(operands);
        }
    }
    protocol_error("no such step", verb);
}

/* The ends of loops: the steps that give control back to what called the loop. */
static bool is_end(const char *verb, const step *operands, steps_end *end_out, int *value_out) {
    if (strcmp(verb, "return") == 0 && operands->count == 1) {
        *value_out = atoi(operands->words[0]);
        *end_out = END_RETURN;
    } else if (strcmp(verb, "escape") == 0 && operands->count == 1) {
        *value_out = strcmp(operands->words[0], "throw") == 0;
        *end_out = END_ESCAPE;
    } else if (strcmp(verb, "handler-return") == 0) {
        *end_out = END_HANDLER;
    } else if (strcmp(verb, "end-thread") == 0) {
        *end_out = END_THREAD;
    } else {
        return false;
    }
    return true;
}

/* Calls itself through callbacks and signal handlers, at most DEPTH_MAX deep: that is what a scenario asks for. */
steps_end run_steps(actor *self, unsigned depth, int *value_out) {
    char line[LINE_BYTES_MAX];
    if (depth > DEPTH_MAX) {
        protocol_error("too deep", self->name);
    }
    for (unsigned count = 0; count < STEPS_MAX; count++) {
        int descriptor;
        if (!channel_receive(self->channel, line, &descriptor)) {
            _exit(0); /* whoever sends the steps has seen enough */
        }
        step the = split(line, descriptor);
        if (the.count == 0) {
            protocol_error("an empty line", self->name);
        }
        const char *verb = the.words[0];
        step operands = {.count = the.count - 1, .descriptor = descriptor};
        memcpy(operands.words, the.words + 1, sizeof *the.words * operands.count);
        steps_end end;
        if (is_end(verb, &operands, &end, value_out)) {
            return end;
        }
        reply(self, take_step(verb, &operands, self, depth));
    }
    protocol_error("too many steps", self->name);
}

/* driver NAME CHANNEL REGION...   the only actor, its socket, and, behind an exec, where regions were */
int main(int count, char *arguments[]) {
    enum { FIXED_ARGUMENTS = 3 };
    if (count < FIXED_ARGUMENTS) {
        protocol_error("the probe starts this program", "interlock-probe");
    }
    driver_path = arguments[0];
    actor *self = actor_add(arguments[1], atoi(arguments[2]));
    regions_from_arguments(count - FIXED_ARGUMENTS, arguments + FIXED_ARGUMENTS);
    reply(self, OK);
    int value;
    run_steps(self, 0, &value);
    return 0;
}
