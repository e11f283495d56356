/* report.h - what the library says, and how it ends the process.  Everything here may be called in a signal handler. */
#ifndef INTERLOCK_APPLE_REPORT_H
#define INTERLOCK_APPLE_REPORT_H

#include "contract.h"

enum { IL_LINE_BYTES_MAX = 512 };

/* A line for stderr, put together without stdio.  What does not fit is cut off. */
struct il_line {
    size_t bytes;
    char text[IL_LINE_BYTES_MAX];
};

void il_add(struct il_line *line, const char *text);
void il_add_bytes(struct il_line *line, const char *text, size_t bytes);
void il_add_number(struct il_line *line, uint64_t number);
void il_add_address(struct il_line *line, uint64_t address);

/* `: STATEMENT (interlock explain ID)` */
void il_add_rule(struct il_line *line, enum il_rule_id rule);

/* Write the line and a newline to stderr. */
void il_say(struct il_line *line);

/* The call fails: errno as the rule says, or `number` if that is not 0.  Always -1. */
int il_refuse(enum il_rule_id rule, const char *call, int number);

/* End the process as the rule says: Apple's message, our line, the signal with its default action. */
_Noreturn void il_kill(enum il_rule_id rule);

/* End the process by a signal's default action. */
_Noreturn void il_die_by(int signal_number);

/* Something failed that cannot: the process ends rather than go on without protection. */
_Noreturn void il_fail(const char *what);

#endif
