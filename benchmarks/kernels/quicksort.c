/* quicksort.c - fills and sorts an array of 32-bit integers in memory.  run(count) returns a checksum of the result. */
#include <stdint.h>

enum { COUNT_MAX = 1 << 20 };
static int32_t items[COUNT_MAX];

static void sort(int32_t *low, int32_t *high) {
    while (high - low > 12) {
        int32_t pivot = low[(high - low) / 2], *left = low - 1, *right = high;
        for (;;) {
            do left++;
            while (*left < pivot);
            do right--;
            while (*right > pivot);
            if (left >= right) break;
            int32_t held = *left;
            *left = *right;
            *right = held;
        }
        sort(low, right + 1);
        low = right + 1;
    }
    for (int32_t *at = low + 1; at < high; at++) {
        int32_t value = *at, *to = at;
        for (; to > low && to[-1] > value; to--) *to = to[-1];
        *to = value;
    }
}

__attribute__((visibility("default"))) int64_t run(int32_t count) {
    if (count < 1 || count > COUNT_MAX) return -1;
    uint32_t random = 7;
    for (int32_t i = 0; i < count; i++) items[i] = (int32_t)(random = random * 1664525u + 1013904223u);
    sort(items, items + count);
    uint64_t sum = 0;
    for (int32_t i = 0; i < count; i++) sum = sum * 31 + (uint32_t)items[i];
    return (int64_t)sum;
}
