/* The Mac that INTERLOCK_APPLE names, as `interlock mac exec --profile NAME` sets it: one profile of the drop-in library. */
#include <stdlib.h>
#include <string.h>

#include "runner.h"

static const char variable[] = "INTERLOCK_APPLE";
static const char profile_word[] = "profile=";
enum { VERSION = 2600 }; /* the contract's own */

bool machine_describe(machine_facts *facts_out) {
    const char *rest = getenv(variable);
    char word[TEXT_BYTES_MAX];
    *facts_out = (machine_facts){.macos = "26.0", .build = "libinterlock_apple", .chip = "Linux", .version = VERSION};
    while (rest != NULL && next_piece(&rest, ' ', word, sizeof word)) {
        if (strncmp(word, profile_word, strlen(profile_word)) == 0) {
            strcpy(facts_out->process, word + strlen(profile_word));
        }
    }
    return facts_out->process[0] != '\0';
}

bool machine_has_profile(const machine_facts *facts, const char *profile) {
    return strcmp(facts->process, profile) == 0;
}

void machine_prepare(const probe_case *the) {
    setenv(variable, the->settings, 1);
}
