/* thread.c - see thread.h. */
#include "thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lock.h"
#include "memory_map.h"
#include "report.h"

_Thread_local struct il_thread il_self __attribute__((tls_model("initial-exec")));

static pthread_key_t ending;
static pthread_once_t has_key = PTHREAD_ONCE_INIT;

/* Guarded by the lock; `windows_closed` is also what waiting threads sleep on. */
static uint32_t writers;
static pid_t last_writer;
static _Atomic uint32_t windows_closed;

/* ---- The state ------------------------------------------------------------------------------------------------------------- */

static void set_state_locked(enum il_state state) {
    enum il_state before = il_self.now.state;
    if (state == IL_STATE_RW && before != IL_STATE_RW) {
        last_writer = (pid_t)syscall(SYS_gettid);
        writers++;
    } else if (state != IL_STATE_RW && before == IL_STATE_RW) {
        writers--;
    }
    il_self.now.state = state;
    enum il_mode mode = state == IL_STATE_UNSET ? IL_MODE_NEITHER : IL_MODE_RX;
    mode = writers > 0 ? IL_MODE_RW : mode;
    if (mode != il_map_mode()) {
        il_map_set_mode(mode);
        atomic_fetch_add(&windows_closed, 1);
        syscall(SYS_futex, &windows_closed, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
    }
}

static void set_state(enum il_state state) {
    sigset_t mask;
    if (state != il_self.now.state) {
        il_lock(&mask);
        set_state_locked(state);
        il_unlock(&mask);
    }
}

/* A thread that ends in RW state takes its window with it (C4). */
static void end_thread(void *unused) {
    (void)unused;
    set_state(IL_STATE_RX);
}

static void make_key(void) {
    if (pthread_key_create(&ending, end_thread) != 0) {
        il_fail("no key for the end of threads");
    }
}

static void open_window(enum il_rule_id cause) {
    if (!il_self.has_destructor) {
        pthread_once(&has_key, make_key);
        pthread_setspecific(ending, &il_self);
        il_self.has_destructor = true;
    }
    set_state(IL_STATE_RW);
    il_self.now.cause = cause;
}

static void close_window(enum il_rule_id if_open) {
    bool is_open = il_self.now.windows + il_self.now.callbacks > 0;
    set_state(IL_STATE_RX);
    il_self.now.cause = is_open ? if_open : IL_RULE_T1;
}

enum il_rule_id il_thread_cause(void) {
    if (il_self.now.cause != IL_RULE_NONE) {
        return il_self.now.cause;
    }
    return il_self.is_forked || syscall(SYS_gettid) == getpid() ? IL_RULE_T1 : IL_RULE_T3;
}

/* ---- Toggles and callbacks ------------------------------------------------------------------------------------------------- */

void il_thread_settle(uintptr_t stack_pointer) {
    struct il_thread_state *now = &il_self.now;
    for (uint32_t i = now->callbacks; i > 0 && i <= IL_CALLBACK_FRAMES_MAX && il_self.frames[i - 1] <= stack_pointer; i--) {
        now->callbacks--;
        now->cause = now->state == IL_STATE_RW ? IL_RULE_C4 : now->cause;
    }
}

void il_thread_toggle(bool is_protected) {
    if (is_protected) {
        il_self.now.windows -= il_self.now.windows > 0 ? 1 : 0;
        close_window(IL_RULE_T6);
    } else {
        il_self.now.windows++;
        open_window(IL_RULE_T7);
    }
}

void il_thread_enter_callback(uintptr_t frame) {
    if (il_self.now.callbacks < IL_CALLBACK_FRAMES_MAX) {
        il_self.frames[il_self.now.callbacks] = frame;
    }
    il_self.now.callbacks++;
    open_window(IL_RULE_C5);
}

void il_thread_refuse_callback(void) {
    close_window(IL_RULE_C3);
}

void il_thread_return_from_callback(void) {
    il_self.now.callbacks--;
    close_window(IL_RULE_C3);
}

/* ---- Signal handlers ------------------------------------------------------------------------------------------------------- */

struct il_thread_state il_thread_enter_handler(void) {
    struct il_thread_state before = il_self.now;
    if (before.state == IL_STATE_RW) {
        il_self.now.cause = IL_RULE_T12;
        if (il_mac.switches[IL_SWITCH_HANDLER_STATE] == IL_HANDLER_STATE_RX) {
            set_state(IL_STATE_RX);
        }
    }
    return before;
}

bool il_thread_leave_handler(const struct il_thread_state *before) {
    bool is_undone = il_self.now.state != before->state && il_mac.switches[IL_SWITCH_HANDLER_CHANGE] == IL_HANDLER_CHANGE_UNDONE;
    if (il_mac.switches[IL_SWITCH_HANDLER_CHANGE] == IL_HANDLER_CHANGE_UNDONE) {
        set_state(before->state);
        il_self.now = *before;
    }
    return is_undone;
}

/* ---- Waiting for writers --------------------------------------------------------------------------------------------------- */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static _Noreturn void report_deadlock(pid_t writer) {
    struct il_line line = {0};
    il_add(&line, "interlock: deadlock: thread ");
    il_add_number(&line, (uint64_t)syscall(SYS_gettid));
    il_add(&line, " has waited ");
    il_add_number(&line, il_mac.wait_ms);
    il_add(&line, " ms to execute MAP_JIT memory, while thread ");
    il_add_number(&line, (uint64_t)writer);
    il_add(&line, " may write it.  A Mac lets both go on (T2); here a write window keeps all others from executing, so it must"
                  " not wait for a thread that executes.");
    il_say(&line);
    il_die_by(SIGABRT);
}

void il_thread_wait_for_writers(void) {
    int64_t end_ms = now_ms() + il_mac.wait_ms;
    while (true) { /* until `end_ms` */
        sigset_t mask;
        il_lock(&mask);
        bool is_waiting = writers > 0;
        pid_t writer = last_writer;
        uint32_t seen = windows_closed;
        il_unlock(&mask);
        int64_t left_ms = end_ms - now_ms();
        if (!is_waiting) {
            return;
        }
        if (left_ms <= 0) {
            report_deadlock(writer);
        }
        struct timespec left = {left_ms / 1000, left_ms % 1000 * 1000000};
        syscall(SYS_futex, &windows_closed, FUTEX_WAIT_PRIVATE, seen, &left, NULL, 0);
    }
}

/* ---- fork ------------------------------------------------------------------------------------------------------------------ */

void il_thread_forked(void) {
    sigset_t mask;
    bool is_writer = il_self.now.state == IL_STATE_RW;
    il_self.is_forked = true;
    il_lock(&mask);
    writers = is_writer ? 1 : 0; /* the others are not in this process */
    last_writer = getpid();
    if (il_is_native() && il_mac.switches[IL_SWITCH_FORK_STATE] == IL_FORK_STATE_UNSET) {
        set_state_locked(IL_STATE_UNSET);
        il_self.now = (struct il_thread_state){IL_STATE_UNSET, IL_RULE_K3, 0, 0};
    } else if (il_mac.switches[IL_SWITCH_FORK_STATE] == IL_FORK_STATE_RX) {
        set_state_locked(IL_STATE_RX);
        il_self.now = (struct il_thread_state){IL_STATE_RX, IL_RULE_T1, 0, 0};
    } else {
        set_state_locked(il_self.now.state);
    }
    il_unlock(&mask);
}
