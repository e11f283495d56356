/* The thread switch, the callback call, images, threads, processes. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include "driver.h"
#include "image.h"

/* ---- One call each --------------------------------------------------------------------------------------------------------- */

outcome step_toggle(const step *the) {
    pthread_jit_write_protect_np(atoi(the->words[0]));
    return OK;
}

outcome step_supported(const step *the) {
    (void)the;
    return (outcome){.kind = OUTCOME_VALUE, .value = pthread_jit_write_protect_supported_np()};
}

outcome step_freeze(const step *the) {
    (void)the;
    pthread_jit_write_freeze_callbacks_np();
    return OK;
}

outcome step_symbol(const step *the) {
    return (outcome){.kind = OUTCOME_VALUE, .value = dlsym(RTLD_DEFAULT, the->words[0]) != NULL};
}

outcome step_alive(const step *the) {
    (void)the;
    return OK;
}

outcome step_closure(const step *the) {
    (void)the;
    void *libffi = dlopen(system_libffi, RTLD_NOW | RTLD_LOCAL);
    void *symbol = libffi == NULL ? NULL : dlsym(libffi, "ffi_closure_alloc");
    if (symbol == NULL) {
        return (outcome){.kind = OUTCOME_UNKNOWN, .why = "there is no libffi"};
    }
    void *(*allocate)(size_t bytes, void **code_out);
    memcpy(&allocate, &symbol, sizeof allocate);
    enum { CLOSURE_BYTES = 128 };
    void *code;
    return allocate(CLOSURE_BYTES, &code) != NULL ? OK : (outcome){.kind = OUTCOME_ERRNO, .value = ENOMEM};
}

/* ---- Images and their callbacks -------------------------------------------------------------------------------------------- */

static const probe_callback *libraries[LIBRARIES_MAX];
static size_t library_count;

/* What no image lists: thunks, copies, closures.  Its address is on no list, which is all that counts. */
PROBE_CALLBACK(unlisted_callback)

/* Libraries lie beside the driver; a hardened process takes no relative path. */
outcome step_dlopen(const step *the) {
    enum { PATH_BYTES_MAX = 2048 };
    char path[PATH_BYTES_MAX];
    int folder_bytes = (int)(strrchr(driver_path, '/') - driver_path);
    snprintf(path, sizeof path, "%.*s/%s", folder_bytes, driver_path, the->words[0]);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL || library_count == LIBRARIES_MAX) {
        protocol_error("no library", library == NULL ? dlerror() : the->words[0]);
    }
    const probe_callback *image = dlsym(library, the->words[1]);
    if (image == NULL) {
        protocol_error("no table of callbacks", the->words[1]);
    }
    libraries[library_count++] = image;
    return OK;
}

static pthread_jit_write_callback_t callback_in(const probe_callback *image, const char *name) {
    for (; image->name != NULL; image++) {
        if (strcmp(image->name, name) == 0) {
            return image->callback;
        }
    }
    return NULL;
}

static pthread_jit_write_callback_t callback_named(const char *name) {
    pthread_jit_write_callback_t found = NULL;
    for (size_t i = 0; found == NULL && probe_linked_images[i] != NULL; i++) {
        found = callback_in(probe_linked_images[i], name);
    }
    for (size_t i = 0; found == NULL && i < library_count; i++) {
        found = callback_in(libraries[i], name);
    }
    return found != NULL ? found : unlisted_callback;
}

/* A call of pthread_jit_write_with_callback_np that is under way; the first member is what a callback of an image looks at. */
typedef struct {
    probe_context context;
    actor *self;
    unsigned depth;
    jmp_buf escape;
} callback_call;

static _Unwind_Reason_Code stop_at_call(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                                        struct _Unwind_Exception *exception, struct _Unwind_Context *context, void *argument) {
    callback_call *call = argument;
    (void)version, (void)class, (void)exception;
    /* The stack grows down: the first frame above the call's own record is the one that made the call. */
    if ((actions & _UA_END_OF_STACK) != 0 || _Unwind_GetCFA(context) > (uintptr_t)call) {
        longjmp(call->escape, 1);
    }
    return _URC_NO_REASON;
}

static void escape(callback_call *call, bool is_throw) {
    static struct _Unwind_Exception exception;
    if (is_throw) {
        _Unwind_ForcedUnwind(&exception, stop_at_call, call);
        protocol_error("cannot unwind", call->self->name);
    }
    longjmp(call->escape, 1);
}

static int callback_body(void *context) {
    callback_call *call = context;
    int value = 0;
    reply(call->self, OK);
    switch (run_steps(call->self, call->depth + 1, &value)) {
    case END_RETURN: return value;
    case END_ESCAPE: escape(call, value != 0); return 0;
    default: protocol_error("a callback ends with return or escape", call->self->name);
    }
}

outcome step_callback(const step *the, actor *self, unsigned depth) {
    callback_call call = {.context = {.body = callback_body}, .self = self, .depth = depth};
    if (setjmp(call.escape) != 0) {
        return OK;
    }
    int value = pthread_jit_write_with_callback_np(callback_named(the->words[0]), &call);
    return (outcome){.kind = OUTCOME_VALUE, .value = value};
}

/* ---- Threads and processes ------------------------------------------------------------------------------------------------- */

static void *actor_thread(void *context) {
    actor *self = context;
    int value;
    if (run_steps(self, 0, &value) != END_THREAD) {
        protocol_error("a thread ends with end-thread", self->name);
    }
    reply(self, OK);
    actor_remove(self);
    return NULL;
}

outcome step_thread(const step *the) {
    pthread_t thread;
    actor *added = actor_add(the->words[0], the->descriptor);
    if (pthread_create(&thread, NULL, actor_thread, added) != 0 || pthread_detach(thread) != 0) {
        protocol_error("no thread", the->words[0]);
    }
    return OK;
}

outcome step_fork(const step *the) {
    actor *added = actor_add(the->words[0], the->descriptor);
    pid_t process = fork();
    if (process < 0) {
        return (outcome){.kind = OUTCOME_ERRNO, .value = errno};
    }
    if (process == 0) {
        int value;
        actors_keep(added);
        run_steps(added, 0, &value);
        _exit(EXIT_SUCCESS);
    }
    added->process = process;
    close(added->channel);
    added->channel = NO_DESCRIPTOR;
    return OK;
}

/* How a child ended: the sender cannot wait for it. */
outcome step_reap(const step *the) {
    actor *child = actor_find(the->words[0]);
    int status;
    if (child == NULL || waitpid(child->process, &status, 0) < 0) {
        protocol_error("no child", the->words[0]);
    }
    actor_remove(child);
    return WIFSIGNALED(status) ? (outcome){.kind = OUTCOME_SIGNAL, .value = WTERMSIG(status)}
                               : (outcome){.kind = OUTCOME_VALUE, .value = WEXITSTATUS(status)};
}

/* The new program goes on as this actor, and answers when it has reached its main. */
outcome step_exec(const actor *self) {
    enum { FIXED_ARGUMENTS = 3, NUMBER_BYTES_MAX = 12 };
    char channel[NUMBER_BYTES_MAX];
    char name[NAME_BYTES_MAX];
    char *arguments[FIXED_ARGUMENTS + 3 * REGIONS_MAX + 1] = {(char *)(size_t)driver_path, name, channel};
    size_t count = FIXED_ARGUMENTS;
    strcpy(name, self->name);
    snprintf(channel, sizeof channel, "%d", self->channel);
    regions_arguments(arguments, &count);
    actors_keep(self);
    execv(driver_path, arguments);
    return (outcome){.kind = OUTCOME_ERRNO, .value = errno};
}
