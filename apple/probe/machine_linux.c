/* The Mac that INTERLOCK_APPLE names, as `interlock mac exec --profile NAME` sets it: one profile of the drop-in library.
 * Settings that no case decides, such as switches, hold for all: the answers that this Mac gives. */
#include <stdlib.h>
#include <string.h>

#include "runner.h"

static const char variable[] = "INTERLOCK_APPLE";
static const char profile_word[] = "profile=";
static const char *const of_cases[] = {"profile=", "macos=", "entitlements="};
static char of_all[CASE_LINES_BYTES_MAX];
enum { VERSION = 2600 }; /* the contract's own */

static void keep_if_of_all(const char *word) {
    for (size_t i = 0; i < sizeof of_cases / sizeof *of_cases; i++) {
        if (strncmp(word, of_cases[i], strlen(of_cases[i])) == 0) {
            return;
        }
    }
    size_t used = strlen(of_all);
    snprintf(of_all + used, sizeof of_all - used, " %s", word);
}

bool machine_describe(machine_facts *facts_out) {
    const char *rest = getenv(variable);
    char word[TEXT_BYTES_MAX];
    *facts_out = (machine_facts){.macos = "26.0", .build = "libinterlock_apple", .chip = "Linux", .version = VERSION};
    while (rest != NULL && next_piece(&rest, ' ', word, sizeof word)) {
        if (strncmp(word, profile_word, strlen(profile_word)) == 0) {
            strcpy(facts_out->process, word + strlen(profile_word));
        }
        keep_if_of_all(word);
    }
    return facts_out->process[0] != '\0';
}

bool machine_has_profile(const machine_facts *facts, const char *profile) {
    return strcmp(facts->process, profile) == 0;
}

void machine_prepare(const probe_case *the) {
    char settings[2 * CASE_LINES_BYTES_MAX];
    snprintf(settings, sizeof settings, "%s%s", the->settings, of_all);
    setenv(variable, settings, 1);
}
