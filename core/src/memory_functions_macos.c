/* memory_functions_macos.c - the functions that compilers call on their own, so that the write callback calls nothing but ours.
 *
 * The system's would be reached through pointers in writable memory (__la_symbol_ptr): whoever replaced one would run code of
 * his choice in a thread that can write the region.
 */
#include <stddef.h>
#include <stdint.h>

/* Or the loops below would be compiled to calls of the functions that they are in. */
#define OURS __attribute__((no_builtin, used))

OURS void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}

OURS void *memmove(void *to, const void *from, size_t bytes) {
    if ((uintptr_t)to - (uintptr_t)from >= bytes) return memcpy(to, from, bytes);
    for (size_t i = bytes; i > 0; i--) ((uint8_t *)to)[i - 1] = ((const uint8_t *)from)[i - 1];
    return to;
}

OURS void *memset(void *to, int value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)to)[i] = (uint8_t)value;
    return to;
}

OURS int memcmp(const void *left, const void *right, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        const int difference = ((const uint8_t *)left)[i] - ((const uint8_t *)right)[i];
        if (difference != 0) return difference;
    }
    return 0;
}

OURS size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != 0) length++;
    return length;
}

/* One on AArch64, the other on x86-64. */
OURS void bzero(void *to, size_t bytes) { (void)memset(to, 0, bytes); }

OURS void __bzero(void *to, size_t bytes) { (void)memset(to, 0, bytes); }

OURS void __stack_chk_fail(void) { __builtin_trap(); }
