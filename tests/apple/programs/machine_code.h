/* machine_code.h - a function that returns a number, in the machine's code. */
#ifndef MACHINE_CODE_H
#define MACHINE_CODE_H

#include <interlock/pthread_jit.h>
#include <stdint.h>
#include <string.h>

enum { FUNCTION_BYTES = 8 };

#if defined(__x86_64__)
static inline void make_function(unsigned char *at, uint16_t number) {
    const unsigned char code[FUNCTION_BYTES] = {0xb8, (unsigned char)number, (unsigned char)(number >> 8), 0, 0, 0xc3};
    memcpy(at, code, sizeof code);
}
#else
static inline void make_function(unsigned char *at, uint16_t number) {
    const uint32_t code[] = {0x52800000u | (uint32_t)number << 5, 0xd65f03c0u}; /* mov w0, number; ret */
    memcpy(at, code, sizeof code);
}
#endif

static inline int call_function(const unsigned char *at) {
    return ((int (*)(void))(uintptr_t)at)();
}

static inline unsigned char *map_jit(size_t bytes) {
    int protection = PROT_READ | PROT_WRITE | PROT_EXEC;
    return (unsigned char *)mmap(NULL, bytes, protection, MAP_ANON | MAP_PRIVATE | MAP_JIT, -1, 0);
}

#endif
