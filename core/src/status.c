/* status.c - texts of statuses, traps and rules; the detail of a thread's last failure. */
#include "library.h"

#define IL_STATUS(name, number, text) case IL_##name: return text;
#define IL_TRAP(name, number, text) case IL_TRAP_##name: return text;
#define IL_RULE(number, name, text) case IL_RULE_##name: return text;

const char *il_status_text(il_status status) {
    switch (status) {
#include "interlock/statuses.def"
    }
    return "unknown status";
}

const char *il_trap_text(il_trap_kind kind) {
    switch (kind) {
#include "interlock/traps.def"
    }
    return "unknown trap";
}

const char *il_rule_text(il_rule rule) {
    switch (rule) {
#include "interlock/rules.def"
    }
    return NULL;
}

static _Thread_local il_failure last_failure;

il_status il_fail(il_status status, const char *operation, int error_number) {
    last_failure = (il_failure){.operation = operation, .error_number = error_number};
    return status;
}

void il_last_failure(il_failure *failure_out) { *failure_out = last_failure; }
