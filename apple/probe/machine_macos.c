/* This Mac, by sysctl. */
#include <stdlib.h>
#include <string.h>
#include <sys/sysctl.h>
#include <sys/utsname.h>

#include "runner.h"

static bool text_of(const char *name, char text_out[TEXT_BYTES_MAX]) {
    size_t bytes = TEXT_BYTES_MAX - 1;
    memset(text_out, 0, TEXT_BYTES_MAX);
    return sysctlbyname(name, text_out, &bytes, NULL, 0) == 0;
}

static bool is_translated(void) {
    int translated = 0;
    size_t bytes = sizeof translated;
    return sysctlbyname("sysctl.proc_translated", &translated, &bytes, NULL, 0) == 0 && translated == 1;
}

bool machine_describe(machine_facts *facts_out) {
    struct utsname names;
    if (!text_of("kern.osproductversion", facts_out->macos) || !text_of("kern.osversion", facts_out->build) ||
        !text_of("machdep.cpu.brand_string", facts_out->chip) || uname(&names) != 0) {
        return false;
    }
    char *minor;
    unsigned long major = strtoul(facts_out->macos, &minor, 10);
    facts_out->version = (unsigned)major * 100 + (*minor == '.' ? (unsigned)strtoul(minor + 1, NULL, 10) : 0);
    strcpy(facts_out->process, is_translated() ? "rosetta" : names.machine);
    return true;
}

bool machine_has_profile(const machine_facts *facts, const char *profile) {
    static const struct {
        const char *process;
        const char *profile; /* the start of its name */
    } known[] = {{"arm64", "macos-arm64"}, {"x86_64", "macos-x86_64"}, {"rosetta", "rosetta"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(facts->process, known[i].process) == 0) {
            return strncmp(profile, known[i].profile, strlen(known[i].profile)) == 0;
        }
    }
    return false;
}

void machine_prepare(const probe_case *the) {
    (void)the; /* what the process is stands in its signature */
}
