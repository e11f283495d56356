/* report.c - see report.h. */
#include "report.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "signals.h"
#include "thread.h"

void il_add_bytes(struct il_line *line, const char *text, size_t bytes) {
    size_t room = IL_LINE_BYTES_MAX - 1 - line->bytes; /* one byte is left for the newline */
    size_t taken = bytes < room ? bytes : room;
    memcpy(line->text + line->bytes, text, taken);
    line->bytes += taken;
}

void il_add(struct il_line *line, const char *text) {
    il_add_bytes(line, text, strlen(text));
}

static void add_digits(struct il_line *line, uint64_t number, unsigned base) {
    char digits[20];
    size_t start = sizeof digits;
    do {
        digits[--start] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    il_add_bytes(line, digits + start, sizeof digits - start);
}

void il_add_number(struct il_line *line, uint64_t number) {
    add_digits(line, number, 10);
}

void il_add_address(struct il_line *line, uint64_t address) {
    il_add(line, "0x");
    add_digits(line, address, 16);
}

void il_add_rule(struct il_line *line, enum il_rule_id rule) {
    il_add(line, ": ");
    il_add(line, il_rule(rule)->statement);
    il_add(line, " (interlock explain ");
    il_add(line, il_rule(rule)->id);
    il_add(line, ")");
}

void il_say(struct il_line *line) {
    line->text[line->bytes] = '\n';
    (void)!write(STDERR_FILENO, line->text, line->bytes + 1);
}

/* The errors that rules name. */
static const char *error_name(int number) {
    switch (number) {
    case EINVAL:
        return "EINVAL";
    case EACCES:
        return "EACCES";
    case EFAULT:
        return "EFAULT";
    case ENOMEM:
        return "ENOMEM";
    default:
        return "an error";
    }
}

int il_refuse(enum il_rule_id rule, const char *call, int number) {
    const struct il_effect *effect = il_effect(rule, IL_EFFECT_ERRNO);
    int error = number != 0 || effect == NULL ? number : effect->number;
    il_self.rule = rule;
    if (il_mac.is_verbose) {
        struct il_line line = {0};
        il_add(&line, "interlock: ");
        il_add(&line, il_rule(rule)->id);
        il_add(&line, ": ");
        il_add(&line, call);
        il_add(&line, " fails: ");
        il_add(&line, error_name(error));
        il_add_rule(&line, rule);
        il_say(&line);
    }
    errno = error;
    return -1;
}

void il_kill(enum il_rule_id rule) {
    const struct il_effect *effect = il_effect(rule, IL_EFFECT_KILL);
    struct il_line line = {0};
    if (effect == NULL) {
        il_fail("a rule without a kill");
    }
    il_add(&line, effect->message);
    il_say(&line);
    line.bytes = 0;
    il_add(&line, "interlock: ");
    il_add(&line, il_rule(rule)->id);
    il_add_rule(&line, rule);
    il_say(&line);
    il_die_by(effect->number);
}

void il_die_by(int signal_number) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal_number);
    il_kernel_sigaction(signal_number, &action, NULL);
    il_kernel_mask(SIG_UNBLOCK, &only, NULL);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal_number);
    abort(); /* not reached: the default action of each signal used here ends the process */
}

void il_fail(const char *what) {
    struct il_line line = {0};
    il_add(&line, "interlock: internal error of libinterlock_apple: ");
    il_add(&line, what);
    il_say(&line);
    il_die_by(SIGABRT);
}
