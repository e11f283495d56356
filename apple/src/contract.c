/* contract.c - the rules' tables, and the text that chooses a Mac. */
#include "contract.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "contract_tables.h"

enum { APPLE_SILICON_SINCE = 1100 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct il_mac il_mac = {
    .profile = {"macos-arm64", IL_CHIP_APPLE_SILICON, false, 0, 2600, 16384},
    .wait_ms = IL_WAIT_MS_DEFAULT,
};

/* ---- Rules ----------------------------------------------------------------------------------------------------------------- */

static bool condition_holds(const struct il_condition *when) {
    const struct il_profile *profile = &il_mac.profile;
    unsigned hardened = profile->is_hardened ? IL_HARDENED : IL_NOT_HARDENED;
    return (when->chips & profile->chip) != 0 && (when->hardened == IL_EITHER || when->hardened == hardened) &&
           (profile->entitlements & when->entitled) == when->entitled && (profile->entitlements & when->not_entitled) == 0 &&
           when->macos_start <= profile->macos && profile->macos < when->macos_end;
}

const struct il_rule *il_rule(enum il_rule_id id) {
    return &rules[id];
}

bool il_holds(enum il_rule_id id) {
    const struct il_rule *rule = &rules[id];
    for (unsigned i = 0; i < rule->conditions; i++) {
        if (condition_holds(&rule->when[i])) {
            return true;
        }
    }
    return false;
}

const struct il_effect *il_effect(enum il_rule_id id, enum il_effect_kind kind) {
    const struct il_rule *rule = &rules[id];
    for (unsigned i = 0; i < rule->effects; i++) {
        if (rule->effect[i].kind == kind && condition_holds(&rule->effect[i].when)) {
            return &rule->effect[i];
        }
    }
    return NULL;
}

/* ---- Settings -------------------------------------------------------------------------------------------------------------- */

/* Part of the settings' text. */
struct text {
    const char *start;
    size_t bytes;
};

static bool is_text(struct text text, const char *wanted) {
    return text.bytes == strlen(wanted) && memcmp(text.start, wanted, text.bytes) == 0;
}

/* What stands before the first `separator`; `rest_out` is what follows it. */
static struct text split(struct text text, char separator, struct text *rest_out) {
    const char *at = memchr(text.start, separator, text.bytes);
    size_t bytes = at == NULL ? text.bytes : (size_t)(at - text.start);
    size_t skipped = at == NULL ? bytes : bytes + 1;
    *rest_out = (struct text){text.start + skipped, text.bytes - skipped};
    return (struct text){text.start, bytes};
}

/* A decimal number up to `max`, which is less than 10 ^ 8. */
static bool parse_number(struct text text, uint32_t max, uint32_t *number_out) {
    uint32_t number = 0;
    if (text.bytes == 0 || text.bytes > 8) {
        return false;
    }
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.start[i] < '0' || text.start[i] > '9') {
            return false;
        }
        number = number * 10 + (uint32_t)(text.start[i] - '0');
    }
    *number_out = number;
    return number <= max;
}

static bool set_profile(struct text value, struct il_mac *mac_out) {
    for (size_t i = 0; i < COUNT(profiles); i++) {
        if (is_text(value, profiles[i].name)) {
            mac_out->profile = profiles[i];
            return true;
        }
    }
    return false;
}

static bool set_macos(struct text value, struct il_mac *mac_out) {
    struct text minor;
    struct text major = split(value, '.', &minor);
    uint32_t numbers[2] = {0, 0};
    if (!parse_number(major, 99, &numbers[0]) || (minor.bytes > 0 && !parse_number(minor, 99, &numbers[1]))) {
        return false;
    }
    mac_out->profile.macos = (uint16_t)(numbers[0] * 100 + numbers[1]);
    return true;
}

static bool set_entitlements(struct text value, struct il_mac *mac_out) {
    mac_out->profile.entitlements = 0;
    while (value.bytes > 0) {
        struct text name = split(value, ',', &value);
        size_t i = 0;
        while (i < COUNT(entitlements) && !is_text(name, entitlements[i])) {
            i++;
        }
        if (i == COUNT(entitlements)) {
            return false;
        }
        mac_out->profile.entitlements |= (uint16_t)(1U << i);
    }
    return true;
}

static bool set_switch(struct text name, struct text value, struct il_mac *mac_out) {
    for (size_t i = 0; i < COUNT(switches); i++) {
        for (uint8_t j = 0; is_text(name, switches[i].name) && j < switches[i].values; j++) {
            if (is_text(value, switches[i].value[j])) {
                mac_out->switches[i] = j;
                return true;
            }
        }
    }
    return false;
}

static bool set_word(struct text word, struct il_mac *mac_out) {
    struct text value;
    struct text key = split(word, '=', &value);
    uint32_t number = 0;
    if (is_text(key, "profile")) {
        return set_profile(value, mac_out);
    }
    if (is_text(key, "macos")) {
        return set_macos(value, mac_out);
    }
    if (is_text(key, "entitlements")) {
        return set_entitlements(value, mac_out);
    }
    if (is_text(key, "wait-ms")) {
        return parse_number(value, IL_WAIT_MS_MAX, &mac_out->wait_ms);
    }
    if (is_text(key, "verbose") && parse_number(value, 1, &number)) {
        mac_out->is_verbose = number == 1;
        return true;
    }
    return set_switch(key, value, mac_out);
}

bool il_settings_parse(const char *settings, struct il_mac *mac_out, const char **bad_word_out, size_t *bad_bytes_out) {
    struct text rest = {settings, strnlen(settings, IL_SETTINGS_BYTES_MAX + 1)};
    struct il_mac mac = *mac_out;
    if (rest.bytes > IL_SETTINGS_BYTES_MAX) {
        *bad_word_out = settings;
        *bad_bytes_out = 0;
        return false;
    }
    while (rest.bytes > 0) {
        struct text word = split(rest, ' ', &rest);
        if (word.bytes > 0 && !set_word(word, &mac)) {
            *bad_word_out = word.start;
            *bad_bytes_out = word.bytes;
            return false;
        }
    }
    if (mac.profile.chip != IL_CHIP_INTEL && mac.profile.macos < APPLE_SILICON_SINCE) {
        *bad_word_out = settings; /* Apple silicon starts with macOS 11 */
        *bad_bytes_out = strlen(settings);
        return false;
    }
    *mac_out = mac;
    return true;
}
