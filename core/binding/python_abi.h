/* python_abi.h - the part of Python's stable ABI (3.11) that the binding uses, declared here so that no Python is needed to
 * build.  Layouts and signatures: PEP 384 and the reference "C API Stability". */
#ifndef IL_PYTHON_ABI_H
#define IL_PYTHON_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef intptr_t Py_ssize_t;
typedef struct PyTypeObject PyTypeObject;
typedef struct PyObject { Py_ssize_t ob_refcnt; PyTypeObject *ob_type; } PyObject;
typedef PyObject *(*PyCFunction)(PyObject *, PyObject *);
typedef PyObject *(*PyCFunctionFast)(PyObject *, PyObject *const *, Py_ssize_t);
typedef int (*visitproc)(PyObject *, void *);
typedef struct PyMethodDef { const char *ml_name; PyCFunction ml_meth; int ml_flags; const char *ml_doc; } PyMethodDef;
typedef struct PyType_Slot { int slot; void *pfunc; } PyType_Slot;
typedef struct PyType_Spec { const char *name; int basicsize, itemsize; unsigned flags; PyType_Slot *slots; } PyType_Spec;
typedef struct PyModuleDef_Base { PyObject ob_base; PyObject *(*m_init)(void); Py_ssize_t m_index; PyObject *m_copy; } PyModuleDef_Base;
typedef struct PyModuleDef {
    PyModuleDef_Base m_base;
    const char *m_name, *m_doc;
    Py_ssize_t m_size;
    PyMethodDef *m_methods;
    void *m_slots, *m_traverse, *m_clear, *m_free;
} PyModuleDef;
typedef struct Py_buffer {
    void *buf;
    PyObject *obj;
    Py_ssize_t len, itemsize;
    int readonly, ndim;
    char *format;
    Py_ssize_t *shape, *strides, *suboffsets;
    void *internal;
} Py_buffer;

enum { METH_VARARGS = 1, METH_NOARGS = 4, METH_O = 8, METH_FASTCALL = 0x80 };
enum { Py_bf_getbuffer = 1, Py_bf_releasebuffer = 2, Py_tp_clear = 51, Py_tp_dealloc = 52, Py_tp_methods = 64, Py_tp_new = 65,
       Py_tp_traverse = 71 };
enum { Py_TPFLAGS_BASETYPE = 1 << 10, Py_TPFLAGS_HAVE_GC = 1 << 14, Py_TPFLAGS_DEFAULT = 1 << 18 };
enum { PYTHON_API_VERSION = 1013, PYTHON_ABI_VERSION = 3 };

extern PyObject *PyExc_OverflowError, *PyExc_RuntimeError, *PyExc_TypeError;
extern PyObject _Py_NoneStruct, _Py_TrueStruct, _Py_FalseStruct; /* the last two are ints */
#define Py_None (&_Py_NoneStruct)
#define Py_True (&_Py_TrueStruct)
#define Py_False (&_Py_FalseStruct)

void Py_IncRef(PyObject *);
void Py_DecRef(PyObject *);
PyObject *PyErr_Format(PyObject *, const char *, ...);
PyObject *PyErr_Occurred(void);
void PyErr_SetObject(PyObject *, PyObject *);
void PyErr_Clear(void);
int PyErr_CheckSignals(void);
void *PyEval_SaveThread(void);
void PyEval_RestoreThread(void *);
int PyGILState_Ensure(void);
void PyGILState_Release(int);
void PyErr_Fetch(PyObject **, PyObject **, PyObject **);
void PyErr_Restore(PyObject *, PyObject *, PyObject *);
PyObject *PyErr_NoMemory(void);
PyObject *PyBool_FromLong(long);
PyObject *PyLong_FromLong(long);
PyObject *PyLong_FromLongLong(long long);
PyObject *PyLong_FromUnsignedLongLong(unsigned long long);
long long PyLong_AsLongLongAndOverflow(PyObject *, int *);
unsigned long long PyLong_AsUnsignedLongLong(PyObject *);
PyObject *PyFloat_FromDouble(double);
double PyFloat_AsDouble(PyObject *);
PyObject *PyTuple_New(Py_ssize_t);
Py_ssize_t PyTuple_Size(PyObject *);
PyObject *PyTuple_GetItem(PyObject *, Py_ssize_t);
int PyTuple_SetItem(PyObject *, Py_ssize_t, PyObject *);
unsigned long PyType_GetFlags(PyTypeObject *);
PyObject *PyObject_Call(PyObject *, PyObject *, PyObject *);
PyObject *PyObject_CallMethod(PyObject *, const char *, const char *, ...);
PyObject *PyObject_GetAttrString(PyObject *, const char *);
void PyObject_GC_UnTrack(void *);
void PyObject_GC_Del(void *);
PyObject *PyType_GenericAlloc(PyTypeObject *, Py_ssize_t);
PyObject *PyType_FromSpec(PyType_Spec *);
PyObject *PyCFunction_NewEx(PyMethodDef *, PyObject *, PyObject *);
int PyBuffer_FillInfo(Py_buffer *, PyObject *, void *, Py_ssize_t, int, int);
int PyArg_ParseTuple(PyObject *, const char *, ...);
PyObject *PyModule_Create2(PyModuleDef *, int);
int PyModule_AddObjectRef(PyObject *, const char *, PyObject *);
int PyModule_AddIntConstant(PyObject *, const char *, long);
PyObject *PyImport_ImportModule(const char *);
void *PyMem_Malloc(size_t);
void PyMem_Free(void *);

#endif
