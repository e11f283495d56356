/* vm.c - a stack machine: an assembler with labels, a bytecode interpreter, and a disassembler.
 *
 *   vm [-d] [-s STEPS] [FILE...]     assembles each FILE and runs it (-d: prints it disassembled instead)
 *   vm -b                            runs the built-in programs: primes, fib, collatz, bubble, gcd, strings
 *
 * Exit status: 0 done, 1 a program failed, 2 usage.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_MAX = 4096, STACK_MAX = 1024, CALLS_MAX = 256, HEAP_MAX = 4096, LABELS_MAX = 256, NAME_MAX_ = 32, LINE_MAX_ = 256 };

/* op, mnemonic, has operand, pops, pushes */
#define OPCODES(X)                                                                                                              \
    X(HALT, "halt", 0, 0, 0)                                                                                                    \
    X(PUSH, "push", 1, 0, 1)                                                                                                    \
    X(POP, "pop", 0, 1, 0)                                                                                                      \
    X(DUP, "dup", 0, 1, 2)                                                                                                      \
    X(SWAP, "swap", 0, 2, 2)                                                                                                    \
    X(OVER, "over", 0, 2, 3)                                                                                                    \
    X(ADD, "add", 0, 2, 1)                                                                                                      \
    X(SUB, "sub", 0, 2, 1)                                                                                                      \
    X(MUL, "mul", 0, 2, 1)                                                                                                      \
    X(DIV, "div", 0, 2, 1)                                                                                                      \
    X(MOD, "mod", 0, 2, 1)                                                                                                      \
    X(AND, "and", 0, 2, 1)                                                                                                      \
    X(OR, "or", 0, 2, 1)                                                                                                        \
    X(XOR, "xor", 0, 2, 1)                                                                                                      \
    X(SHL, "shl", 0, 2, 1)                                                                                                      \
    X(SHR, "shr", 0, 2, 1)                                                                                                      \
    X(LT, "lt", 0, 2, 1)                                                                                                        \
    X(EQ, "eq", 0, 2, 1)                                                                                                        \
    X(NOT, "not", 0, 1, 1)                                                                                                      \
    X(JMP, "jmp", 1, 0, 0)                                                                                                      \
    X(JZ, "jz", 1, 1, 0)                                                                                                        \
    X(JNZ, "jnz", 1, 1, 0)                                                                                                      \
    X(CALL, "call", 1, 0, 0)                                                                                                    \
    X(RET, "ret", 0, 0, 0)                                                                                                      \
    X(LOAD, "load", 0, 1, 1)                                                                                                    \
    X(STORE, "store", 0, 2, 0)                                                                                                  \
    X(PRINT, "print", 0, 1, 0)                                                                                                  \
    X(EMIT, "emit", 0, 1, 0)

typedef enum opcode {
#define X(name, text, operand, pops, pushes) OP_##name,
    OPCODES(X)
#undef X
    OP_COUNT
} opcode;

typedef struct description {
    const char *text;
    bool has_operand;
    uint8_t pops, pushes;
} description;

static const description TABLE[OP_COUNT] = {
#define X(name, text, operand, pops, pushes) {text, operand, pops, pushes},
    OPCODES(X)
#undef X
};

typedef struct label {
    char name[NAME_MAX_];
    int32_t address; /* -1: used and not yet defined */
} label;

typedef struct program {
    int64_t code[CODE_MAX];
    bool is_label[CODE_MAX]; /* the word is a label's number until all are known */
    int32_t length;
    label labels[LABELS_MAX];
    int32_t label_count;
} program;

typedef struct machine {
    int64_t stack[STACK_MAX];
    int32_t calls[CALLS_MAX];
    int64_t heap[HEAP_MAX];
    int32_t depth, call_depth, pc;
    uint64_t steps;
} machine;

/* ---- The assembler ------------------------------------------------------------------------------------------------------ */
static bool fail(const char *name, int line, const char *what, const char *word) {
    fprintf(stderr, "%s:%d: %s '%s'\n", name, line, what, word);
    return false;
}

static int32_t label_number(program *code, const char *name) {
    for (int32_t i = 0; i < code->label_count; i++)
        if (strcmp(code->labels[i].name, name) == 0) return i;
    if (code->label_count == LABELS_MAX || strlen(name) >= NAME_MAX_) return -1;
    strcpy(code->labels[code->label_count].name, name);
    code->labels[code->label_count].address = -1;
    return code->label_count++;
}

static bool emit_word(program *code, int64_t word, bool is_label) {
    if (code->length == CODE_MAX) return false;
    code->is_label[code->length] = is_label;
    code->code[code->length++] = word;
    return true;
}

static bool assemble_operand(program *code, const char *name, int line, const char *word) {
    char *end;
    if (word == NULL) return fail(name, line, "operand missing", "");
    if (word[0] == '\'' && word[1] != '\0' && word[2] == '\'') return emit_word(code, word[1], false);
    errno = 0;
    int64_t value = strtoll(word, &end, 0);
    if (*end == '\0') return errno == 0 ? emit_word(code, value, false) : fail(name, line, "number too large", word);
    int32_t number = label_number(code, word);
    return number < 0 ? fail(name, line, "too many labels at", word) : emit_word(code, number, true);
}

static bool assemble_line(program *code, const char *name, int line, char *text) {
    text[strcspn(text, ";\n")] = '\0';
    for (char *word = strtok(text, " \t"); word != NULL; word = strtok(NULL, " \t")) {
        size_t length = strlen(word);
        if (word[length - 1] == ':') {
            word[length - 1] = '\0';
            int32_t number = label_number(code, word);
            if (number < 0) return fail(name, line, "too many labels at", word);
            if (code->labels[number].address >= 0) return fail(name, line, "label defined twice", word);
            code->labels[number].address = code->length;
            continue;
        }
        int op = 0;
        while (op < OP_COUNT && strcmp(TABLE[op].text, word) != 0) op++;
        if (op == OP_COUNT) return fail(name, line, "unknown instruction", word);
        if (!emit_word(code, op, false)) return fail(name, line, "program too long at", word);
        if (TABLE[op].has_operand && !assemble_operand(code, name, line, strtok(NULL, " \t"))) return false;
    }
    return true;
}

static bool assemble(program *code, const char *name, const char *source) {
    memset(code, 0, sizeof *code);
    for (int line = 1; *source != '\0'; line++) {
        char text[LINE_MAX_];
        size_t length = strcspn(source, "\n");
        if (length >= sizeof text) return fail(name, line, "line too long", "");
        memcpy(text, source, length);
        text[length] = '\0';
        if (!assemble_line(code, name, line, text)) return false;
        source += length + (source[length] == '\n');
    }
    for (int32_t i = 0; i < code->length; i++) {
        if (!code->is_label[i]) continue;
        const label *target = &code->labels[code->code[i]];
        if (target->address < 0) return fail(name, 0, "label not defined", target->name);
        code->code[i] = target->address;
    }
    return true;
}

static void disassemble(const program *code) {
    for (int32_t pc = 0; pc < code->length; pc++) {
        for (int32_t i = 0; i < code->label_count; i++)
            if (code->labels[i].address == pc) printf("%s:\n", code->labels[i].name);
        const description *op = &TABLE[code->code[pc]];
        printf("%5d  %-6s", pc, op->text);
        if (op->has_operand) printf(" %lld", (long long)code->code[++pc]);
        putchar('\n');
    }
}

/* ---- The interpreter ------------------------------------------------------------------------------------------------------ */
static const char *check(const machine *vm, const program *code, const description *op) {
    if (vm->depth < op->pops) return "stack underflow";
    if (vm->depth - op->pops + op->pushes > STACK_MAX) return "stack overflow";
    if (op->has_operand && vm->pc >= code->length) return "operand past the end";
    return NULL;
}

static const char *divide(int64_t *top, bool is_modulo) {
    if (top[1] == 0) return "division by zero";
    if (top[1] == -1) top[0] = is_modulo ? 0 : (int64_t)-(uint64_t)top[0];
    else top[0] = is_modulo ? top[0] % top[1] : top[0] / top[1];
    return NULL;
}

/* Runs one instruction; NULL, or what went wrong. */
static const char *step(machine *vm, const program *code, bool *is_running_out) {
    if (vm->pc < 0 || vm->pc >= code->length) return "program counter outside the program";
    opcode op = (opcode)code->code[vm->pc++];
    if ((unsigned)op >= OP_COUNT) return "not an instruction";
    const char *error = check(vm, code, &TABLE[op]);
    if (error != NULL) return error;
    int64_t operand = TABLE[op].has_operand ? code->code[vm->pc++] : 0;
    int64_t *top = vm->stack + vm->depth - TABLE[op].pops; /* the first popped value */
    vm->depth += TABLE[op].pushes - TABLE[op].pops;
    switch (op) {
    case OP_HALT: *is_running_out = false; break;
    case OP_PUSH: top[0] = operand; break;
    case OP_POP: break;
    case OP_DUP: top[1] = top[0]; break;
    case OP_SWAP: { int64_t held = top[0]; top[0] = top[1], top[1] = held; break; }
    case OP_OVER: top[2] = top[0]; break;
    case OP_ADD: top[0] = (int64_t)((uint64_t)top[0] + (uint64_t)top[1]); break;
    case OP_SUB: top[0] = (int64_t)((uint64_t)top[0] - (uint64_t)top[1]); break;
    case OP_MUL: top[0] = (int64_t)((uint64_t)top[0] * (uint64_t)top[1]); break;
    case OP_DIV: return divide(top, false);
    case OP_MOD: return divide(top, true);
    case OP_AND: top[0] &= top[1]; break;
    case OP_OR: top[0] |= top[1]; break;
    case OP_XOR: top[0] ^= top[1]; break;
    case OP_SHL: top[0] = (int64_t)((uint64_t)top[0] << (top[1] & 63)); break;
    case OP_SHR: top[0] = (int64_t)((uint64_t)top[0] >> (top[1] & 63)); break;
    case OP_LT: top[0] = top[0] < top[1]; break;
    case OP_EQ: top[0] = top[0] == top[1]; break;
    case OP_NOT: top[0] = !top[0]; break;
    case OP_JMP: vm->pc = (int32_t)operand; break;
    case OP_JZ: if (top[0] == 0) vm->pc = (int32_t)operand; break;
    case OP_JNZ: if (top[0] != 0) vm->pc = (int32_t)operand; break;
    case OP_CALL:
        if (vm->call_depth == CALLS_MAX) return "calls nested too deeply";
        vm->calls[vm->call_depth++] = vm->pc;
        vm->pc = (int32_t)operand;
        break;
    case OP_RET:
        if (vm->call_depth == 0) return "return without a call";
        vm->pc = vm->calls[--vm->call_depth];
        break;
    case OP_LOAD:
        if (top[0] < 0 || top[0] >= HEAP_MAX) return "load outside the heap";
        top[0] = vm->heap[top[0]];
        break;
    case OP_STORE: /* value address -> */
        if (top[1] < 0 || top[1] >= HEAP_MAX) return "store outside the heap";
        vm->heap[top[1]] = top[0];
        break;
    case OP_PRINT: printf("%lld\n", (long long)top[0]); break;
    case OP_EMIT: putchar((int)(top[0] & 0x7f)); break;
    case OP_COUNT: return "not an instruction";
    }
    return NULL;
}

static bool run(const program *code, const char *name, uint64_t steps_max) {
    static machine vm;
    memset(&vm, 0, sizeof vm);
    bool is_running = true;
    const char *error = NULL;
    while (is_running && error == NULL) {
        if (vm.steps++ == steps_max) error = "too many steps";
        else error = step(&vm, code, &is_running);
    }
    if (error != NULL) fprintf(stderr, "%s: %s at %d\n", name, error, vm.pc);
    printf("[%s: %llu steps, %d on the stack]\n", name, (unsigned long long)vm.steps, vm.depth);
    return error == NULL;
}

/* ---- The built-in programs ------------------------------------------------------------------------------------------------- */
typedef struct builtin {
    const char *name;
    const char *source;
} builtin;

static const builtin BUILTINS[] = {
    {"primes", /* a sieve below 2000: counts and the last prime */
     "push 2 push 4000 store\n"
     "outer: push 4000 load dup mul push 2000 lt jz count\n"
     "  push 4000 load load jnz next\n"
     "  push 4000 load dup mul push 4001 store\n"
     "mark: push 4001 load push 2000 lt jz next\n"
     "  push 1 push 4001 load store\n"
     "  push 4001 load push 4000 load add push 4001 store jmp mark\n"
     "next: push 4000 load push 1 add push 4000 store jmp outer\n"
     "count: push 0 push 4002 store push 2 push 4000 store\n"
     "loop: push 4000 load push 2000 lt jz done\n"
     "  push 4000 load load jnz skip\n"
     "  push 4002 load push 1 add push 4002 store push 4000 load push 4003 store\n"
     "skip: push 4000 load push 1 add push 4000 store jmp loop\n"
     "done: push 4002 load print push 4003 load print halt\n"},
    {"fib", /* doubly recursive */
     "push 21 call fib print halt\n"
     "fib: dup push 2 lt jnz base\n"
     "  dup push 1 sub call fib swap push 2 sub call fib add\n"
     "base: ret\n"},
    {"collatz", /* the start below 3000 with the longest run */
     "push 1 push 0 store push 0 push 1 store push 0 push 2 store\n"
     "next: push 0 load push 3000 lt jz done\n"
     "  push 0 push 3 store push 0 load\n"
     "run: dup push 1 eq jnz end\n"
     "  push 3 load push 1 add push 3 store\n"
     "  dup push 1 and jnz odd push 2 div jmp run\n"
     "odd: push 3 mul push 1 add jmp run\n"
     "end: pop push 1 load push 3 load lt jz keep\n"
     "  push 3 load push 1 store push 0 load push 2 store\n"
     "keep: push 0 load push 1 add push 0 store jmp next\n"
     "done: push 2 load print push 1 load print halt\n"},
    {"bubble", /* sorts 200 pseudo-random numbers, prints the first, the middle, the last and a checksum */
     "push 99 push 1000 store push 0 push 1001 store\n"
     "fill: push 1001 load push 200 lt jz sort\n"
     "  push 1000 load push 1103515245 mul push 12345 add push 0x7fffffff and dup push 1000 store\n"
     "  push 1001 load store push 1001 load push 1 add push 1001 store jmp fill\n"
     "sort: push 0 push 1002 store push 1 push 1001 store\n"
     "inner: push 1001 load push 200 lt jz pass\n"
     "  push 1001 load load push 1001 load push 1 sub load lt jz fine\n"
     "  push 1001 load load push 1001 load push 1 sub load push 1001 load store\n"
     "  push 1001 load push 1 sub store push 1 push 1002 store\n"
     "fine: push 1001 load push 1 add push 1001 store jmp inner\n"
     "pass: push 1002 load jnz sort\n"
     "  push 0 load print push 100 load print push 199 load print\n"
     "  push 0 push 1003 store push 0 push 1001 store\n"
     "sum: push 1001 load push 200 lt jz done\n"
     "  push 1003 load push 31 mul push 1001 load load xor push 1003 store\n"
     "  push 1001 load push 1 add push 1001 store jmp sum\n"
     "done: push 1003 load print halt\n"},
    {"gcd", "push 1071 push 462 call gcd print push 0x123456789abc push 987654321 call gcd print halt\n"
            "gcd: dup jz end swap over mod jmp gcd\nend: pop ret\n"},
    {"strings", "push 0 push '!' push 'k' push 'c' push 'o' push 'l' push 'r' push 'e' push 't' push 'n' push 'i'\n"
                "more: dup jz done emit jmp more\ndone: pop push 10 emit halt ; ends the line\n"},
    {"underflow", "push 1 add halt\n"},
    {"zero", "push 1 push 0 div print halt\n"},
    {"deep", "again: call again\n"},
    {"wild", "push 1 push 5000 store halt\n"},
};

static char *read_all(const char *name) {
    FILE *file = fopen(name, "rb");
    if (file == NULL) {
        fprintf(stderr, "vm: %s: %s\n", name, strerror(errno));
        return NULL;
    }
    size_t used = 0, room = 256;
    char *text = malloc(room);
    for (size_t got = 1; text != NULL && got > 0;) {
        got = fread(text + used, 1, room - used - 1, file);
        used += got;
        if (room - used < 2) text = realloc(text, room *= 2);
    }
    fclose(file);
    if (text != NULL) text[used] = '\0';
    return text;
}

int main(int argc, char **argv) {
    static program code;
    uint64_t steps_max = 50000000;
    bool is_listing = false;
    int failed = 0, at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "-b") == 0) {
            for (size_t i = 0; i < sizeof BUILTINS / sizeof BUILTINS[0]; i++)
                failed += !(assemble(&code, BUILTINS[i].name, BUILTINS[i].source) && run(&code, BUILTINS[i].name, steps_max));
            return failed > 0;
        }
        if (strcmp(argv[at], "-d") == 0) is_listing = true;
        else if (strcmp(argv[at], "-s") == 0 && at + 1 < argc) steps_max = strtoull(argv[++at], NULL, 10);
        else return fputs("usage: vm [-d] [-s STEPS] FILE... | -b\n", stderr), 2;
    }
    for (; at < argc; at++) {
        char *source = read_all(argv[at]);
        if (source == NULL || !assemble(&code, argv[at], source)) failed++;
        else if (is_listing) disassemble(&code);
        else failed += !run(&code, argv[at], steps_max);
        free(source);
    }
    return failed > 0;
}
