/* list_library.c - a library with a list: the callback NAME, with FILL behind 2,045 others. */
#include <interlock/pthread_jit.h>

int NAME(void *context);

int NAME(void *context) {
    (void)context;
    return 2;
}

#ifdef FILL
#define TIMES_2(x) x, x
#define TIMES_8(x) TIMES_2(x), TIMES_2(x), TIMES_2(x), TIMES_2(x)
#define TIMES_64(x) TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x)
#define TIMES_512(x) TIMES_64(x), TIMES_64(x), TIMES_64(x), TIMES_64(x), TIMES_64(x), TIMES_64(x), TIMES_64(x), TIMES_64(x)
#define TIMES_2045(x) \
    TIMES_512(x), TIMES_512(x), TIMES_512(x), TIMES_64(x), TIMES_64(x), TIMES_64(x), TIMES_64(x), TIMES_64(x), TIMES_64(x), \
        TIMES_64(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_2(x), TIMES_2(x), x

static int filler(void *context) {
    (void)context;
    return 0;
}

PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(TIMES_2045(filler), NAME);
#else
PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(NAME);
#endif
