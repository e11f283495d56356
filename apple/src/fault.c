/* fault.c - decides what a fault is on a Mac: nothing (it is tried again), a wait for a writer, a signal, a kill.
 *
 * The decisions are those of interlock.contract.process.
 */
#include "fault.h"

#include <errno.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "lock.h"
#include "memory_map.h"
#include "report.h"
#include "signals.h"
#include "thread.h"

enum {
    RETRIES_MAX = 64, /* of one access, which other threads' changes of protection can each make fail once */
    STORE_BYTES = 16,
};
#define NEAR_MAP_FAILED (UINTPTR_MAX - UINT32_MAX) /* rule A9 */

enum answer { RETRY, WAIT, SIGNAL, KILL };

struct verdict {
    enum answer answer;
    enum il_rule_id rule;
    int number;
};

struct fault {
    uintptr_t address;
    enum il_access access;
    bool is_mapped;
};

static struct verdict bus_error(enum il_rule_id rule) {
    return (struct verdict){SIGNAL, rule, SIGBUS};
}

static struct verdict unmapped(uintptr_t address, const struct il_entry *entry) {
    enum il_rule_id rule = entry != NULL && entry->is_lost ? IL_RULE_K1 : IL_RULE_X1;
    return (struct verdict){SIGNAL, address >= NEAR_MAP_FAILED ? IL_RULE_A9 : rule, SIGSEGV};
}

/* A12: a store that left the writable part of its mapping, page by page. */
static bool runs_into_next_page(uintptr_t address, const struct il_entry *entry) {
    const struct il_entry *before = il_map_find(entry->start - 1);
    return address - entry->start < STORE_BYTES && !entry->is_jit && before != NULL && before->mapping == entry->mapping &&
           (before->protection & PROT_WRITE) != 0;
}

/* A read, which only PROT_NONE forbids, or a write: some kernels (qemu-user's) do not say which. */
static struct verdict judge_data(const struct fault *fault, const struct il_entry *entry) {
    if ((entry->protection & PROT_WRITE) != 0) {
        return (struct verdict){RETRY, IL_RULE_X1, SIGBUS};
    }
    if (entry->origin == IL_ORIGIN_OVERLAY) {
        return bus_error(IL_RULE_A13);
    }
    if (entry->is_jit && (entry->protection & PROT_EXEC) != 0 && il_self.now.state == IL_STATE_RW) {
        return bus_error(IL_RULE_A11);
    }
    return bus_error(runs_into_next_page(fault->address, entry) ? IL_RULE_A12 : IL_RULE_X1);
}

/* Under a code-signing monitor a fault of execution kills (X3). */
static struct verdict cannot_execute(enum il_rule_id rule) {
    if (il_holds(IL_RULE_X3) && il_mac.switches[IL_SWITCH_MONITOR] == IL_MONITOR_ON) {
        return (struct verdict){KILL, IL_RULE_X3, 0};
    }
    return bus_error(rule);
}

static struct verdict judge_fetch(const struct il_entry *entry) {
    static const enum il_rule_id unsigned_rules[] = {
        [IL_ORIGIN_ANONYMOUS] = IL_RULE_X2, [IL_ORIGIN_FILE] = IL_RULE_A14, [IL_ORIGIN_OVERLAY] = IL_RULE_A13,
        [IL_ORIGIN_ALIAS] = IL_RULE_P9,     [IL_ORIGIN_OTHER] = IL_RULE_X2,
    };
    if ((entry->protection & PROT_EXEC) == 0) {
        bool is_left_rw = il_is_native() && entry->is_jit && (entry->protection & PROT_WRITE) != 0;
        enum il_rule_id rule = is_left_rw ? IL_RULE_A11 : IL_RULE_X1;
        return cannot_execute(entry->origin == IL_ORIGIN_OVERLAY ? IL_RULE_A13 : rule);
    }
    if ((il_actual_protection(entry) & PROT_EXEC) != 0) {
        return (struct verdict){RETRY, IL_RULE_X1, SIGBUS};
    }
    return (struct verdict){KILL, unsigned_rules[entry->origin], 0};
}

/* RWX MAP_JIT memory. */
static struct verdict judge_switched(const struct fault *fault) {
    enum il_state state = il_self.now.state;
    if (fault->access != IL_ACCESS_EXECUTE) { /* a write: such pages can always be read */
        return state == IL_STATE_RW ? (struct verdict){RETRY, IL_RULE_X1, SIGBUS} : bus_error(il_thread_cause());
    }
    if (state != IL_STATE_RX) {
        return cannot_execute(il_thread_cause());
    }
    if (il_map_mode() == IL_MODE_RW) {
        return (struct verdict){WAIT, IL_RULE_T2, 0};
    }
    if (il_map_mode() == IL_MODE_NEITHER) { /* a forked child's first thread has not set its state, and this is another one */
        il_map_set_mode(IL_MODE_RX);
    }
    return (struct verdict){RETRY, IL_RULE_X1, SIGBUS};
}

static struct verdict judge(const struct fault *fault) {
    const struct il_entry *entry = il_map_find(fault->address);
    if (!fault->is_mapped || (entry != NULL && entry->is_lost)) {
        return unmapped(fault->address, entry);
    }
    if (entry == NULL) { /* not made by mmap */
        return fault->access == IL_ACCESS_EXECUTE ? cannot_execute(IL_RULE_X1) : bus_error(IL_RULE_X1);
    }
    if (il_is_switched(entry)) {
        return judge_switched(fault);
    }
    return fault->access == IL_ACCESS_EXECUTE ? judge_fetch(entry) : judge_data(fault, entry);
}

/* The same access over and over: a protection that is not what the table says, or a handler whose toggle was undone (T12). */
static struct verdict limit_retries(const struct fault *fault, struct verdict verdict) {
    bool is_same = il_self.retried_address == fault->address;
    if (verdict.answer == SIGNAL && is_same && il_self.is_undone) {
        const struct il_entry *entry = il_map_find(fault->address);
        verdict.answer = KILL;
        verdict.rule = entry != NULL && il_is_switched(entry) ? IL_RULE_T12 : verdict.rule;
    }
    il_self.retries = is_same ? il_self.retries + 1 : 0;
    il_self.retried_address = fault->address;
    il_self.is_undone = false;
    if (verdict.answer == RETRY && il_self.retries > RETRIES_MAX) {
        verdict.answer = SIGNAL;
    }
    return verdict;
}

/* ---- Carrying it out ------------------------------------------------------------------------------------------------------- */

static void describe(const struct fault *fault, int number, enum il_rule_id rule) {
    static const char *const accesses[] = {" (read)", " (write)", " (execute)"};
    struct il_line line = {0};
    il_add(&line, "interlock: ");
    il_add(&line, il_rule(rule)->id);
    il_add(&line, number == SIGBUS ? ": SIGBUS at " : number == SIGTRAP ? ": SIGTRAP at " : ": SIGSEGV at ");
    il_add_address(&line, fault->address);
    il_add(&line, accesses[fault->access]);
    il_add_rule(&line, rule);
    il_say(&line);
}

static void signal_program(const struct fault *fault, const struct verdict *verdict, siginfo_t *info, void *context) {
    if (il_holds(IL_RULE_X4) && il_self.now.state == IL_STATE_RW) {
        il_kill(IL_RULE_X4);
    }
    info->si_signo = verdict->number;
    info->si_code = verdict->number == SIGBUS ? BUS_ADRERR : SEGV_MAPERR;
    il_self.rule = verdict->rule;
    if (il_mac.is_verbose) {
        describe(fault, verdict->number, verdict->rule);
    }
    if (il_deliver(verdict->number, info, context)) {
        return;
    }
    if (!il_mac.is_verbose) {
        describe(fault, verdict->number, verdict->rule);
    }
    il_die_by(verdict->number);
}

void il_on_fault(int number, siginfo_t *info, void *context) {
    int error = errno;
    struct fault fault = {
        .address = (uintptr_t)info->si_addr,
        .access = il_fault_access(info, context),
        .is_mapped = info->si_code == SEGV_ACCERR || info->si_code == SEGV_PKUERR,
    };
    if (number == SIGBUS || info->si_code <= 0) { /* the kernel's own SIGBUS, or sent by a process */
        if (!il_deliver(number, info, context) && !(info->si_code <= 0 && il_is_ignored(number))) {
            il_die_by(number);
        }
        errno = error;
        return;
    }
    sigset_t mask;
    il_thread_settle(il_fault_stack_pointer(context));
    il_lock(&mask);
    struct verdict verdict = limit_retries(&fault, judge(&fault));
    il_unlock(&mask);
    switch (verdict.answer) {
    case RETRY:
        break;
    case WAIT:
        il_thread_wait_for_writers();
        break;
    case SIGNAL:
        signal_program(&fault, &verdict, info, context);
        break;
    case KILL:
        if (verdict.number != 0) { /* a signal without end */
            describe(&fault, verdict.number, verdict.rule);
            il_die_by(verdict.number);
        }
        il_kill(verdict.rule);
    }
    errno = error;
}

void il_raise(int number, enum il_rule_id rule) {
    struct fault fault = {.access = IL_ACCESS_EXECUTE};
    struct verdict verdict = {SIGNAL, rule, number};
    siginfo_t info = {.si_signo = number};
    ucontext_t context;
    sigset_t mask;
    getcontext(&context);
    il_kernel_mask(SIG_SETMASK, NULL, &mask);
    signal_program(&fault, &verdict, &info, &context);
    il_kernel_mask(SIG_SETMASK, &mask, NULL);
}
