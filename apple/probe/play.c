/* One case in processes of its own: starts the driver, sends it the steps, and sees what each comes to. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "runner.h"
#include "signals.h"

enum { ACTORS_MAX = 8, NAME_BYTES_MAX = 65, ANSWER_MILLISECONDS_MAX = 30000 };

extern char **environ;

typedef struct {
    char name[NAME_BYTES_MAX];
    int channel;
    size_t process; /* index of the actor that is its process's first */
    size_t parent;  /* of a forked child: the actor that forked it */
    bool is_dead;   /* of a process's first actor: the process has ended */
} player;

typedef struct {
    pid_t first;
    size_t count;
    player players[ACTORS_MAX];
} play;

static void say(char line_out[OUTCOME_BYTES_MAX], const char *kind, const char *word) {
    snprintf(line_out, OUTCOME_BYTES_MAX, "%s %s", kind, word);
}

static player *player_named(play *the, const char *name) {
    /* The last of a name: a thread may take that of one that has ended. */
    for (size_t i = the->count; i > 0; i--) {
        if (strcmp(the->players[i - 1].name, name) == 0) {
            return &the->players[i - 1];
        }
    }
    return NULL;
}

static size_t index_of(const play *the, const player *player) {
    return (size_t)(player - the->players);
}

/* ---- Answers --------------------------------------------------------------------------------------------------------------- */

/* False if the process has ended; `line_out` is its answer, or why there is none. */
static bool answer_of(const player *from, char line_out[OUTCOME_BYTES_MAX]) {
    char line[LINE_BYTES_MAX];
    int descriptor;
    struct pollfd ready = {.fd = from->channel, .events = POLLIN};
    if (poll(&ready, 1, ANSWER_MILLISECONDS_MAX) != 1) {
        say(line_out, "unknown", "no answer in 30 seconds");
        return true;
    }
    if (!channel_receive(from->channel, line, &descriptor)) {
        return false;
    }
    snprintf(line_out, OUTCOME_BYTES_MAX, "%.*s", OUTCOME_BYTES_MAX - 1, line);
    return true;
}

static void ending_of_first(const play *the, char line_out[OUTCOME_BYTES_MAX]) {
    int status;
    if (waitpid(the->first, &status, 0) < 0) {
        say(line_out, "unknown", strerror(errno));
    } else if (WIFSIGNALED(status)) {
        say(line_out, "signal", signal_name(WTERMSIG(status)));
    } else {
        say(line_out, "unknown", "the driver ended by itself");
    }
}

/* What ended the process of a player: the first is ours to wait for, a forked one is its parent's. */
static void ending_of(play *the, player *process, char line_out[OUTCOME_BYTES_MAX]) {
    process->is_dead = true;
    if (index_of(the, process) == 0) {
        ending_of_first(the, line_out);
        return;
    }
    char reap[LINE_BYTES_MAX];
    player *parent = &the->players[process->parent];
    snprintf(reap, sizeof reap, "reap %s", process->name);
    if (!channel_send(parent->channel, reap, NO_DESCRIPTOR) || !answer_of(parent, line_out)) {
        say(line_out, "unknown", "its parent has ended as well");
    }
}

/* ---- Steps ----------------------------------------------------------------------------------------------------------------- */

static bool is_verb(const char *line, const char *verb) {
    size_t bytes = strlen(verb);
    return strncmp(line, verb, bytes) == 0 && (line[bytes] == ' ' || line[bytes] == '\0');
}

/* A new thread or forked child: its channel goes with the step. */
static bool send_with_player(play *the, const player *from, const char *line, bool is_fork) {
    int ends[2];
    if (the->count == ACTORS_MAX || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        return false;
    }
    player *added = &the->players[the->count];
    *added = (player){.channel = ends[0], .parent = index_of(the, from), .process = is_fork ? the->count : from->process};
    snprintf(added->name, NAME_BYTES_MAX, "%s", strchr(line, ' ') + 1);
    the->count++;
    bool is_sent = channel_send(from->channel, line, ends[1]);
    close(ends[1]);
    return is_sent;
}

static void take_step(play *the, const char *name, const char *line, char line_out[OUTCOME_BYTES_MAX]) {
    player *from = player_named(the, name);
    if (from == NULL) {
        say(line_out, "unknown", "there is no such thread");
        return;
    }
    player *process = &the->players[from->process];
    if (process->is_dead) {
        strcpy(line_out, "dead");
        return;
    }
    bool is_fork = is_verb(line, "fork");
    bool is_sent = is_fork || is_verb(line, "thread") ? send_with_player(the, from, line, is_fork)
                                                      : channel_send(from->channel, line, NO_DESCRIPTOR);
    if (!is_sent || !answer_of(from, line_out)) {
        ending_of(the, process, line_out);
    }
}

/* ---- A case ---------------------------------------------------------------------------------------------------------------- */

static bool start(play *the, const char *program) {
    int ends[2];
    char channel[NAME_BYTES_MAX];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        return false;
    }
    snprintf(channel, sizeof channel, "%d", ends[1]);
    char *arguments[] = {(char *)(size_t)program, "main", channel, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    int error = posix_spawn(&the->first, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    the->players[0] = (player){.name = "main", .channel = ends[0]};
    the->count = 1;
    return error == 0;
}

static void stop(play *the) {
    for (size_t i = 0; i < the->count; i++) {
        close(the->players[i].channel);
    }
    if (!the->players[0].is_dead) {
        kill(the->first, SIGKILL);
        waitpid(the->first, NULL, 0);
    }
}

void play_case(const probe_case *the, const char *program, seen_outcomes *seen_out) {
    play now = {0};
    char line[CASE_LINES_BYTES_MAX];
    char first[OUTCOME_BYTES_MAX];
    const char *rest = the->steps;
    seen_out->count = 0;
    if (!start(&now, program)) {
        seen_out->count = 1;
        say(seen_out->lines[0], "unknown", "the program cannot be started");
        return;
    }
    if (!answer_of(&now.players[0], first)) {
        ending_of(&now, &now.players[0], first);
    }
    while (seen_out->count < CASE_STEPS_MAX && next_piece(&rest, '\n', line, sizeof line)) {
        char *outcome = seen_out->lines[seen_out->count];
        char *step = strchr(line, '\t') + 1;
        step[-1] = '\0';
        /* What happens before main is the outcome of `start`, or of whatever comes first. */
        if (is_verb(step, "start") || (seen_out->count == 0 && strcmp(first, "ok") != 0)) {
            strcpy(outcome, first);
        } else {
            take_step(&now, line, step, outcome);
        }
        seen_out->count++;
    }
    stop(&now);
}
