/* interlock-probe [--sign] [--note TEXT] [--only SCENARIO] RESULT.jsonl
 *
 * Run it in the folder that build.py made.  --sign prints the commands that sign the programs, for `sh`. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

enum { EXIT_DIFFERS = 1, EXIT_USAGE = 2 };

typedef struct {
    const char *note;
    const char *only; /* one scenario; NULL: all */
    const char *result;
} options;

static int usage(void) {
    fputs("usage: interlock-probe --sign | sh -e\n"
          "       interlock-probe [--note TEXT] [--only SCENARIO] RESULT.jsonl\n",
          stderr);
    return EXIT_USAGE;
}

static bool parse(int count, char *arguments[], options *options_out) {
    *options_out = (options){.note = ""};
    for (int i = 1; i < count; i++) {
        bool has_value = i + 1 < count;
        if (strcmp(arguments[i], "--note") == 0 && has_value) {
            options_out->note = arguments[++i];
        } else if (strcmp(arguments[i], "--only") == 0 && has_value) {
            options_out->only = arguments[++i];
        } else if (arguments[i][0] != '-' && options_out->result == NULL) {
            options_out->result = arguments[i];
        } else {
            return false;
        }
    }
    return options_out->result != NULL;
}

static void unknown(verdict *verdict_out, const char *format, const char *detail) {
    *verdict_out = (verdict){.kind = VERDICT_UNKNOWN};
    snprintf(verdict_out->why, TEXT_BYTES_MAX, format, detail);
}

static void try_case(const probe_case *the, const machine_facts *facts, const char *folder, seen_outcomes *seen_out,
                     verdict *verdict_out) {
    char program[2 * PATH_BYTES_MAX];
    bool is_too_old = the->macos_from > facts->version;
    bool is_too_new = the->macos_before != 0 && the->macos_before <= facts->version;
    snprintf(program, sizeof program, "%s/%s", folder, the->program);
    seen_out->count = 0;
    if (the->refusal[0] != '\0') {
        unknown(verdict_out, "%s", the->refusal);
    } else if (is_too_old || is_too_new) {
        unknown(verdict_out, "it is about an %s version of macOS", is_too_new ? "older" : "newer");
    } else if (access(program, X_OK) != 0) {
        unknown(verdict_out, "%s is missing: interlock-probe --sign | sh -e", the->program);
    } else {
        machine_prepare(the);
        play_case(the, program, seen_out);
        judge(the, seen_out, verdict_out);
    }
}

int main(int count, char *arguments[]) {
    if (count == 2 && strcmp(arguments[1], "--sign") == 0) {
        for (size_t i = 0; probe_sign_commands[i] != NULL; i++) {
            puts(probe_sign_commands[i]);
        }
        return EXIT_SUCCESS;
    }
    options given;
    machine_facts facts;
    if (!parse(count, arguments, &given)) {
        return usage();
    }
    if (!machine_describe(&facts)) {
        fputs("interlock-probe: no scenario is about a process of this machine\n", stderr);
        return EXIT_USAGE;
    }
    FILE *json = fopen(given.result, "w");
    char folder[PATH_BYTES_MAX];
    if (json == NULL || realpath(arguments[0], folder) == NULL) {
        perror(json == NULL ? given.result : arguments[0]);
        return EXIT_USAGE;
    }
    *strrchr(folder, '/') = '\0';
    signal(SIGPIPE, SIG_IGN); /* a driver that has died is an outcome */
    report_start(json, &facts, given.note);
    for (size_t i = 0; i < probe_case_count; i++) {
        static seen_outcomes seen;
        const probe_case *the = &probe_cases[i];
        verdict found;
        bool is_asked = given.only == NULL || strcmp(given.only, the->scenario) == 0;
        if (is_asked && machine_has_profile(&facts, the->profile)) {
            try_case(the, &facts, folder, &seen, &found);
            report_case(json, the, &seen, &found);
        }
    }
    bool is_agreed = report_end(json);
    if (fclose(json) != 0) {
        perror(given.result);
        return EXIT_USAGE;
    }
    return is_agreed ? EXIT_SUCCESS : EXIT_DIFFERS;
}
