/* sort.c - four sorts over integers, records and strings, checked against each other and against the C library.
 *
 *   sort [COUNT [SEED]]      sorts pseudo-random data and prints a checksum of each result
 *   sort -l [-r] [FILE]      sorts the lines of a file (or of standard input) and prints them
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_MAX = 1000000, INSERTION_MAX = 12, NAME_BYTES = 16 };

typedef int (*compare)(const void *left, const void *right);
typedef void (*sorter)(void *items, size_t count, size_t item_bytes, compare order);

typedef struct record {
    uint32_t key;
    float weight;
    char name[NAME_BYTES];
    uint32_t index; /* position before sorting: shows which sorts are stable */
} record;

/* ---- Byte-wise helpers ----------------------------------------------------------------------------------------------------- */
static void swap_items(char *left, char *right, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        char held = left[i];
        left[i] = right[i];
        right[i] = held;
    }
}

static uint64_t checksum(const void *data, size_t bytes) {
    const uint8_t *at = data;
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash;
}

/* ---- The sorts ----------------------------------------------------------------------------------------------------------------- */
static void insertion_sort(void *items, size_t count, size_t bytes, compare order) {
    char *base = items;
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && order(base + (j - 1) * bytes, base + j * bytes) > 0; j--)
            swap_items(base + (j - 1) * bytes, base + j * bytes, bytes);
}

static char *median_of_three(char *a, char *b, char *c, compare order) {
    if (order(a, b) < 0) return order(b, c) < 0 ? b : order(a, c) < 0 ? c : a;
    return order(a, c) < 0 ? a : order(b, c) < 0 ? c : b;
}

static void quick_sort(void *items, size_t count, size_t bytes, compare order) {
    char *base = items;
    while (count > INSERTION_MAX) {
        char *middle = median_of_three(base, base + count / 2 * bytes, base + (count - 1) * bytes, order);
        swap_items(base, middle, bytes);
        size_t low = 0, high = count;
        for (;;) {
            do low++;
            while (low < count && order(base + low * bytes, base) < 0);
            do high--;
            while (order(base, base + high * bytes) < 0);
            if (low >= high) break;
            swap_items(base + low * bytes, base + high * bytes, bytes);
        }
        swap_items(base, base + high * bytes, bytes);
        /* recursion into the smaller part keeps the depth logarithmic */
        size_t right = count - high - 1;
        if (high < right) {
            quick_sort(base, high, bytes, order);
            base += (high + 1) * bytes;
            count = right;
        } else {
            quick_sort(base + (high + 1) * bytes, right, bytes, order);
            count = high;
        }
    }
    insertion_sort(base, count, bytes, order);
}

static void sift_down(char *base, size_t root, size_t count, size_t bytes, compare order) {
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && order(base + child * bytes, base + (child + 1) * bytes) < 0) child++;
        if (order(base + root * bytes, base + child * bytes) >= 0) return;
        swap_items(base + root * bytes, base + child * bytes, bytes);
    }
}

static void heap_sort(void *items, size_t count, size_t bytes, compare order) {
    char *base = items;
    for (size_t i = count / 2; i-- > 0;) sift_down(base, i, count, bytes, order);
    for (size_t i = count; i-- > 1;) {
        swap_items(base, base + i * bytes, bytes);
        sift_down(base, 0, i, bytes, order);
    }
}

static void merge_sort(void *items, size_t count, size_t bytes, compare order) {
    char *from = items, *spare = malloc(count * bytes + 1), *to = spare;
    if (spare == NULL) exit(3);
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t left = start, left_end = start + width < count ? start + width : count;
            size_t right = left_end, right_end = start + 2 * width < count ? start + 2 * width : count;
            for (size_t out = start; out < right_end; out++) {
                bool is_left = left < left_end && (right == right_end || order(from + left * bytes, from + right * bytes) <= 0);
                memcpy(to + out * bytes, from + (is_left ? left++ : right++) * bytes, bytes);
            }
        }
        char *held = from;
        from = to;
        to = held;
    }
    if (from != (char *)items) memcpy(items, from, count * bytes);
    free(spare);
}

static void library_sort(void *items, size_t count, size_t bytes, compare order) { qsort(items, count, bytes, order); }

static const struct {
    const char *name;
    sorter sort;
    bool is_stable;
} SORTS[] = {{"quick", quick_sort, false}, {"heap", heap_sort, false}, {"merge", merge_sort, true}, {"library", library_sort, false}};
enum { SORT_COUNT = sizeof SORTS / sizeof SORTS[0] };

/* ---- Orders ------------------------------------------------------------------------------------------------------------------- */
static int by_integer(const void *left, const void *right) {
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

static int by_double(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static int by_key(const void *left, const void *right) {
    const record *a = left, *b = right;
    return (a->key > b->key) - (a->key < b->key);
}

static int by_name_then_weight(const void *left, const void *right) {
    const record *a = left, *b = right;
    int names = strcmp(a->name, b->name);
    if (names != 0) return names;
    if (a->weight != b->weight) return a->weight < b->weight ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

static int by_text(const void *left, const void *right) { return strcmp(*(char *const *)left, *(char *const *)right); }
static int by_text_backwards(const void *left, const void *right) { return by_text(right, left); }

/* ---- Data ------------------------------------------------------------------------------------------------------------------------ */
static uint64_t random_state;

static uint32_t random_u32(void) { /* splitmix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 16);
}

static void fill_records(record *records, size_t count) {
    static const char *syllables[] = {"ka", "lo", "mi", "ren", "tu", "vas", "xe", "zor"};
    memset(records, 0, count * sizeof *records);
    for (size_t i = 0; i < count; i++) {
        records[i].key = random_u32() % (uint32_t)(count / 4 + 1);
        records[i].weight = (float)(random_u32() % 100) / 8;
        records[i].index = (uint32_t)i;
        for (uint32_t part = 0, parts = 1 + random_u32() % 4; part < parts; part++)
            strcat(records[i].name, syllables[random_u32() % 8]);
    }
}

/* ---- Runs ---------------------------------------------------------------------------------------------------------------------- */
static int failures;

static void verify(const char *what, const char *data, size_t count, size_t bytes, compare order) {
    for (size_t i = 1; i < count; i++) {
        if (order(data + (i - 1) * bytes, data + i * bytes) <= 0) continue;
        printf("%s: item %zu is out of order\n", what, i);
        failures++;
        return;
    }
}

static void run_sorts(const char *what, const void *data, size_t count, size_t bytes, compare order, bool is_total) {
    char *work = malloc(count * bytes + 1);
    if (work == NULL) exit(3);
    uint64_t first = 0;
    for (int i = 0; i < SORT_COUNT; i++) {
        memcpy(work, data, count * bytes);
        SORTS[i].sort(work, count, bytes, order);
        verify(what, work, count, bytes, order);
        uint64_t sum = checksum(work, count * bytes);
        if (i == 0) first = sum;
        else if (is_total && sum != first) failures++;
        if (is_total || SORTS[i].is_stable) printf("%-10s %-8s %016llx\n", what, SORTS[i].name, (unsigned long long)sum);
    }
    free(work);
}

static void run_random(size_t count) {
    int32_t *integers = malloc(count * sizeof *integers + 1);
    double *doubles = malloc(count * sizeof *doubles + 1);
    record *records = malloc(count * sizeof *records + 1);
    if (integers == NULL || doubles == NULL || records == NULL) exit(3);
    for (size_t i = 0; i < count; i++) integers[i] = (int32_t)random_u32();
    for (size_t i = 0; i < count; i++) doubles[i] = (double)(int32_t)random_u32() / 1024;
    fill_records(records, count);
    run_sorts("integers", integers, count, sizeof *integers, by_integer, true);
    run_sorts("doubles", doubles, count, sizeof *doubles, by_double, true);
    run_sorts("by key", records, count, sizeof *records, by_key, false);
    run_sorts("by name", records, count, sizeof *records, by_name_then_weight, true);
    heap_sort(integers, count, sizeof *integers, by_integer);
    run_sorts("sorted", integers, count, sizeof *integers, by_integer, true);
    if (count > 0) printf("smallest %d, median %d, largest %d\n", integers[0], integers[count / 2], integers[count - 1]);
    free(integers);
    free(doubles);
    free(records);
}

static int sort_lines(FILE *file, bool is_backwards) {
    size_t count = 0, room = 16;
    char **lines = malloc(room * sizeof *lines), text[4096];
    while (lines != NULL && fgets(text, sizeof text, file) != NULL) {
        text[strcspn(text, "\n")] = '\0';
        if (count == room) lines = realloc(lines, (room *= 2) * sizeof *lines);
        if (lines == NULL || (lines[count] = strdup(text)) == NULL) return 3;
        count++;
    }
    if (lines == NULL) return 3;
    quick_sort(lines, count, sizeof *lines, is_backwards ? by_text_backwards : by_text);
    for (size_t i = 0; i < count; i++) {
        puts(lines[i]);
        free(lines[i]);
    }
    free(lines);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "-l") == 0) {
        bool is_backwards = argc > 2 && strcmp(argv[2], "-r") == 0;
        int at = is_backwards ? 3 : 2;
        FILE *file = at < argc ? fopen(argv[at], "r") : stdin;
        if (file == NULL) return fprintf(stderr, "sort: %s: %s\n", argv[at], strerror(errno)), 1;
        return sort_lines(file, is_backwards);
    }
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
    random_state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (count < 0 || count > COUNT_MAX) return fputs("sort: COUNT must be 0 to 1000000\n", stderr), 2;
    run_random((size_t)count);
    printf("failures: %d\n", failures);
    return failures > 0;
}
