/* jit.c - the calls of Apple's thread library, and which Mac it is. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "allow_list.h"
#include "api.h"
#include "contract.h"
#include "fault.h"
#include "lock.h"
#include "report.h"
#include "signals.h"
#include "thread.h"

static atomic_bool is_settled;

/* ---- Settings -------------------------------------------------------------------------------------------------------------- */

void il_settle_settings(void) {
    atomic_store(&is_settled, true);
}

/* Take the settings; false, with a line on stderr, if they are not understood. */
static bool configure(const char *settings) {
    const char *bad_word;
    size_t bad_bytes;
    if (il_settings_parse(settings, &il_mac, &bad_word, &bad_bytes)) {
        vm_page_size = il_mac.profile.page_bytes;
        return true;
    }
    struct il_line line = {0};
    il_add(&line, "interlock: settings of libinterlock_apple: ");
    if (bad_bytes == 0) {
        il_add(&line, "longer than ");
        il_add_number(&line, IL_SETTINGS_BYTES_MAX);
        il_add(&line, " bytes");
    } else {
        il_add(&line, "not understood: ");
        il_add_bytes(&line, bad_word, bad_bytes);
    }
    il_say(&line);
    return false;
}

IL_APPLE_API int il_apple_configure(const char *settings) {
    if (atomic_load(&is_settled) || il_list_state() != IL_LIST_OFF) {
        errno = EBUSY;
        return -1;
    }
    if (!configure(settings)) {
        errno = EINVAL;
        return -1;
    }
    il_list_apply_settings();
    return 0;
}

IL_APPLE_API const char *il_apple_rule(void) {
    const char *id = il_self.rule == IL_RULE_NONE ? "" : il_rule(il_self.rule)->id;
    il_self.rule = IL_RULE_NONE;
    return id;
}

/* Before the program's own constructors, as libSystem's initialiser runs. */
__attribute__((constructor)) static void start(void) {
    const char *settings = getenv("INTERLOCK_APPLE");
    il_signals_start();
    il_list_start();
    if (settings != NULL && !configure(settings)) {
        _exit(2);
    }
    if (__sysconf(_SC_PAGESIZE) > (long)il_mac.profile.page_bytes) {
        struct il_line line = {0};
        il_add(&line, "interlock: this machine's pages are larger than those of ");
        il_add(&line, il_mac.profile.name);
        il_say(&line);
        _exit(2);
    }
    il_list_apply_settings();
}

/* ---- The calls ------------------------------------------------------------------------------------------------------------- */

/* A function that this version of macOS lacks is NULL, and the call jumps there. */
static bool is_missing(unsigned since, enum il_rule_id rule) {
    il_settle_settings();
    if (il_mac.profile.macos >= since) {
        return false;
    }
    il_raise(SIGSEGV, rule);
    return true;
}

IL_APPLE_API int pthread_jit_write_protect_supported_np(void) {
    bool exists = !is_missing(IL_SINCE_PTHREAD_JIT_WRITE_PROTECT_SUPPORTED_NP, IL_RULE_T10);
    return exists && il_is_native();
}

IL_APPLE_API void pthread_jit_write_protect_np(int enabled) {
    if (is_missing(IL_SINCE_PTHREAD_JIT_WRITE_PROTECT_NP, IL_RULE_T10) || !il_is_native()) {
        return;
    }
    if (il_holds(IL_RULE_T14) && il_mac.switches[IL_SWITCH_TOGGLE_READ_BACK] == IL_TOGGLE_READ_BACK_FAILS) {
        il_raise(SIGTRAP, IL_RULE_T14);
        return;
    }
    il_thread_settle((uintptr_t)__builtin_frame_address(0));
    if (il_list_state() != IL_LIST_OFF) {
        /* The toggle happens first; RW is undone before the crash. */
        il_thread_toggle(true);
        il_kill(IL_RULE_C9);
    }
    il_thread_toggle(enabled != 0);
}

IL_APPLE_API int pthread_jit_write_with_callback_np(pthread_jit_write_callback_t callback, void *context) {
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    if (is_missing(IL_SINCE_PTHREAD_JIT_WRITE_WITH_CALLBACK_NP, IL_RULE_C24)) {
        return -1;
    }
    if (!il_is_native()) {
        return callback(context);
    }
    il_thread_settle(frame);
    il_thread_enter_callback(frame); /* the switch comes first, then the check: jumping past it gains nothing (C2) */
    if (il_list_state() == IL_LIST_OPEN) {
        il_kill(IL_RULE_F1);
    }
    if (il_list_state() == IL_LIST_FROZEN && !il_list_has(callback)) {
        il_thread_refuse_callback();
        il_list_kill(callback);
    }
    int result = callback(context);
    il_thread_return_from_callback();
    return result;
}

IL_APPLE_API void pthread_jit_write_freeze_callbacks_np(void) {
    if (is_missing(IL_SINCE_PTHREAD_JIT_WRITE_FREEZE_CALLBACKS_NP, IL_RULE_C24) || !il_is_native()) {
        return;
    }
    if (il_holds(IL_RULE_F3) || il_list_state() == IL_LIST_OFF) {
        il_kill(IL_RULE_F3);
    }
    if (il_list_state() == IL_LIST_FROZEN) {
        il_kill(IL_RULE_F2);
    }
    il_list_freeze();
}
