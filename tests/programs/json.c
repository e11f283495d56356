/* json.c - a JSON parser (RFC 8259), pretty printer, path query and statistics.
 *
 *   json [-c | -i WIDTH | -s | -q PATH | -t] [-o OUT] [FILE]
 *
 *   (default) pretty print with two blanks, -i WIDTH with WIDTH blanks, -c compact, -s sorted members
 *   -q a.b[2]   print the value at a path
 *   -t          print statistics
 *
 * Errors: FILE:LINE:COLUMN: message.  Exit status: 0 done, 1 malformed or not found, 2 usage.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 500 };

typedef enum kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT, KIND_COUNT } kind;
static const char *const KIND_NAMES[KIND_COUNT] = {"null", "false", "true", "number", "string", "array", "object"};

typedef struct value value;

typedef struct text {
    char *bytes; /* UTF-8; may contain NUL */
    size_t length;
} text;

struct value {
    kind kind;
    double number;
    text string;
    value *items; /* elements, or values of members */
    text *names;  /* of members */
    size_t count;
};

typedef struct parser {
    const char *file;
    const char *start, *at, *end;
    const char *message;
    const char *message_at;
    int depth;
} parser;

/* ---- Memory ------------------------------------------------------------------------------------------------------------------ */
static void *resize(void *old, size_t bytes) {
    void *grown = realloc(old, bytes == 0 ? 1 : bytes);
    if (grown == NULL) {
        fputs("json: out of memory\n", stderr);
        exit(3);
    }
    return grown;
}

static void value_free(value *v) {
    free(v->string.bytes);
    for (size_t i = 0; i < v->count; i++) {
        if (v->names != NULL) free(v->names[i].bytes);
        value_free(&v->items[i]);
    }
    free(v->items);
    free(v->names);
}

/* ---- The parser ---------------------------------------------------------------------------------------------------------------- */
static bool fail_at(parser *p, const char *at, const char *message) {
    if (p->message == NULL) {
        p->message = message;
        p->message_at = at;
    }
    return false;
}

static bool fail(parser *p, const char *message) { return fail_at(p, p->at, message); }

static void skip_space(parser *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')) p->at++;
}

static int peek(const parser *p) { return p->at < p->end ? (unsigned char)*p->at : -1; }

static bool is_digit(int c) { return c >= '0' && c <= '9'; }

static bool parse_word(parser *p, const char *word, kind kind, value *out) {
    size_t length = strlen(word);
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length) != 0) return fail(p, "not a value");
    p->at += length;
    out->kind = kind;
    return true;
}

static bool parse_number(parser *p, value *out) {
    const char *start = p->at;
    if (peek(p) == '-') p->at++;
    if (!is_digit(peek(p))) return fail(p, "a number needs a digit");
    if (peek(p) == '0') p->at++;
    else while (is_digit(peek(p))) p->at++;
    if (is_digit(peek(p))) return fail_at(p, start, "a number must not begin with 0");
    if (peek(p) == '.') {
        p->at++;
        if (!is_digit(peek(p))) return fail(p, "a fraction needs a digit");
        while (is_digit(peek(p))) p->at++;
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        p->at++;
        if (peek(p) == '+' || peek(p) == '-') p->at++;
        if (!is_digit(peek(p))) return fail(p, "an exponent needs a digit");
        while (is_digit(peek(p))) p->at++;
    }
    char copy[512];
    size_t length = (size_t)(p->at - start);
    if (length >= sizeof copy) return fail_at(p, start, "the number is too long");
    memcpy(copy, start, length);
    copy[length] = '\0';
    out->kind = JSON_NUMBER;
    out->number = strtod(copy, NULL);
    return isfinite(out->number) || fail_at(p, start, "the number is too large");
}

static bool parse_hex4(parser *p, uint32_t *unit_out) {
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        int c = peek(p);
        if (is_digit(c)) unit = unit << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f') unit = unit << 4 | (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F') unit = unit << 4 | (uint32_t)(c - 'A' + 10);
        else return fail(p, "\\u needs four hexadecimal digits");
    }
    *unit_out = unit;
    return true;
}

static void append_utf8(text *out, uint32_t c) {
    char *to = out->bytes + out->length;
    if (c < 0x80) {
        to[0] = (char)c, out->length += 1;
    } else if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), out->length += 2;
    } else if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63)), to[2] = (char)(0x80 | (c & 63)), out->length += 3;
    } else {
        to[0] = (char)(0xf0 | c >> 18), to[1] = (char)(0x80 | (c >> 12 & 63)), to[2] = (char)(0x80 | (c >> 6 & 63));
        to[3] = (char)(0x80 | (c & 63)), out->length += 4;
    }
}

static bool parse_escape(parser *p, text *out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *start = p->at - 1;
    int c = peek(p);
    const char *simple = c > 0 ? strchr(from, c) : NULL;
    if (simple != NULL) {
        p->at++;
        append_utf8(out, (unsigned char)to[simple - from]);
        return true;
    }
    if (c != 'u') return fail_at(p, start, "unknown escape");
    p->at++;
    uint32_t unit, low;
    if (!parse_hex4(p, &unit)) return false;
    if (unit >= 0xdc00 && unit < 0xe000) return fail_at(p, start, "low surrogate without a high one");
    if (unit >= 0xd800 && unit < 0xdc00) {
        if (p->end - p->at < 2 || p->at[0] != '\\' || p->at[1] != 'u') return fail_at(p, start, "high surrogate without a low one");
        p->at += 2;
        if (!parse_hex4(p, &low)) return false;
        if (low < 0xdc00 || low >= 0xe000) return fail_at(p, start, "high surrogate without a low one");
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(out, unit);
    return true;
}

/* Length of the well-formed UTF-8 sequence at `at`, or 0 (RFC 3629). */
static int utf8_length(const unsigned char *at, const unsigned char *end) {
    int length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;
    if (length == 0 || end - at < length) return 0;
    for (int i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    if (at[0] == 0xe0 && at[1] < 0xa0) return 0;
    if (at[0] == 0xed && at[1] >= 0xa0) return 0;
    if (at[0] == 0xf0 && at[1] < 0x90) return 0;
    if (at[0] == 0xf4 && at[1] >= 0x90) return 0;
    return length;
}

static bool parse_string(parser *p, text *out) {
    const char *start = p->at++;
    size_t room = 0;
    out->length = 0;
    while (peek(p) != '"') {
        if (room < out->length + 8) out->bytes = resize(out->bytes, room = 2 * room + 16);
        int c = peek(p);
        if (c < 0) return fail_at(p, start, "the string is not closed");
        if (c < 0x20) return fail(p, "control character in a string");
        if (c == '\\') {
            p->at++;
            if (!parse_escape(p, out)) return false;
            continue;
        }
        int length = utf8_length((const unsigned char *)p->at, (const unsigned char *)p->end);
        if (length == 0) return fail(p, "malformed UTF-8");
        memcpy(out->bytes + out->length, p->at, (size_t)length);
        out->length += (size_t)length;
        p->at += length;
    }
    p->at++;
    if (out->bytes == NULL) out->bytes = resize(NULL, 1);
    return true;
}

static bool parse_value(parser *p, value *out);

static bool parse_member_name(parser *p, value *out, size_t index) {
    if (peek(p) != '"') return fail(p, "a member needs a name in quotes");
    if (!parse_string(p, &out->names[index])) return false;
    skip_space(p);
    if (peek(p) != ':') return fail(p, "':' expected");
    p->at++;
    skip_space(p);
    return true;
}

static bool parse_container(parser *p, value *out, kind kind, char close) {
    const char *start = p->at++;
    size_t room = 0;
    out->kind = kind;
    skip_space(p);
    if (peek(p) == close) return p->at++, true;
    for (;;) {
        if (out->count == room) {
            room = 2 * room + 4;
            out->items = resize(out->items, room * sizeof *out->items);
            if (kind == JSON_OBJECT) out->names = resize(out->names, room * sizeof *out->names);
        }
        size_t index = out->count++;
        memset(&out->items[index], 0, sizeof *out->items);
        if (kind == JSON_OBJECT) {
            memset(&out->names[index], 0, sizeof *out->names);
            if (!parse_member_name(p, out, index)) return false;
        }
        if (!parse_value(p, &out->items[index])) return false;
        skip_space(p);
        if (peek(p) == close) return p->at++, true;
        if (peek(p) < 0) return fail_at(p, start, kind == JSON_OBJECT ? "the object is not closed" : "the array is not closed");
        if (peek(p) != ',') return fail(p, "',' expected");
        p->at++;
        skip_space(p);
    }
}

static bool parse_value(parser *p, value *out) {
    if (++p->depth > DEPTH_MAX) return fail(p, "nested too deeply");
    bool is_good;
    switch (peek(p)) {
    case '{': is_good = parse_container(p, out, JSON_OBJECT, '}'); break;
    case '[': is_good = parse_container(p, out, JSON_ARRAY, ']'); break;
    case '"': out->kind = JSON_STRING, is_good = parse_string(p, &out->string); break;
    case 'n': is_good = parse_word(p, "null", JSON_NULL, out); break;
    case 't': is_good = parse_word(p, "true", JSON_TRUE, out); break;
    case 'f': is_good = parse_word(p, "false", JSON_FALSE, out); break;
    case -1: is_good = fail(p, "a value is missing"); break;
    default: is_good = parse_number(p, out);
    }
    p->depth--;
    return is_good;
}

static bool parse_document(parser *p, value *out) {
    skip_space(p);
    if (!parse_value(p, out)) return false;
    skip_space(p);
    return p->at == p->end || fail(p, "something follows the value");
}

static void report(const parser *p) {
    int line = 1, column = 1;
    for (const char *at = p->start; at < p->message_at; at++) {
        if (*at == '\n') line++, column = 1;
        else if ((*at & 0xc0) != 0x80) column++; /* columns count characters */
    }
    fprintf(stderr, "%s:%d:%d: %s\n", p->file, line, column, p->message);
}

/* ---- The printer ------------------------------------------------------------------------------------------------------------------- */
typedef struct printer {
    FILE *out;
    int indent; /* -1: compact */
    bool is_sorted;
} printer;

static void print_string(const printer *to, const text *string) {
    fputc('"', to->out);
    for (size_t i = 0; i < string->length; i++) {
        unsigned char c = (unsigned char)string->bytes[i];
        static const char from[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
        const char *simple = c != 0 ? strchr(from, c) : NULL;
        if (simple != NULL) fprintf(to->out, "\\%c", names[simple - from]);
        else if (c < 0x20 || c == 0x7f) fprintf(to->out, "\\u%04x", c);
        else fputc(c, to->out);
    }
    fputc('"', to->out);
}

/* The shortest of %.15g to %.17g that reads back as the same number. */
static void print_number(const printer *to, double number) {
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number) break;
    }
    fputs(digits, to->out);
}

static void print_break(const printer *to, int depth) {
    if (to->indent < 0) return;
    fputc('\n', to->out);
    for (int i = 0; i < depth * to->indent; i++) fputc(' ', to->out);
}

static int compare_names(const text *a, const text *b) {
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->bytes, b->bytes, shorter);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static const value *sorting; /* qsort has no context argument */

static int compare_members(const void *left, const void *right) {
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    int order = compare_names(&sorting->names[a], &sorting->names[b]);
    return order != 0 ? order : (a > b) - (a < b);
}

static void print_value(const printer *to, const value *v, int depth) {
    if (v->kind == JSON_NUMBER) return print_number(to, v->number);
    if (v->kind == JSON_STRING) return print_string(to, &v->string);
    if (v->kind < JSON_NUMBER) return (void)fputs(KIND_NAMES[v->kind], to->out);
    bool is_object = v->kind == JSON_OBJECT;
    fputc(is_object ? '{' : '[', to->out);
    size_t *order = resize(NULL, v->count * sizeof *order);
    for (size_t i = 0; i < v->count; i++) order[i] = i;
    if (is_object && to->is_sorted) {
        sorting = v;
        qsort(order, v->count, sizeof *order, compare_members);
    }
    for (size_t i = 0; i < v->count; i++) {
        if (i > 0) fputc(',', to->out);
        print_break(to, depth + 1);
        if (is_object) {
            print_string(to, &v->names[order[i]]);
            fputs(to->indent < 0 ? ":" : ": ", to->out);
        }
        print_value(to, &v->items[order[i]], depth + 1);
    }
    free(order);
    if (v->count > 0) print_break(to, depth);
    fputc(is_object ? '}' : ']', to->out);
}

/* ---- Queries and statistics ------------------------------------------------------------------------------------------------------------ */
static const value *member(const value *v, const char *name, size_t length) {
    const text key = {(char *)(uintptr_t)name, length};
    for (size_t i = v->count; v->kind == JSON_OBJECT && i-- > 0;) /* the last of equal names counts */
        if (compare_names(&v->names[i], &key) == 0) return &v->items[i];
    return NULL;
}

static const value *find(const value *v, const char *path) {
    while (v != NULL && *path != '\0') {
        if (*path == '[') {
            char *end;
            unsigned long index = strtoul(path + 1, &end, 10);
            if (*end != ']' || end == path + 1) return NULL;
            v = v->kind == JSON_ARRAY && index < v->count ? &v->items[index] : NULL;
            path = end + 1;
        } else {
            path += *path == '.';
            size_t length = strcspn(path, ".[");
            if (length == 0) return NULL;
            v = member(v, path, length);
            path += length;
        }
    }
    return v;
}

typedef struct statistics {
    size_t kinds[KIND_COUNT];
    size_t string_bytes;
    double sum, smallest, largest;
    int depth;
} statistics;

static void count_value(const value *v, int depth, statistics *out) {
    out->kinds[v->kind]++;
    out->string_bytes += v->string.length;
    if (depth > out->depth) out->depth = depth;
    if (v->kind == JSON_NUMBER) {
        out->sum += v->number;
        if (v->number < out->smallest) out->smallest = v->number;
        if (v->number > out->largest) out->largest = v->number;
    }
    for (size_t i = 0; i < v->count; i++) count_value(&v->items[i], depth + 1, out);
}

static void print_statistics(const value *v, FILE *out) {
    statistics total = {.smallest = INFINITY, .largest = -INFINITY};
    count_value(v, 1, &total);
    for (int i = 0; i < KIND_COUNT; i++) fprintf(out, "%-8s %zu\n", KIND_NAMES[i], total.kinds[i]);
    fprintf(out, "depth    %d\nbytes    %zu\n", total.depth, total.string_bytes);
    if (total.kinds[JSON_NUMBER] > 0) fprintf(out, "sum %.10g, %g to %g\n", total.sum, total.smallest, total.largest);
}

/* ---- Main ------------------------------------------------------------------------------------------------------------------------------------ */
static char *read_all(FILE *file, size_t *length_out) {
    size_t used = 0, room = 4096, got;
    char *data = resize(NULL, room);
    while ((got = fread(data + used, 1, room - used, file)) > 0) {
        used += got;
        if (used == room) data = resize(data, room *= 2);
    }
    *length_out = used;
    return data;
}

static int usage(void) {
    fputs("usage: json [-c | -i WIDTH | -s | -q PATH | -t] [-o OUT] [FILE]\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    printer to = {.out = stdout, .indent = 2};
    const char *path = NULL, *out_name = NULL;
    bool wants_statistics = false;
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        bool has_value = at + 1 < argc;
        if (strcmp(argv[at], "-c") == 0) to.indent = -1;
        else if (strcmp(argv[at], "-s") == 0) to.is_sorted = true;
        else if (strcmp(argv[at], "-t") == 0) wants_statistics = true;
        else if (strcmp(argv[at], "-i") == 0 && has_value) to.indent = atoi(argv[++at]) & 15;
        else if (strcmp(argv[at], "-q") == 0 && has_value) path = argv[++at];
        else if (strcmp(argv[at], "-o") == 0 && has_value) out_name = argv[++at];
        else return usage();
    }
    const char *name = at < argc ? argv[at] : "-";
    FILE *in = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    if (in == NULL) return fprintf(stderr, "json: %s: %s\n", name, strerror(errno)), 1;
    size_t length;
    char *data = read_all(in, &length);
    if (in != stdin) fclose(in);
    parser p = {.file = name, .start = data, .at = data, .end = data + length};
    value root = {0};
    int status = 1;
    if (!parse_document(&p, &root)) {
        report(&p);
    } else if (out_name != NULL && (to.out = fopen(out_name, "w")) == NULL) {
        fprintf(stderr, "json: %s: %s\n", out_name, strerror(errno));
    } else {
        const value *shown = path == NULL ? &root : find(&root, path);
        status = shown == NULL;
        if (shown == NULL) fprintf(stderr, "json: nothing at %s\n", path);
        else if (wants_statistics) print_statistics(shown, to.out);
        else print_value(&to, shown, 0), fputc('\n', to.out);
        fclose(to.out);
    }
    value_free(&root);
    free(data);
    return status;
}
