/* lists.c - calls a callback of its own or of libraries, as its arguments say:
 *
 *     own            its own listed callback               LIBRARY      dlopen it
 *     NAME           a callback of a loaded library        freeze       pthread_jit_write_freeze_callbacks_np()
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <interlock/pthread_jit.h>

static int own(void *context) {
    (void)context;
    return 1;
}

PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(own);

static pthread_jit_write_callback_t find(const char *name) {
    void *symbol = dlsym(RTLD_DEFAULT, name);
    pthread_jit_write_callback_t callback;
    memcpy(&callback, &symbol, sizeof callback);
    return callback;
}

int main(int count, char **words) {
    for (int i = 1; i < count; i++) {
        const char *word = words[i];
        if (strchr(word, '/') != NULL) {
            printf("loaded %d\n", dlopen(word, RTLD_NOW | RTLD_GLOBAL) != NULL);
        } else if (strcmp(word, "freeze") == 0) {
            pthread_jit_write_freeze_callbacks_np();
        } else {
            pthread_jit_write_callback_t callback = strcmp(word, "own") == 0 ? own : find(word);
            printf("%s %d\n", word, callback == NULL ? -1 : pthread_jit_write_with_callback_np(callback, NULL));
        }
        fflush(stdout);
    }
    return 0;
}
