/* The probe: plays scenarios on this machine, each in processes of its own, and says where Apple's contract agrees with it.
 *
 * build.py writes cases.c from tests/scenarios: for each scenario and profile the lines of the driver, and what the model of the
 * contract predicts, once for each answer to the questions that the scenario touches. */
#ifndef INTERLOCK_PROBE_RUNNER_H
#define INTERLOCK_PROBE_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
    OUTCOME_BYTES_MAX = 160,
    CASE_STEPS_MAX = 64,
    CASE_LINES_BYTES_MAX = 4096,
    PREDICTIONS_MAX = 16,
    RULES_MAX = 128,
    SWITCHES_MAX = 32,
    VALUES_MAX = 8, /* of a switch */
    PATH_BYTES_MAX = 1024,
    TEXT_BYTES_MAX = 256,
};

/* ---- What build.py writes -------------------------------------------------------------------------------------------------- */

/* Settings are words `switch=value`, empty if no question matters; outcomes are lines, one for each step:
 * [may ]ok[ VALUE], [may ]errno NAME, [may ]signal NAME, kill NAME, dead; and after a tab the rule behind it. */
typedef struct {
    const char *settings;
    const char *outcomes;
} prediction;

typedef struct {
    const char *scenario;
    const char *profile;
    const char *rules;        /* words */
    const char *program;      /* the driver to start, signed for this process */
    const char *settings;     /* for the drop-in library: profile, version, entitlements */
    const char *refusal;      /* why no probe can try it; empty if it can */
    unsigned macos_from;      /* 1102 is 11.2; 0 is any */
    unsigned macos_before;    /* 0 is any */
    const char *steps;        /* lines `ACTOR TAB step` */
    size_t prediction_count;
    prediction predictions[PREDICTIONS_MAX];
} probe_case;

typedef struct {
    const char *id;
    const char *statement;
} probe_rule;

typedef struct {
    const char *name;
    const char *rule;
    const char *values; /* words, the default first */
} probe_switch;

typedef struct {
    const char *text;
    const char *rule;
    const char *switch_name; /* empty: no switch decides it */
    const char *remark;      /* what the probe can say about it */
} probe_question;

extern const probe_case probe_cases[];
extern const size_t probe_case_count;
extern const probe_rule probe_rules[];
extern const size_t probe_rule_count;
extern const probe_switch probe_switches[];
extern const size_t probe_switch_count;
extern const probe_question probe_questions[];
extern const size_t probe_question_count;
extern const char probe_scenarios_digest[];
/* Lines for a shell, ended by NULL; none where nothing is signed. */
extern const char *const probe_sign_commands[];

/* ---- Playing --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t count;
    char lines[CASE_STEPS_MAX][OUTCOME_BYTES_MAX]; /* as an outcome of a prediction, without its rule; or `unknown WHY` */
} seen_outcomes;

/* Play a case with the driver at `program`. */
void play_case(const probe_case *the, const char *program, seen_outcomes *seen_out);

/* ---- Judging --------------------------------------------------------------------------------------------------------------- */

typedef enum { VERDICT_AGREES, VERDICT_DIFFERS, VERDICT_UNKNOWN } verdict_kind;

typedef struct {
    verdict_kind kind;
    bool is_possible[PREDICTIONS_MAX]; /* the predictions that fit what was seen */
    size_t step;                       /* the first that fits none of them */
    char expected[OUTCOME_BYTES_MAX];  /* at that step, by the prediction that fits furthest */
    char rule[TEXT_BYTES_MAX];         /* the rule behind that expectation; empty if it is behind none */
    char why[TEXT_BYTES_MAX];          /* unknown: the reason */
} verdict;

void judge(const probe_case *the, const seen_outcomes *seen, verdict *verdict_out);

/* ---- Reporting ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    char macos[TEXT_BYTES_MAX];   /* 26.1 */
    char build[TEXT_BYTES_MAX];   /* 25B78 */
    char chip[TEXT_BYTES_MAX];    /* Apple M4 */
    char process[TEXT_BYTES_MAX]; /* arm64, x86_64 or rosetta */
    unsigned version;             /* 2601 */
} machine_facts;

/* False if a profile concerns no process of this machine. */
bool machine_describe(machine_facts *facts_out);
bool machine_has_profile(const machine_facts *facts, const char *profile);
/* What a child of this case has in its environment beside ours; empty if nothing. */
void machine_prepare(const probe_case *the);

void report_start(FILE *json, const machine_facts *facts, const char *note);
void report_case(FILE *json, const probe_case *the, const seen_outcomes *seen, const verdict *found);
/* The summary for people on stdout, and the same as lines of JSON; true if nothing differs. */
bool report_end(FILE *json);

/* ---- Words and lines ------------------------------------------------------------------------------------------------------- */

/* The next piece of `*rest_inout` up to `end`; false if there is none. */
bool next_piece(const char **rest_inout, char end, char *piece_out, size_t bytes);
bool has_word(const char *words, const char *word);

#endif
