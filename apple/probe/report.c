/* What all cases together say about each rule and each open question; for people, and as lines of JSON. */
#include <string.h>
#include <time.h>

#include "runner.h"

enum { DIFFERENCES_MAX = 64, DIFFERENCE_BYTES_MAX = 700 };

typedef struct {
    unsigned counts[VERDICT_UNKNOWN + 1];
    char why[TEXT_BYTES_MAX]; /* the first reason why a case is unknown */
} rule_tally;

typedef struct {
    unsigned cases;
    bool is_excluded[VALUES_MAX]; /* by a case that does not fit the value */
} switch_tally;

static rule_tally rule_tallies[RULES_MAX];
static switch_tally switch_tallies[SWITCHES_MAX];
static char differences[DIFFERENCES_MAX][DIFFERENCE_BYTES_MAX];
static size_t difference_count;
static unsigned case_counts[VERDICT_UNKNOWN + 1];
static char crash_signals[TEXT_BYTES_MAX];

static const char *const verdict_names[] = {"agrees", "differs", "unknown"};

/* ---- JSON ------------------------------------------------------------------------------------------------------------------ */

static void json_string(FILE *json, const char *text) {
    fputc('"', json);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', json);
        }
        fputc((unsigned char)*text < ' ' ? ' ' : *text, json);
    }
    fputc('"', json);
}

static void json_field(FILE *json, const char *before, const char *name, const char *text) {
    fprintf(json, "%s\"%s\": ", before, name);
    json_string(json, text);
}

static void json_words(FILE *json, const char *name, const char *words) {
    char word[TEXT_BYTES_MAX];
    const char *before = "";
    fprintf(json, ", \"%s\": [", name);
    while (next_piece(&words, ' ', word, sizeof word)) {
        fputs(before, json);
        json_string(json, word);
        before = ", ";
    }
    fputc(']', json);
}

void report_start(FILE *json, const machine_facts *facts, const char *note) {
    char date[TEXT_BYTES_MAX];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&now));
    printf("Apple's contract on macOS %s (%s), %s, %s process\n\n", facts->macos, facts->build, facts->chip, facts->process);
    fputs("{\"probe\": 1", json);
    json_field(json, ", ", "macos", facts->macos);
    json_field(json, ", ", "build", facts->build);
    json_field(json, ", ", "chip", facts->chip);
    json_field(json, ", ", "process", facts->process);
    json_field(json, ", ", "date", date);
    json_field(json, ", ", "scenarios", probe_scenarios_digest);
    json_field(json, ", ", "note", note);
    fputs("}\n", json);
}

/* ---- One case -------------------------------------------------------------------------------------------------------------- */

static void step_line(const probe_case *the, size_t index, char line_out[TEXT_BYTES_MAX]) {
    const char *rest = the->steps;
    line_out[0] = '\0';
    for (size_t i = 0; i <= index && next_piece(&rest, '\n', line_out, TEXT_BYTES_MAX); i++) {
    }
    char *tab = strchr(line_out, '\t');
    if (tab != NULL) {
        *tab = ' ';
    }
}

static void tally_rules(const probe_case *the, const verdict *found) {
    for (size_t i = 0; i < probe_rule_count; i++) {
        /* A difference is one of the rule behind the step, where one is. */
        bool is_behind = found->kind == VERDICT_DIFFERS && found->rule[0] != '\0'
                             ? strcmp(found->rule, probe_rules[i].id) == 0
                             : has_word(the->rules, probe_rules[i].id);
        if (!is_behind) {
            continue;
        }
        rule_tallies[i].counts[found->kind]++;
        if (found->kind == VERDICT_UNKNOWN && rule_tallies[i].why[0] == '\0') {
            strcpy(rule_tallies[i].why, found->why);
        }
    }
}

/* Whether a prediction that fits was made for the value of a switch; `is_asked_out`: whether any was made for some value. */
static bool fits_value(const probe_case *the, const verdict *found, const char *setting, bool *is_asked_out) {
    bool is_fitting = false;
    size_t name_bytes = strcspn(setting, "=") + 1;
    for (size_t i = 0; i < the->prediction_count; i++) {
        const char *rest = the->predictions[i].settings;
        char word[TEXT_BYTES_MAX];
        while (next_piece(&rest, ' ', word, sizeof word)) {
            *is_asked_out |= strncmp(word, setting, name_bytes) == 0;
            is_fitting |= found->is_possible[i] && strcmp(word, setting) == 0;
        }
    }
    return is_fitting;
}

static void tally_switches(const probe_case *the, const verdict *found) {
    for (size_t i = 0; i < probe_switch_count; i++) {
        const char *values = probe_switches[i].values;
        char value[TEXT_BYTES_MAX];
        bool is_asked = false;
        for (size_t k = 0; next_piece(&values, ' ', value, sizeof value); k++) {
            char setting[2 * TEXT_BYTES_MAX];
            snprintf(setting, sizeof setting, "%s=%s", probe_switches[i].name, value);
            bool is_fitting = fits_value(the, found, setting, &is_asked);
            switch_tallies[i].is_excluded[k] |= is_asked && !is_fitting;
        }
        switch_tallies[i].cases += is_asked;
    }
}

/* Question 6: the signal of the thread library's crashes. */
static void note_crash(const probe_case *the, const seen_outcomes *seen) {
    const char *rest = the->predictions[0].outcomes;
    char line[OUTCOME_BYTES_MAX];
    for (size_t i = 0; i < seen->count && next_piece(&rest, '\n', line, sizeof line); i++) {
        const char *name = seen->lines[i] + strlen("signal ");
        if (strncmp(line, "kill SIGTRAP", strlen("kill SIGTRAP")) == 0 && strncmp(seen->lines[i], "signal ", 7) == 0 &&
            !has_word(crash_signals, name)) {
            size_t used = strlen(crash_signals);
            snprintf(crash_signals + used, sizeof crash_signals - used, "%s%s", used > 0 ? " " : "", name);
        }
    }
}

void report_case(FILE *json, const probe_case *the, const seen_outcomes *seen, const verdict *found) {
    case_counts[found->kind]++;
    tally_rules(the, found);
    fputc('{', json);
    json_field(json, "", "scenario", the->scenario);
    json_field(json, ", ", "profile", the->profile);
    json_words(json, "rules", the->rules);
    json_field(json, ", ", "verdict", verdict_names[found->kind]);
    if (found->kind == VERDICT_AGREES) {
        tally_switches(the, found);
        note_crash(the, seen);
    } else if (found->kind == VERDICT_UNKNOWN) {
        json_field(json, ", ", "why", found->why);
    } else {
        char line[TEXT_BYTES_MAX];
        step_line(the, found->step, line);
        json_field(json, ", ", "step", line);
        json_field(json, ", ", "expected", found->expected);
        json_field(json, ", ", "rule", found->rule);
        json_field(json, ", ", "seen", seen->lines[found->step]);
        if (difference_count < DIFFERENCES_MAX) {
            snprintf(differences[difference_count++], DIFFERENCE_BYTES_MAX, "%-5s %s (%s): %s: expected %s, seen %s", found->rule,
                     the->scenario, the->profile, line, found->expected, seen->lines[found->step]);
        }
    }
    fputs("}\n", json);
}

/* ---- The end --------------------------------------------------------------------------------------------------------------- */

static verdict_kind rule_verdict(const rule_tally *tally) {
    if (tally->counts[VERDICT_DIFFERS] > 0) {
        return VERDICT_DIFFERS;
    }
    return tally->counts[VERDICT_AGREES] > 0 ? VERDICT_AGREES : VERDICT_UNKNOWN;
}

static void report_rules(FILE *json) {
    printf("Rule  Verdict  Agrees Differs Unknown\n");
    for (size_t i = 0; i < probe_rule_count; i++) {
        const rule_tally *tally = &rule_tallies[i];
        verdict_kind kind = rule_verdict(tally);
        const unsigned *counts = tally->counts;
        bool is_played = counts[VERDICT_AGREES] + counts[VERDICT_DIFFERS] + counts[VERDICT_UNKNOWN] > 0;
        const char *why = is_played ? tally->why : "no scenario of this process shows it";
        printf("%-5s %-8s %6u %7u %7u  %s\n", probe_rules[i].id, verdict_names[kind], counts[VERDICT_AGREES],
               counts[VERDICT_DIFFERS], counts[VERDICT_UNKNOWN], kind == VERDICT_UNKNOWN ? why : probe_rules[i].statement);
        fputc('{', json);
        json_field(json, "", "rule", probe_rules[i].id);
        json_field(json, ", ", "verdict", verdict_names[kind]);
        fprintf(json, ", \"agrees\": %u, \"differs\": %u, \"unknown\": %u}\n", counts[VERDICT_AGREES], counts[VERDICT_DIFFERS],
                counts[VERDICT_UNKNOWN]);
    }
}

/* The values that fit every case; empty if no case asked. */
static void switch_answer(size_t index, char words_out[TEXT_BYTES_MAX]) {
    const char *values = probe_switches[index].values;
    char value[TEXT_BYTES_MAX];
    words_out[0] = '\0';
    for (size_t k = 0; switch_tallies[index].cases > 0 && next_piece(&values, ' ', value, sizeof value); k++) {
        if (!switch_tallies[index].is_excluded[k]) {
            size_t used = strlen(words_out);
            snprintf(words_out + used, TEXT_BYTES_MAX - used, "%s%s", used > 0 ? " " : "", value);
        }
    }
}

static void report_switches(FILE *json) {
    printf("\nSwitches of the model\n");
    for (size_t i = 0; i < probe_switch_count; i++) {
        char answer[TEXT_BYTES_MAX];
        switch_answer(i, answer);
        bool is_contradiction = switch_tallies[i].cases > 0 && answer[0] == '\0';
        const char *otherwise = is_contradiction ? "contradiction: no value fits every scenario" : "unknown";
        printf("%-5s %-26s %s\n", probe_switches[i].rule, probe_switches[i].name,
               answer[0] != '\0' ? answer : otherwise);
        fputc('{', json);
        json_field(json, "", "switch", probe_switches[i].name);
        json_words(json, "values", answer);
        fprintf(json, ", \"cases\": %u}\n", switch_tallies[i].cases);
    }
}

static void question_answer(const probe_question *the, char answer_out[TEXT_BYTES_MAX]) {
    for (size_t i = 0; i < probe_switch_count; i++) {
        if (strcmp(probe_switches[i].name, the->switch_name) == 0) {
            switch_answer(i, answer_out);
            return;
        }
    }
    snprintf(answer_out, TEXT_BYTES_MAX, "%s", strcmp(the->rule, "C8") == 0 ? crash_signals : "");
}

static void report_questions(FILE *json) {
    printf("\nOpen questions\n");
    for (size_t i = 0; i < probe_question_count; i++) {
        const probe_question *the = &probe_questions[i];
        char answer[TEXT_BYTES_MAX];
        question_answer(the, answer);
        printf("%zu. %s (%s)\n   %s%s%s%s\n", i + 1, the->text, the->rule, the->switch_name, the->switch_name[0] ? ": " : "",
               answer[0] ? answer : "unknown", the->remark);
        fprintf(json, "{\"question\": %zu", i + 1);
        json_words(json, "answer", answer);
        fputs("}\n", json);
    }
}

bool report_end(FILE *json) {
    report_rules(json);
    report_switches(json);
    report_questions(json);
    unsigned total = 0;
    for (size_t i = 0; i <= VERDICT_UNKNOWN; i++) {
        total += case_counts[i];
    }
    printf("\n%u cases: %u agree, %u differ, %u are unknown\n", total, case_counts[VERDICT_AGREES], case_counts[VERDICT_DIFFERS],
           case_counts[VERDICT_UNKNOWN]);
    for (size_t i = 0; i < difference_count; i++) {
        printf("DIFFERS %s\n", differences[i]);
    }
    fprintf(json, "{\"end\": %u}\n", total);
    return case_counts[VERDICT_DIFFERS] == 0;
}
