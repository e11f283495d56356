// exceptions.cpp - an exception passes through the call, and leaves the thread in RW state (C4).
#include <cstdio>

#include "machine_code.h"

static unsigned char *region;

static int write_and_throw(void *context) {
    make_function(region, 5);
    throw context;
}

PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(write_and_throw);

int main() {
    region = map_jit(4096);
    try {
        pthread_jit_write_with_callback_np(write_and_throw, region);
    } catch (void *) {
        std::puts("caught");
        std::fflush(stdout);
    }
    sys_icache_invalidate(region, FUNCTION_BYTES);
    return call_function(region);
}
