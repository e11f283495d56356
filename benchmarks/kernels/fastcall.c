/* fastcall.c - a METH_FASTCALL function (int, int) -> int as a C extension writes it, declared without Python.h.
 * The prototypes and struct layouts are those of the stable ABI; PyMethodDef and PyModuleDef have not changed since 3.7. */
#include <stddef.h>
#include <stdint.h>

typedef struct object object;
typedef object *(*fast_function)(object *, object *const *, ptrdiff_t);
typedef struct method { const char *name; fast_function function; int flags; const char *doc; } method;
typedef struct module_definition {
    ptrdiff_t reference_count; void *type; object *(*init)(void); ptrdiff_t index; object *copy;
    const char *name, *doc; ptrdiff_t size; method *methods; void *slots, *traverse, *clear, *free;
} module_definition;

extern object *PyModule_Create2(module_definition *, int);
extern long PyLong_AsLong(object *);
extern object *PyLong_FromLong(long);
extern object *PyErr_Occurred(void);
extern void PyErr_SetString(object *, const char *);
extern object *PyExc_TypeError, *PyExc_OverflowError;

static object *add(object *self, object *const *args, ptrdiff_t count) {
    (void)self;
    if (count != 2) return PyErr_SetString(PyExc_TypeError, "two integers expected"), NULL;
    long left = PyLong_AsLong(args[0]);
    if (left == -1 && PyErr_Occurred()) return NULL;
    long right = PyLong_AsLong(args[1]);
    if (right == -1 && PyErr_Occurred()) return NULL;
    if (left != (int32_t)left || right != (int32_t)right) return PyErr_SetString(PyExc_OverflowError, "32 bits expected"), NULL;
    return PyLong_FromLong((int32_t)((uint32_t)left + (uint32_t)right));
}

static method METHODS[] = {{"add", add, 0x80 /* METH_FASTCALL */, NULL}, {NULL, NULL, 0, NULL}};
static module_definition MODULE = {.reference_count = 1, .name = "fastcall", .size = -1, .methods = METHODS};

__attribute__((visibility("default"))) object *PyInit_fastcall(void) { return PyModule_Create2(&MODULE, 3); }
__attribute__((visibility("default"))) int32_t add_plain(int32_t left, int32_t right) { return (int32_t)((uint32_t)left + (uint32_t)right); }
