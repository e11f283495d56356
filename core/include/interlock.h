/* interlock.h - the only header of the core (libinterlock and the writer program).
 *
 * The core keeps machine code in one reservation per process.  The application's views of it are read-only (constants) and
 * read-execute (code); the only writable view lives in a separate writer process, which validates every instruction of a
 * private copy before it writes that same copy.  Nothing here knows Python.
 *
 * Thread safety: every function may be called from any thread; publishing is serialised inside.  Running code takes no lock.
 * All functions return an il_status; results are written through pointers that end in _out and only on IL_OK, except
 * verdict_out, which is written on IL_REJECTED.
 */
#ifndef INTERLOCK_H
#define INTERLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IL_API __attribute__((visibility("default")))

/* ---- Statuses, trap kinds, rules: written once in .def files --------------------------------------------------------- */
typedef enum il_status {
#define IL_STATUS(name, number, text) IL_##name = number,
#include "interlock/statuses.def"
#undef IL_STATUS
} il_status;

typedef enum il_trap_kind {
#define IL_TRAP(name, number, text) IL_TRAP_##name = number,
#include "interlock/traps.def"
#undef IL_TRAP
} il_trap_kind;

typedef enum il_rule {
#define IL_RULE(number, name, text) IL_RULE_##name = number,
#include "interlock/rules.def"
#undef IL_RULE
} il_rule;

IL_API const char *il_status_text(il_status status);
IL_API const char *il_trap_text(il_trap_kind kind);
IL_API const char *il_rule_text(il_rule rule); /* NULL for an unknown rule */

/* ---- Limits ----------------------------------------------------------------------------------------------------------- */
enum {
    IL_CODE_VIEW_BYTES = 64 << 20,      /* size of the code view and of the rodata view */
    IL_RODATA_DELTA = 64 << 20,         /* rodata of the byte at code address A starts its slot at A + IL_RODATA_DELTA */
    IL_SLOT_GRAIN_BYTES = 64,           /* slots are multiples of this, aligned to it */
    IL_IMAGE_CODE_BYTES_MAX = 4 << 20,  /* one image: code */
    IL_IMAGE_RODATA_BYTES_MAX = 4 << 20,/* one image: constants */
    IL_IMAGE_ENTRIES_MAX = 4096,
    IL_IMAGE_RELOCATIONS_MAX = 65536,
    IL_IMAGE_TABLES_MAX = 1024,         /* declared jump tables of one image */
    IL_ARENA_IMPORTS_MAX = 256,
    IL_ARENAS_MAX = 4096,
    IL_THREADS_MAX = 8192,              /* threads that have run published code and not ended */
    IL_RESERVATIONS_MAX = 8,            /* of code memory: a process's own and those of the processes it was forked from */
    IL_PATH_BYTES_MAX = 4096,           /* of the writer program, with the final NUL */
    IL_INSTRUCTION_BYTES_MAX = 15,
    IL_FRAME_BYTES_MAX = 256 << 10,     /* one stack frame of published code; a larger adjustment of sp is refused */
    IL_STACK_ROOM_BYTES = 768 << 10     /* kept free below the stack limit: one frame, one gate, one signal frame */
};

/* The most of each size of an image. */
enum { IL_SIZES = 5 };
#define IL_SIZES_MAX                                                                                                     \
    {IL_IMAGE_CODE_BYTES_MAX, IL_IMAGE_RODATA_BYTES_MAX, IL_IMAGE_ENTRIES_MAX, IL_IMAGE_RELOCATIONS_MAX, IL_IMAGE_TABLES_MAX}

/* ---- What is published ------------------------------------------------------------------------------------------------- */
typedef enum il_arch { IL_ARCH_X86_64 = 1, IL_ARCH_AARCH64 = 2 } il_arch;

/* Relocation kinds keep the object format's names and numbers.  Two sorts exist: branches to an import of the arena, and (AArch64
 * only, where the address of a constant depends on the page of the code) references to the image's own constants. */
typedef enum il_relocation_kind {
    IL_R_X86_64_PLT32 = 4,                /* branch; the addend is -4 */
    IL_R_AARCH64_ADR_PREL_PG_HI21 = 275,  /* adrp: constant */
    IL_R_AARCH64_ADD_ABS_LO12_NC = 277,   /* add, and the loads of 1, 2, 4, 8 and 16 bytes: constant */
    IL_R_AARCH64_LDST8_ABS_LO12_NC = 278,
    IL_R_AARCH64_JUMP26 = 282,            /* b, bl: branch */
    IL_R_AARCH64_CALL26 = 283,
    IL_R_AARCH64_LDST16_ABS_LO12_NC = 284,
    IL_R_AARCH64_LDST32_ABS_LO12_NC = 285,
    IL_R_AARCH64_LDST64_ABS_LO12_NC = 286,
    IL_R_AARCH64_LDST128_ABS_LO12_NC = 299
} il_relocation_kind;

typedef struct il_relocation {
    uint32_t offset; /* of the 4-byte field (x86-64) or instruction (AArch64), from the start of the code */
    uint32_t kind;   /* il_relocation_kind */
    uint32_t target; /* branch: index into the arena's import table; constant: offset in the image's rodata */
} il_relocation;

/* A jump table in rodata: count signed 32-bit values; base_offset + value is the code offset of a target, which must be an
 * instruction boundary of the image. */
typedef struct il_jump_table {
    uint32_t rodata_offset;
    uint32_t count;
    uint32_t base_offset; /* from the start of the code; of the table itself: IL_RODATA_DELTA + rodata_offset */
} il_jump_table;

typedef struct il_image {
    uint32_t arch;                 /* il_arch */
    union {                        /* at least one byte of code and one entry */
        struct { uint32_t code_bytes, rodata_bytes, entry_count, relocation_count, jump_table_count; };
        uint32_t sizes[IL_SIZES];  /* the same, for whoever treats all alike */
    };
    const uint8_t *code;
    const uint8_t *rodata;
    const uint32_t *entries;       /* code offsets, ascending; each an instruction boundary */
    const il_relocation *relocations;   /* ascending offsets */
    const il_jump_table *jump_tables;
} il_image;

typedef struct il_verdict {
    uint32_t rule;                 /* il_rule; 0 = accepted */
    uint32_t offset;               /* code offset of the offending instruction, or of the offending item */
    uint8_t bytes[16];             /* the instruction's bytes, as read by the validator */
    uint32_t bytes_count;
    char detail[96];               /* one short English clause, NUL terminated; may be empty */
} il_verdict;

/* What an embedder may refuse beyond our own policy (il_policy.refused_classes).  An instruction can be in several. */
typedef enum il_instruction_class {
    IL_CLASS_INTEGER = 1 << 0,   /* moves, arithmetic, logic, flags */
    IL_CLASS_STACK = 1 << 1,     /* push, pop, leave */
    IL_CLASS_BRANCH = 1 << 2,    /* direct jumps and calls, ret */
    IL_CLASS_INDIRECT = 1 << 3,  /* calls and jumps through a register or memory */
    IL_CLASS_STRING = 1 << 4,    /* rep movs, rep stos */
    IL_CLASS_ATOMIC = 1 << 5,    /* lock prefix, xchg with memory, fences */
    IL_CLASS_BIT = 1 << 6,       /* bit manipulation extensions: BMI, ADX, popcnt, crc32 */
    IL_CLASS_SSE = 1 << 7,       /* legacy-encoded vector and floating point */
    IL_CLASS_AVX = 1 << 8,       /* VEX-encoded vector and floating point */
    IL_CLASS_FMA = 1 << 9,       /* fused multiply-add, half-precision conversion */
    IL_CLASS_TRAP = 1 << 10,     /* ud1, ud2, int3 */
    IL_CLASS_NOP = 1 << 11,      /* nops, endbr64, pause, prefetch */
    IL_CLASS_SIMD = 1 << 12,     /* AArch64: vectors and floating point */
    IL_CLASS_ALL = (1 << 13) - 1
} il_instruction_class;

/* An embedder's own rules, as data: handed to the writer when an arena is opened, and frozen with it.  They can only narrow ours:
 * a maximum above our limit, or a bit that names no class or no import, is IL_INVALID_ARGUMENT.  What is left 0 permits nothing,
 * so start from IL_POLICY_PERMITTED; no policy (NULL) is the same as that one. */
typedef struct il_policy {
    uint32_t refused_classes;      /* bit set of il_instruction_class */
    uint32_t refused_imports[IL_ARENA_IMPORTS_MAX / 32]; /* bit i % 32 of word i / 32: no relocation names import i */
    union {
        struct { uint32_t image_code_bytes_max, image_rodata_bytes_max, image_entries_max, image_relocations_max, image_tables_max; };
        uint32_t sizes_max[IL_SIZES]; /* the same */
    };
    uint32_t frame_bytes_max;      /* one adjustment of the stack pointer; push and pop are IL_CLASS_STACK */
} il_policy;

#define IL_POLICY_PERMITTED {.sizes_max = IL_SIZES_MAX, .frame_bytes_max = IL_FRAME_BYTES_MAX}

/* ---- The code validator: pure, runs anywhere --------------------------------------------------------------------------- */
/* Called for each violation; must not keep the verdict, nor validate in turn. */
typedef void (*il_report)(void *context, const il_verdict *verdict);
/* IL_OK, IL_REJECTED (verdict_out filled) or IL_INVALID_ARGUMENT.  Reads the image in place: callers other than the writer
 * get an opinion, not a permission.  import_count: size of the import table relocations may name.  report: NULL, and the first
 * violation ends it; otherwise each is reported, and verdict_out tells the last. */
IL_API il_status il_validate(const il_image *image, const il_policy *policy, uint32_t import_count, il_report report, void *context,
                             il_verdict *verdict_out);

/* ---- Region: one per process -------------------------------------------------------------------------------------------- */
/* Who can write published code. */
typedef enum il_writer {
    IL_WRITER_NONE = 0,     /* nobody: no region is open, its writer is gone, or it is the parent process's */
    IL_WRITER_PROCESS = 1,  /* a process of its own, which has the only writable view */
    IL_WRITER_CALLBACK = 3, /* a thread of this process inside the core's write callback: macOS on Apple silicon */
    IL_WRITER_ANYONE = 4    /* every thread of this process: macOS on Intel, whose MAP_JIT memory is writable and executable */
} il_writer;

typedef struct il_region_info {
    uint64_t code_base;            /* RX view */
    uint64_t rodata_base;          /* R view = code_base + IL_RODATA_DELTA */
    uint64_t view_bytes;           /* of each */
    uint32_t writer;               /* il_writer: who can write */
    int32_t writer_pid;
    bool has_seals;                /* how the mapping is held: memfd seals verified by reading them back */
    bool has_mseal;                /*   and the views sealed against remapping */
    uint64_t code_bytes_used;
} il_region_info;

/* Error detail of the last failing call of this thread: the operation (static string) and errno. */
typedef struct il_failure {
    const char *operation;
    int32_t error_number;
} il_failure;
IL_API void il_last_failure(il_failure *failure_out);

/* Opens the process's region on first use (idempotent; later calls ignore the path).  writer_path: absolute path of the
 * interlock-writer program; macOS has none and ignores it.
 *
 * A forked child runs on what was published before, until the parent retires it; the parent's handles are IL_STALE there.  The
 * first il_arena_open of the child opens a region of its own, with the same writer_path (macOS: IL_UNSUPPORTED).  A process that
 * vfork or a bare system call made cannot publish: IL_FORKED. */
IL_API il_status il_region_open(const char *writer_path);
IL_API il_status il_region_describe(il_region_info *info_out);

typedef uint64_t il_arena;         /* index and generation; 0 is never one */
typedef uint64_t il_code;          /* likewise, of a published image */

/* imports: absolute addresses which code of this arena may branch to, in import-index order.  The writer puts a stub for each
 * into the region (target held in the sealed rodata view) and freezes the table. */
IL_API il_status il_arena_open(const uint64_t *imports, uint32_t import_count, const il_policy *policy, uint64_t code_bytes_max,
                               il_arena *arena_out);
/* Retires all code of the arena and frees it for reuse once no thread is inside published code. */
IL_API il_status il_arena_close(il_arena arena);

/* Copy, validate the copy, write that copy, poison the rest of the slot, entries last.  address_out: absolute address of code
 * offset 0.  IL_REJECTED fills verdict_out, and nothing was written. */
IL_API il_status il_publish(il_arena arena, const il_image *image, il_code *code_out, uint64_t *address_out,
                            il_verdict *verdict_out);
/* Poisons the code with trap words at once; the slot is reused only after every thread has left published code. */
IL_API il_status il_retire(il_code code);

/* For the whole process and for good: no new executable memory, no way into other processes (harden_linux.c lists the system
 * calls).  Idempotent.  A region that is not open by then can not be opened any more. */
IL_API il_status il_harden(void);

/* ---- Running ------------------------------------------------------------------------------------------------------------ */
struct il_registers;

typedef struct il_funcref { uint64_t code; void *vmctx; uint64_t type_id; } il_funcref;   /* 24 bytes; closed: vmctx is NULL */

/* One per engine; its first word is what function prologues compare the stack pointer with: [[vmctx + 0] + 0]. */
typedef struct il_exec {
    uint64_t stack_limit;          /* prologues trap when sp is below this; whoever resumes guest code sets its own */
    /* Calls an imported function: regs as in il_registers.  Returns an il_trap_kind (0 = none).  Set by the embedder. */
    uint32_t (*host_call)(void *vmctx, uint32_t import_index, struct il_registers *regs);
    /* Makes function func_index runnable (compile, publish); writes its address.  Returns an il_trap_kind (0 = none). */
    uint32_t (*compile)(void *vmctx, uint32_t func_index, uint64_t *address_out);
    uint64_t stack_bytes_max;      /* of guest code below the outermost entry; 0 = all of the thread's stack */
    bool is_shared;                /* several threads run its code at once: stack_limit stays as it is */
    bool is_native;                /* functions of this exec are plain C functions: no vmctx is passed */
} il_exec;

/* Arguments and results at a crossing, as the platform's C ABI places them: System V AMD64 in rdi rsi rdx rcx r8 r9 (6 are used)
 * and xmm0-7, AAPCS64 in x0-7 and v0-7 (low 8 bytes each), then in stack slots.  Result in integer[0] (rax, x0) or vector[0]. */
typedef struct il_registers {
    uint64_t integer[8];
    uint64_t vector[8];
    const uint64_t *stack;
    uint64_t stack_count;          /* into code; a host function knows its signature and gets 0 */
    bool has_vectors;              /* into code only: whether vector[] is looked at; host functions are given none of this field */
} il_registers;

typedef struct il_trap {
    uint64_t pc;                   /* in the function that trapped, or that called what did */
    uint32_t kind;                 /* il_trap_kind */
} il_trap;

/* Calls a function with these registers on the calling thread's stack (host_to_code); integer[0] becomes its vmctx.  IL_OK, or
 * IL_TRAPPED with *trap_out.  IL_STALE when the function's vmctx is NULL, which is how it is closed; IL_INVALID_ARGUMENT when its
 * address is not in the code view; IL_NO_MEMORY in more than IL_THREADS_MAX threads.  The pointers themselves are not checked:
 * this is what is called often.  The function is read after the thread counts as running: what is cleared before il_is_running()
 * is false cannot be entered. */
IL_API il_status il_call(il_exec *exec, const il_funcref *callee, il_registers *regs, il_trap *trap_out);

/* Whether any thread, this one included, is inside il_call. */
IL_API bool il_is_running(void);

/* Installs the fault handlers if they are not (or no longer) ours; previous ones are chained.  Cheap; call at instantiation. */
IL_API il_status il_traps_install(void);

/* Interrupts the calling thread's guest code after the given time (nanoseconds; 0 cancels): kind IL_TRAP_INTERRUPTED.  The
 * signal repeats until cancelled, so that no race can lose it. */
IL_API il_status il_deadline_set(uint64_t nanoseconds);
/* Whether this thread's deadline has passed, or the call it is in was interrupted: for host functions that wait. */
IL_API bool il_is_interrupted(void);

enum { IL_VMCTX_INTERRUPT = 16 }; /* offset in a vmctx of the 4 bytes that il_interrupt sets */

/* Ends the calls in progress of instances, on all threads, as IL_TRAP_INTERRUPTED: their funcrefs are closed before.  contexts:
 * their vmctx; the word at IL_VMCTX_INTERRUPT of each is set for good.  IL_OK: threads in guest code have left it, those in a
 * gate or a host function will at its end.  A call which another instance's made from a host function goes on to its end, and so
 * does what it returns into.  IL_SYSTEM: a thread blocks IL_TIMER_SIGNAL.  Waits for the threads; not for signal handlers. */
IL_API il_status il_interrupt(void *const *contexts, uint32_t count);

/* The gates that lowered code may import, as interlock/gates.def lists them: name and address; NULL behind the last. */
IL_API const char *il_gate(uint32_t index, uint64_t *address_out);

/* ---- Linear memory and tables (runtime structs shared with lowered code; see docs/internals/abi.md) ------------------------ */
typedef struct il_memory {
    uint8_t *base;                 /* never moves */
    uint64_t length_bytes;         /* current, a multiple of 64 KiB */
    uint64_t maximum_bytes;        /* growth beyond fails */
    uint64_t reserved_bytes;       /* of address space, guard included */
} il_memory;

typedef struct il_table {
    il_funcref **elems;            /* never moves; null elements are NULL */
    uint64_t length;
    uint64_t maximum;
    uint64_t reserved_bytes;
} il_table;

typedef struct il_segment { const void *start; uint64_t length; } il_segment;  /* passive data (bytes) or elem (il_funcref *); dropped: 0 */

IL_API il_status il_memory_open(uint64_t minimum_bytes, uint64_t maximum_bytes, il_memory *memory_out);
IL_API il_status il_memory_close(il_memory *memory);
/* previous length in pages, or -1 */
IL_API int64_t il_memory_grow(il_memory *memory, uint64_t delta_pages);
IL_API il_status il_table_open(uint64_t minimum, uint64_t maximum, il_table *table_out);
IL_API il_status il_table_close(il_table *table);

#endif
