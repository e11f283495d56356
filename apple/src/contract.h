/* contract.h - which Mac this process runs on, and what its rules say: the tables of interlock.contract, in C. */
#ifndef INTERLOCK_APPLE_CONTRACT_H
#define INTERLOCK_APPLE_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract_names.h"

enum il_hardened { IL_EITHER, IL_NOT_HARDENED, IL_HARDENED };

/* When a rule or an effect applies; the version of macOS is major * 100 + minor, `macos_end` is the first one no longer meant. */
struct il_condition {
    uint8_t chips;
    uint8_t hardened;
    uint16_t entitled;
    uint16_t not_entitled;
    uint16_t macos_start;
    uint16_t macos_end;
};

enum il_effect_kind { IL_EFFECT_ERRNO, IL_EFFECT_SIGNAL, IL_EFFECT_KILL };

struct il_effect {
    uint8_t kind;
    int number; /* errno or signal */
    const char *message;
    struct il_condition when;
};

enum { IL_CONDITIONS_MAX = 2, IL_EFFECTS_MAX = 3, IL_SWITCH_VALUES_MAX = 3 };

struct il_rule {
    const char *id;
    const char *statement;
    uint8_t conditions;
    struct il_condition when[IL_CONDITIONS_MAX];
    uint8_t effects;
    struct il_effect effect[IL_EFFECTS_MAX];
};

struct il_profile {
    const char *name;
    uint8_t chip;
    bool is_hardened;
    uint16_t entitlements;
    uint16_t macos;
    uint32_t page_bytes;
};

struct il_switch {
    const char *name;
    uint8_t values;
    const char *value[IL_SWITCH_VALUES_MAX];
};

/* The settings of this process. */
struct il_mac {
    struct il_profile profile;
    uint8_t switches[IL_SWITCHES];
    uint32_t wait_ms;
    bool is_verbose;
};

enum { IL_WAIT_MS_DEFAULT = 10000, IL_WAIT_MS_MAX = 3600000, IL_SETTINGS_BYTES_MAX = 1024 };

extern struct il_mac il_mac;

const struct il_rule *il_rule(enum il_rule_id id);

/* Whether the rule concerns this process. */
bool il_holds(enum il_rule_id id);

/* The rule's first effect of a kind for this process; NULL if there is none. */
const struct il_effect *il_effect(enum il_rule_id id, enum il_effect_kind kind);

/* `settings` applied to `mac_out`; false if a word is not understood, which is then `bad_word_out` with its length,
 * 0 for a text that is too long. */
bool il_settings_parse(const char *settings, struct il_mac *mac_out, const char **bad_word_out, size_t *bad_bytes_out);

static inline bool il_is_native(void) {
    return il_mac.profile.chip == IL_CHIP_APPLE_SILICON;
}

static inline bool il_is_entitled(unsigned entitlements) {
    return (il_mac.profile.entitlements & entitlements) != 0;
}

/* Whether a page without a signature may not be executed outside MAP_JIT memory. */
static inline bool il_is_enforcing_signatures(void) {
    return il_mac.profile.is_hardened &&
           !il_is_entitled(IL_GRANTS_ALLOW_UNSIGNED_EXECUTABLE_MEMORY | IL_GRANTS_DISABLE_EXECUTABLE_PAGE_PROTECTION);
}

#endif
