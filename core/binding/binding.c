/* binding.c - what is hot or needs a C type: exported functions as builtins, host functions, the buffer of a linear memory.
 *
 * Everything else calls libinterlock through ctypes (interlock/core/library.py).  The GIL is held in all of it, but not by code
 * of a shared il_exec (Config.release_gil): there host functions take it.  Objects that are part of reference cycles are known to
 * the collector.
 */
#include <stdbool.h>
#include <string.h>

#include "arch_abi.h"
#include "interlock.h"
#include "python_abi.h"

/* A call costs as much as what is not inlined into it. */
#define HOT static inline __attribute__((always_inline))

enum { PARAMS_MAX = 1000, RESULTS_MAX = 1000 };

/* A parameter or result: its letter (interlock/runtime/externals.py), the 8-byte word of il_registers where the platform's C ABI
 * has it (from REGISTER_WORDS on, a word of the stack; of several results, of their slots), and of an integer which values it
 * takes: from low to high and, as `I` or `U`, up to 2^64 - 1.  mask: its bits; 0 if it is none. */
typedef struct value_type {
    int64_t low, high;
    uint64_t mask;
    uint16_t word;
    char letter;
} value_type;
enum { REGISTER_WORDS = sizeof(il_registers) / 8, VECTOR_WORD = offsetof(il_registers, vector) / 8 };
typedef struct signature {
    uint32_t param_count, result_count, stack_count;
    bool has_vectors;
    value_type values[]; /* params, then results */
} signature;

/* How our objects begin.  The owner keeps alive what they point to. */
typedef struct owned {
    PyObject head;
    PyObject *owner;
} owned;

/* A builtin's self. */
typedef struct function {
    owned base;             /* the owner makes exceptions, too */
    PyMethodDef definition; /* the builtin points to it */
    il_exec *exec;
    const il_funcref *funcref;
    signature *type;
    char *text;             /* name, NUL, documentation, NUL */
} function;

/* What vmctx+8 points to: an instance and the Python functions that it imports.  Borrowed: the instance owns them. */
typedef struct host_function {
    PyObject *call; /* NULL: the import is no Python function */
    signature *type;
    const char *name;
} host_function;
typedef struct instance_record {
    PyObject *instance;
    uint32_t count;
    host_function functions[];
} instance_record;

typedef struct memory {
    owned base;
    il_memory *live;  /* in the instance's vmctx: current length */
    il_memory taken;  /* what must be closed */
    Py_ssize_t exports;
    bool is_closing;
} memory;

static PyTypeObject *function_type, *memory_type;
static PyObject *closed_error;

/* ---- Values ---------------------------------------------------------------------------------------------------------------- */
static bool is_vector(char letter) { return letter == 'f' || letter == 'F'; }

static value_type value_type_of(char letter, uint32_t word) {
    if (strchr("fFb", letter) != NULL) return (value_type){.word = (uint16_t)word, .letter = letter};
    const bool is_wide = strchr("ISU", letter) != NULL;
    return (value_type){
        .low = strchr("uU", letter) != NULL ? 0 : is_wide ? INT64_MIN : INT32_MIN,
        .high = is_wide ? INT64_MAX : letter == 's' ? INT32_MAX : (int64_t)UINT32_MAX,
        .mask = is_wide ? UINT64_MAX : UINT32_MAX,
        .word = (uint16_t)word,
        .letter = letter,
    };
}

/* From `ii:F`.  integers: how many integer registers are taken by what comes before the
 * parameters, besides the result's slots. */
static signature *parse_signature(const char *text, uint32_t integers) {
    const size_t length = strlen(text), param_count = strcspn(text, ":");
    bool is_good = param_count < length && param_count <= PARAMS_MAX && length - param_count - 1 <= RESULTS_MAX;
    for (size_t i = 0; is_good && i < length; i++) is_good = i == param_count || strchr("iIfFsSuUb", text[i]) != NULL;
    if (!is_good) return (void)PyErr_Format(PyExc_TypeError, "values of these types (%s) cannot be Python objects", text), NULL;
    signature *type = PyMem_Malloc(sizeof *type + length * sizeof *type->values);
    if (type == NULL) return (void)PyErr_NoMemory(), NULL;
    *type = (signature){.param_count = (uint32_t)param_count, .result_count = (uint32_t)(length - param_count - 1)};
    uint32_t vectors = 0;
    if (type->result_count > 1) integers++;
    for (size_t i = 0; i < param_count; i++) {
        const bool is_in_vector = is_vector(text[i]);
        const uint32_t word = is_in_vector && vectors < IL_VECTOR_REGISTERS      ? VECTOR_WORD + vectors++
                              : !is_in_vector && integers < IL_INTEGER_REGISTERS ? integers++
                                                                                 : REGISTER_WORDS + type->stack_count++;
        type->values[i] = value_type_of(text[i], word);
    }
    type->has_vectors = vectors != 0;
    const uint32_t first = type->result_count > 1 ? REGISTER_WORDS : is_vector(text[length - 1]) ? VECTOR_WORD : 0;
    for (uint32_t i = 0; i < type->result_count; i++)
        type->values[param_count + i] = value_type_of(text[param_count + 1 + i], first + i);
    return type;
}

/* What PyLong_AsLongLongAndOverflow returned -1 for, or what is out of range. */
static bool odd_integer_from(PyObject *value, long long number, int overflow, const value_type *type, uint64_t *out) {
    if (number == -1 && overflow == 0) {
        *out = type->mask;
        if (PyErr_Occurred() != NULL) return false;
        if (type->low < 0) return true;
    }
    if (overflow > 0 && (type->letter == 'I' || type->letter == 'U')) {
        *out = PyLong_AsUnsignedLongLong(value);
        if (*out != UINT64_MAX || PyErr_Occurred() == NULL) return true;
        PyErr_Clear();
    }
    return (void)PyErr_Format(PyExc_OverflowError, "%c%s does not hold this integer", type->low == 0 ? 'u' : 'i',
                              type->mask == UINT64_MAX ? "64" : "32"), false;
}

/* Integers: any value that fits the type, of either sign if its letter is i or I. */
HOT bool bits_from(PyObject *value, const value_type *type, uint64_t *out) {
    if (type->mask != 0) {
        int overflow = 0;
        const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (number == -1 || number < type->low || number > type->high)
            return odd_integer_from(value, number, overflow, type, out);
        *out = (uint64_t)number & type->mask;
        return true;
    }
    if (type->letter == 'b') {
        *out = value == Py_True;
        return value == Py_True || value == Py_False || ((void)PyErr_Format(PyExc_TypeError, "a bool is wanted here"), false);
    }
    const double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred() != NULL) return false;
    const float narrow = (float)number;
    *out = 0;
    if (type->letter == 'F') memcpy(out, &number, sizeof number);
    else memcpy(out, &narrow, sizeof narrow);
    return true;
}

HOT PyObject *value_from(uint64_t bits, const value_type *type) {
    double number;
    float narrow;
    switch (type->letter) {
    case 'i':
    case 's': return PyLong_FromLong((int32_t)(uint32_t)bits);
    case 'I':
    case 'S': return PyLong_FromLongLong((int64_t)bits);
    case 'u':
    case 'U': return PyLong_FromUnsignedLongLong(bits & type->mask);
    case 'b': return PyBool_FromLong((uint32_t)bits != 0);
    case 'F': memcpy(&number, &bits, sizeof number); return PyFloat_FromDouble(number);
    default: memcpy(&narrow, &bits, sizeof narrow); return PyFloat_FromDouble((double)narrow);
    }
}

/* ---- Python calls published code ------------------------------------------------------------------------------------------- */
static PyObject *raise_trap(const function *self, const il_trap *trap) {
    if (trap->kind == IL_TRAP_HOST_ERROR && PyErr_Occurred() != NULL) return NULL;
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    /* Ctrl-C: what Python's handler raises (KeyboardInterrupt) is the answer, after the owner has heard of the trap. */
    if (trap->kind == IL_TRAP_INTERRUPTED && PyErr_CheckSignals() != 0) PyErr_Fetch(&type, &value, &traceback);
    PyObject *error = PyObject_CallMethod(self->base.owner, "make_trap", "IK", trap->kind, trap->pc);
    if (type != NULL) PyErr_Restore(type, value, traceback);
    else if (error != NULL) PyErr_SetObject((PyObject *)error->ob_type, error);
    if (error != NULL) Py_DecRef(error);
    return NULL;
}

/* rest: the stack, or the slots of several results. */
static PyObject *tuple_from(const value_type *types, uint32_t count, const il_registers *regs, const uint64_t *rest) {
    const uint64_t *words = (const uint64_t *)regs;
    PyObject *tuple = PyTuple_New((Py_ssize_t)count);
    for (uint32_t i = 0; tuple != NULL && i < count; i++) {
        const uint32_t word = types[i].word;
        PyObject *value = value_from(word < REGISTER_WORDS ? words[word] : rest[word - REGISTER_WORDS], &types[i]);
        if (value == NULL || PyTuple_SetItem(tuple, (Py_ssize_t)i, value) != 0) return Py_DecRef(tuple), NULL;
    }
    return tuple;
}

static PyObject *results_from(const signature *type, const il_registers *regs, const uint64_t *slots) {
    const value_type *types = type->values + type->param_count;
    if (type->result_count == 0) return Py_IncRef(Py_None), Py_None;
    if (type->result_count == 1) return value_from(((const uint64_t *)regs)[types->word], types);
    return tuple_from(types, type->result_count, regs, slots);
}

/* words: il_registers and then the stack. */
HOT PyObject *call_placed(function *self, PyObject *const *args, uint64_t *words, uint64_t *slots) {
    const signature *type = self->type;
    il_registers *regs = (il_registers *)words;
    /* Zeros: nothing of the host's stack goes along.  il_call puts vmctx first. */
    *regs = (il_registers){.stack = words + REGISTER_WORDS, .stack_count = type->stack_count, .has_vectors = type->has_vectors};
    if (type->result_count > 1) regs->integer[self->exec->is_native ? 0 : 1] = (uint64_t)(uintptr_t)slots;
    for (uint32_t i = 0; i < type->param_count; i++)
        if (!bits_from(args[i], &type->values[i], &words[type->values[i].word])) return NULL;
    il_trap trap;
    /* The caller holds the builtin, which holds self, which holds the owner: all of them outlive the call. */
    void *thread = self->exec->is_shared ? PyEval_SaveThread() : NULL;
    const il_status status = il_call(self->exec, self->funcref, regs, &trap);
    if (thread != NULL) PyEval_RestoreThread(thread);
    if (status == IL_OK) return results_from(type, regs, slots);
    if (status == IL_TRAPPED) return raise_trap(self, &trap);
    if (status == IL_STALE) return PyErr_Format(closed_error, "%s: it is closed", self->definition.ml_name);
    return PyErr_Format(PyExc_RuntimeError, "il_call: %s", il_status_text(status));
}

/* Few functions have so many parameters or results: their room is not on every call's stack. */
static __attribute__((noinline)) PyObject *call_wide(function *self, PyObject *const *args) {
    uint64_t words[REGISTER_WORDS + PARAMS_MAX + 2], slots[RESULTS_MAX];
    return call_placed(self, args, words, slots);
}

static PyObject *call_function(PyObject *self_object, PyObject *const *args, Py_ssize_t count) {
    enum { FEW = 6 };
    function *self = (function *)self_object;
    uint64_t words[REGISTER_WORDS + FEW], slots[FEW];
    if (count != (Py_ssize_t)self->type->param_count)
        return PyErr_Format(PyExc_TypeError, "%s takes %u argument%s, not %zd", self->definition.ml_name, self->type->param_count,
                            self->type->param_count == 1 ? "" : "s", count);
    if (self->type->stack_count > FEW || self->type->result_count > FEW) return call_wide(self, args);
    return call_placed(self, args, words, slots);
}

/* No tp_clear: the owner must outlive what it owns, and breaks the cycle when it is cleared. */
static int traverse(owned *self, visitproc visit, void *argument) {
    const int found = visit((PyObject *)self->head.ob_type, argument);
    return found != 0 || self->owner == NULL ? found : visit(self->owner, argument);
}

static void owned_free(owned *self) {
    PyTypeObject *type = self->head.ob_type;
    if (self->owner != NULL) Py_DecRef(self->owner);
    PyObject_GC_Del(self);
    Py_DecRef((PyObject *)type);
}

static void function_dealloc(function *self) {
    PyObject_GC_UnTrack(self);
    PyMem_Free(self->type);
    PyMem_Free(self->text);
    owned_free(&self->base);
}

/* make_function(name, doc, exec address, funcref address, signature, owner) */
static PyObject *make_function(PyObject *module, PyObject *args) {
    (void)module;
    const char *name, *doc, *letters;
    unsigned long long exec, funcref;
    PyObject *owner;
    if (!PyArg_ParseTuple(args, "ssKKsO", &name, &doc, &exec, &funcref, &letters, &owner)) return NULL;
    const size_t name_bytes = strlen(name) + 1, doc_bytes = strlen(doc) + 1;
    signature *type = parse_signature(letters, ((const il_exec *)(uintptr_t)exec)->is_native ? 0 : 1);
    function *self = type == NULL ? NULL : (function *)PyType_GenericAlloc(function_type, 0);
    if (self == NULL) return PyMem_Free(type), NULL;
    self->type = type;
    self->text = PyMem_Malloc(name_bytes + doc_bytes);
    Py_IncRef(self->base.owner = owner);
    if (self->text == NULL) return Py_DecRef((PyObject *)self), PyErr_NoMemory();
    memcpy(self->text, name, name_bytes);
    memcpy(self->text + name_bytes, doc, doc_bytes);
    self->exec = (il_exec *)(uintptr_t)exec;
    self->funcref = (const il_funcref *)(uintptr_t)funcref;
    self->definition = (PyMethodDef){self->text, (PyCFunction)(void (*)(void))call_function, METH_FASTCALL, self->text + name_bytes};
    PyObject *builtin = PyCFunction_NewEx(&self->definition, (PyObject *)self, NULL);
    Py_DecRef((PyObject *)self);
    return builtin;
}

/* ---- Published code calls Python ------------------------------------------------------------------------------------------- */
static instance_record *record_of(void *vmctx) { return *(instance_record **)((uint8_t *)vmctx + 8); }

static bool store_results(const host_function *to, PyObject *result, il_registers *regs, uint64_t *slots) {
    const signature *type = to->type;
    const value_type *values = type->values + type->param_count;
    if (type->result_count == 0) {
        if (result == Py_None) return true;
        return (void)PyErr_Format(PyExc_TypeError, "host function %s must return None", to->name), false;
    }
    if (type->result_count == 1)
        return bits_from(result, values, (uint64_t *)regs + values->word);
    enum { TUPLE_SUBCLASS = 1 << 26 };
    if (!(PyType_GetFlags(result->ob_type) & TUPLE_SUBCLASS) || PyTuple_Size(result) != (Py_ssize_t)type->result_count)
        return (void)PyErr_Format(PyExc_TypeError, "host function %s must return a tuple of %u", to->name, type->result_count), false;
    for (uint32_t i = 0; i < type->result_count; i++)
        if (!bits_from(PyTuple_GetItem(result, (Py_ssize_t)i), &values[i], &slots[i])) return false;
    return true;
}

static uint32_t call_host_held(void *vmctx, uint32_t index, void *argument) {
    il_registers *regs = argument;
    const instance_record *record = record_of(vmctx);
    const bool is_known = record != NULL && index < record->count && record->functions[index].call != NULL;
    if (!is_known) {
        (void)PyErr_Format(closed_error, "the instance which imports host function %u is closed", index);
        return IL_TRAP_HOST_ERROR;
    }
    /* The call may close the instance, and with it the record. */
    const host_function function = record->functions[index];
    PyObject *instance = record->instance;
    uint64_t *slots = (uint64_t *)(uintptr_t)regs->integer[1]; /* after vmctx, if there are several results */
    PyObject *args = tuple_from(function.type->values, function.type->param_count, regs, regs->stack);
    if (args == NULL) return IL_TRAP_HOST_ERROR;
    Py_IncRef(instance);
    Py_IncRef(function.call);
    PyObject *result = PyObject_Call(function.call, args, NULL);
    Py_DecRef(args);
    Py_DecRef(function.call);
    /* A record lives until the outermost call has returned (instance.py), so the signature is still there. */
    const bool is_done = result != NULL && store_results(&function, result, regs, slots);
    if (result != NULL) Py_DecRef(result);
    Py_DecRef(instance);
    return is_done ? IL_TRAP_NONE : IL_TRAP_HOST_ERROR;
}

static uint32_t compile_held(void *vmctx, uint32_t index, void *address_out) {
    const instance_record *record = record_of(vmctx);
    if (record == NULL) return (void)PyErr_Format(closed_error, "the instance is closed"), IL_TRAP_HOST_ERROR;
    PyObject *instance = record->instance;
    Py_IncRef(instance);
    PyObject *address = PyObject_CallMethod(instance, "compile_function", "I", index);
    Py_DecRef(instance);
    if (address == NULL) return IL_TRAP_HOST_ERROR;
    *(uint64_t *)address_out = PyLong_AsUnsignedLongLong(address);
    Py_DecRef(address);
    return PyErr_Occurred() == NULL ? IL_TRAP_NONE : IL_TRAP_HOST_ERROR;
}

/* An exception stays with the thread when it lets go of the GIL. */
HOT uint32_t with_gil(uint32_t (*held)(void *, uint32_t, void *), void *vmctx, uint32_t index, void *argument) {
    if (!(*(il_exec **)vmctx)->is_shared) return held(vmctx, index, argument);
    const int state = PyGILState_Ensure();
    const uint32_t kind = held(vmctx, index, argument);
    PyGILState_Release(state);
    return kind;
}

/* For il_exec.host_call and il_exec.compile: code calls their addresses. */
static uint32_t call_host(void *vmctx, uint32_t index, il_registers *regs) {
    return with_gil(call_host_held, vmctx, index, regs);
}

static uint32_t compile_function(void *vmctx, uint32_t index, uint64_t *address_out) {
    return with_gil(compile_held, vmctx, index, address_out);
}

static void free_record(instance_record *record) {
    for (uint32_t i = 0; i < record->count; i++) PyMem_Free(record->functions[i].type);
    PyMem_Free(record);
}

/* register_instance(instance, vmctx address, functions) with functions = ((callable, signature, name) | None, …).  The caller
 * keeps the tuple alive as long as the record. */
static PyObject *register_instance(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *instance, *functions;
    unsigned long long vmctx;
    if (!PyArg_ParseTuple(args, "OKO", &instance, &vmctx, &functions)) return NULL;
    const Py_ssize_t count = PyTuple_Size(functions);
    if (count < 0) return NULL;
    instance_record *record = PyMem_Malloc(sizeof *record + (size_t)count * sizeof *record->functions);
    if (record == NULL) return PyErr_NoMemory();
    record->instance = instance;
    for (record->count = 0; record->count < (uint32_t)count; record->count++) {
        host_function *each = &record->functions[record->count];
        PyObject *item = PyTuple_GetItem(functions, (Py_ssize_t)record->count);
        const char *letters;
        *each = (host_function){NULL, NULL, NULL};
        if (item == Py_None) continue;
        if (!PyArg_ParseTuple(item, "Oss", &each->call, &letters, &each->name) ||
            (each->type = parse_signature(letters, 1)) == NULL)
            return free_record(record), NULL;
    }
    *(instance_record **)((uint8_t *)(uintptr_t)vmctx + 8) = record;
    return Py_IncRef(Py_None), Py_None;
}

/* forget_instance(vmctx address) */
static PyObject *forget_instance(PyObject *module, PyObject *address) {
    (void)module;
    const unsigned long long vmctx = PyLong_AsUnsignedLongLong(address);
    if (PyErr_Occurred() != NULL) return NULL;
    instance_record **place = (instance_record **)((uint8_t *)(uintptr_t)vmctx + 8);
    if (*place != NULL) free_record(*place);
    *place = NULL;
    return Py_IncRef(Py_None), Py_None;
}

/* ---- The buffer of a linear memory ----------------------------------------------------------------------------------------- */
static PyObject *memory_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    (void)keywords;
    unsigned long long address;
    PyObject *owner, *ignored = NULL;
    if (!PyArg_ParseTuple(args, "KO|O", &address, &owner, &ignored)) return NULL;
    memory *self = (memory *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    self->live = (il_memory *)(uintptr_t)address;
    self->taken = *self->live;
    Py_IncRef(self->base.owner = owner);
    return (PyObject *)self;
}

static void memory_release(memory *self) {
    if (self->taken.base != NULL && self->is_closing && self->exports == 0) (void)il_memory_close(&self->taken);
}

/* close_buffer(): nothing can be read from now on; the mapping goes when the last view of it is released. */
static PyObject *memory_close(PyObject *object, PyObject *nothing) {
    memory *self = (memory *)object;
    (void)nothing;
    self->is_closing = true;
    memory_release(self);
    return Py_IncRef(Py_None), Py_None;
}

static int memory_getbuffer(memory *self, Py_buffer *view, int flags) {
    if (self->is_closing) {
        view->obj = NULL;
        return (void)PyErr_Format(closed_error, "the memory is closed"), -1;
    }
    if (PyBuffer_FillInfo(view, (PyObject *)self, self->taken.base, (Py_ssize_t)self->live->length_bytes, 0, flags) != 0)
        return -1;
    self->exports++;
    return 0;
}

static void memory_releasebuffer(memory *self, Py_buffer *view) {
    (void)view;
    self->exports--;
    memory_release(self);
}

static void memory_dealloc(memory *self) {
    PyObject_GC_UnTrack(self);
    self->is_closing = true;
    self->exports = 0;
    memory_release(self);
    owned_free(&self->base);
}

/* ---- The module ------------------------------------------------------------------------------------------------------------ */
static PyMethodDef memory_methods[] = {{"close_buffer", memory_close, METH_NOARGS, NULL}, {0}};
#define SLOT(function) ((void *)(uintptr_t)(function))
static PyType_Slot function_slots[] = {{Py_tp_dealloc, SLOT(function_dealloc)}, {Py_tp_traverse, SLOT(traverse)}, {0, NULL}};
static PyType_Slot memory_slots[] = {{Py_tp_new, SLOT(memory_new)}, {Py_tp_dealloc, SLOT(memory_dealloc)}, {Py_tp_traverse, SLOT(traverse)},
                                     {Py_tp_methods, memory_methods}, {Py_bf_getbuffer, SLOT(memory_getbuffer)},
                                     {Py_bf_releasebuffer, SLOT(memory_releasebuffer)}, {0, NULL}};
static PyType_Spec function_spec = {"interlock.core.Function", sizeof(function), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, function_slots};
static PyType_Spec memory_spec = {"interlock.core.MemoryBuffer", sizeof(memory), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE, memory_slots};
static PyMethodDef methods[] = {{"make_function", make_function, METH_VARARGS, NULL},
                                {"register_instance", register_instance, METH_VARARGS, NULL},
                                {"forget_instance", forget_instance, METH_O, NULL},
                                {0}};
static PyModuleDef definition = {.m_base = {{1, NULL}, NULL, 0, NULL}, .m_name = "interlock.core._binding", .m_size = -1, .m_methods = methods};

IL_API PyObject *PyInit__binding(void);
PyObject *PyInit__binding(void) {
    PyObject *module = PyModule_Create2(&definition, PYTHON_ABI_VERSION);
    if (module == NULL) return NULL;
    PyObject *errors = PyImport_ImportModule("interlock.errors");
    closed_error = errors == NULL ? NULL : PyObject_GetAttrString(errors, "ClosedError");
    function_type = (PyTypeObject *)PyType_FromSpec(&function_spec);
    memory_type = (PyTypeObject *)PyType_FromSpec(&memory_spec);
    if (closed_error == NULL || function_type == NULL || memory_type == NULL ||
        PyModule_AddObjectRef(module, "MemoryBuffer", (PyObject *)memory_type) != 0 ||
        PyModule_AddIntConstant(module, "HOST_CALL", (long)(uintptr_t)call_host) != 0 ||
        PyModule_AddIntConstant(module, "COMPILE", (long)(uintptr_t)compile_function) != 0)
        return NULL;
    return module;
}
