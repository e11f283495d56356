/* What was seen against what was predicted. */
#include <string.h>

#include "runner.h"

bool next_piece(const char **rest_inout, char end, char *piece_out, size_t bytes) {
    const char *from = *rest_inout;
    if (*from == '\0') {
        return false;
    }
    const char *to = strchr(from, end);
    size_t length = to == NULL ? strlen(from) : (size_t)(to - from);
    size_t kept = length < bytes ? length : bytes - 1;
    memcpy(piece_out, from, kept);
    piece_out[kept] = '\0';
    *rest_inout = from + length + (to == NULL ? 0 : 1);
    return true;
}

bool has_word(const char *words, const char *word) {
    char each[TEXT_BYTES_MAX];
    while (next_piece(&words, ' ', each, sizeof each)) {
        if (strcmp(each, word) == 0) {
            return true;
        }
    }
    return false;
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* The thread library's own trap: with which signal it ends the process is an open question (6). */
static bool is_crash(const char *seen) {
    return has_word("SIGTRAP SIGILL SIGABRT SIGKILL", seen + strlen("signal "));
}

/* An outcome as predicted, `may` and rule taken off. */
static bool fits_exactly(const char *expected, const char *seen) {
    if (strcmp(expected, "ok") == 0 || strcmp(expected, "errno any") == 0) {
        size_t bytes = strcspn(expected, " ");
        return strncmp(expected, seen, bytes) == 0 && (seen[bytes] == ' ' || seen[bytes] == '\0');
    }
    if (strcmp(expected, "kill SIGTRAP") == 0) {
        return starts_with(seen, "signal ") && is_crash(seen);
    }
    if (starts_with(expected, "kill ")) {
        return starts_with(seen, "signal ") && strcmp(expected + strlen("kill "), seen + strlen("signal ")) == 0;
    }
    return strcmp(expected, seen) == 0;
}

/* How a prediction fits: all of it, or up to a step. */
typedef struct {
    size_t step;
    bool is_whole;
    bool is_exact; /* nothing that may also be otherwise was otherwise */
    char expected[OUTCOME_BYTES_MAX];
    char rule[TEXT_BYTES_MAX];
} fit;

static void fit_of(const prediction *the, const seen_outcomes *seen, fit *fit_out) {
    const char *rest = the->outcomes;
    char line[OUTCOME_BYTES_MAX];
    *fit_out = (fit){.is_whole = true, .is_exact = true};
    for (size_t i = 0; i < seen->count && next_piece(&rest, '\n', line, sizeof line); i++) {
        const char *words = line;
        char *tab = strchr(line, '\t');
        bool is_possible = starts_with(line, "may ");
        words += is_possible ? strlen("may ") : 0;
        *tab = '\0';
        if (fits_exactly(words, seen->lines[i])) {
            continue;
        }
        bool is_after_may = !fit_out->is_exact && strcmp(words, "dead") == 0;
        if ((is_possible && starts_with(seen->lines[i], "ok")) || is_after_may) {
            fit_out->is_exact = false; /* it went on where the model ends: nothing is claimed about what comes then */
            continue;
        }
        fit_out->is_whole = false;
        fit_out->step = i;
        strcpy(fit_out->expected, words);
        snprintf(fit_out->rule, TEXT_BYTES_MAX, "%s", tab + 1);
        return;
    }
    fit_out->step = seen->count;
}

static void unknown(verdict *verdict_out, const char *why) {
    verdict_out->kind = VERDICT_UNKNOWN;
    snprintf(verdict_out->why, TEXT_BYTES_MAX, "%s", why);
}

void judge(const probe_case *the, const seen_outcomes *seen, verdict *verdict_out) {
    fit fits[PREDICTIONS_MAX];
    bool is_any_exact = false;
    bool is_any_whole = false;
    size_t furthest = 0;
    *verdict_out = (verdict){.kind = VERDICT_AGREES};
    for (size_t i = 0; i < the->prediction_count; i++) {
        fit_of(&the->predictions[i], seen, &fits[i]);
        is_any_whole |= fits[i].is_whole;
        is_any_exact |= fits[i].is_whole && fits[i].is_exact;
        furthest = fits[i].step > fits[furthest].step ? i : furthest;
    }
    for (size_t i = 0; i < the->prediction_count; i++) {
        verdict_out->is_possible[i] = fits[i].is_whole && (fits[i].is_exact || !is_any_exact);
    }
    if (is_any_whole) {
        return;
    }
    const fit *best = &fits[furthest];
    const char *at = seen->lines[best->step];
    if (starts_with(at, "unknown ")) {
        unknown(verdict_out, at + strlen("unknown "));
        return;
    }
    if (best->step == 0 && strcmp(at, "signal SIGKILL") == 0 && starts_with(best->expected, "ok")) {
        unknown(verdict_out, "killed before main: is it signed, and are its entitlements allowed for this signature?");
        return;
    }
    verdict_out->kind = VERDICT_DIFFERS;
    verdict_out->step = best->step;
    strcpy(verdict_out->expected, best->expected);
    strcpy(verdict_out->rule, best->rule);
}
