"""libinterlock through ctypes: structs and prototypes of `core/include/interlock.h`, and nothing more.

`CORE` releases the GIL during a call (publishing waits for the writer process); `CORE_HELD` does not.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.errors import ClosedError, CodeMemoryError, InternalError, UnsupportedError

if TYPE_CHECKING:
    from types import ModuleType

# os.path, not pathlib: start-up time.
_NATIVE: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_native")  # noqa: PTH100, PTH118, PTH120
WRITER_PATH: Final = f"{_NATIVE}/interlock-writer"
_LIBRARY: Final = "libinterlock.dylib" if sys.platform == "darwin" else "libinterlock.so"

# il_status
OK: Final = 0
REJECTED: Final = 1
INVALID_ARGUMENT: Final = 3
STALE: Final = 8

# il_writer
WRITER_PROCESS: Final = 1
WRITER_CALLBACK: Final = 3

_u32, _u64, _pointer, _bool = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_bool


class Image(ctypes.Structure):
    """il_image."""

    _fields_ = (
        ("arch", _u32),
        ("code_bytes", _u32),
        ("rodata_bytes", _u32),
        ("entry_count", _u32),
        ("relocation_count", _u32),
        ("jump_table_count", _u32),
        # Bytes, which the struct keeps alive.
        ("code", ctypes.c_char_p),
        ("rodata", ctypes.c_char_p),
        ("entries", ctypes.c_char_p),
        ("relocations", ctypes.c_char_p),
        ("jump_tables", ctypes.c_char_p),
    )


# The maxima of il_policy.  Spelled here too: the package's own class costs an import that most programs do not need.
POLICY_MAXIMA: Final = (
    "image_code_bytes_max",
    "image_rodata_bytes_max",
    "image_entries_max",
    "image_relocations_max",
    "image_tables_max",
    "frame_bytes_max",
)


class Policy(ctypes.Structure):
    """il_policy."""

    _fields_ = (
        ("refused_classes", _u32),
        ("refused_imports", _u32 * (limits.ARENA_IMPORTS_MAX // 32)),
        *((name, _u32) for name in POLICY_MAXIMA),
    )


class Verdict(ctypes.Structure):
    """il_verdict."""

    _fields_ = (
        ("rule", _u32),
        ("offset", _u32),
        ("bytes", ctypes.c_uint8 * 16),
        ("bytes_count", _u32),
        ("detail", ctypes.c_char * 96),
    )


class Published(ctypes.Structure):
    """What il_publish writes: one object to make, not three."""

    _fields_ = (("code", _u64), ("address", _u64), ("verdict", Verdict))


class RegionInfo(ctypes.Structure):
    """il_region_info."""

    _fields_ = (
        ("code_base", _u64),
        ("rodata_base", _u64),
        ("view_bytes", _u64),
        ("writer", _u32),
        ("writer_pid", ctypes.c_int32),
        ("has_seals", _bool),
        ("has_mseal", _bool),
        ("code_bytes_used", _u64),
    )


class Failure(ctypes.Structure):
    """il_failure."""

    _fields_ = (("operation", ctypes.c_char_p), ("error_number", ctypes.c_int32))


class Exec(ctypes.Structure):
    """il_exec."""

    _fields_ = (
        ("stack_limit", _u64),
        ("host_call", _pointer),
        ("compile", _pointer),
        ("stack_bytes_max", _u64),
        ("is_shared", _bool),
        ("is_native", _bool),
    )


REPORT: Final = ctypes.CFUNCTYPE(None, _pointer, ctypes.POINTER(Verdict))

_PROTOTYPES: Final = {
    "il_status_text": (ctypes.c_char_p, (_u32,)),
    "il_trap_text": (ctypes.c_char_p, (_u32,)),
    "il_rule_text": (ctypes.c_char_p, (_u32,)),
    "il_last_failure": (None, (_pointer,)),
    "il_validate": (_u32, (_pointer, _pointer, _u32, _pointer, _pointer, _pointer)),
    "il_region_open": (_u32, (ctypes.c_char_p,)),
    "il_region_describe": (_u32, (_pointer,)),
    "il_harden": (_u32, ()),
    "il_arena_open": (_u32, (_pointer, _u32, _pointer, _u64, _pointer)),
    "il_arena_close": (_u32, (_u64,)),
    "il_publish": (_u32, (_u64, _pointer, _pointer, _pointer, _pointer)),
    "il_retire": (_u32, (_u64,)),
    "il_is_running": (_bool, ()),
    "il_traps_install": (_u32, ()),
    "il_deadline_set": (_u32, (_u64,)),
    "il_is_interrupted": (_bool, ()),
    "il_interrupt": (_u32, (_pointer, _u32)),
    "il_gate": (ctypes.c_char_p, (_u32, _pointer)),
    "il_memory_open": (_u32, (_u64, _u64, _pointer)),
    "il_memory_grow": (ctypes.c_int64, (_pointer, _u64)),
    "il_table_open": (_u32, (_u64, _u64, _pointer)),
    "il_table_close": (_u32, (_pointer,)),
}


def _load_core(kind: type[ctypes.CDLL]) -> ctypes.CDLL:
    path = f"{_NATIVE}/{_LIBRARY}"
    try:
        library = kind(path)
    except OSError as error:
        message = f"load {path} (install the package, or run: python core/build.py {_NATIVE})"
        raise CodeMemoryError(operation=message, status=str(error)) from None
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _load_binding() -> ModuleType:
    name = "interlock.core._binding"
    path = f"{_NATIVE}/_binding.abi3.so"
    loader = importlib.machinery.ExtensionFileLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:
        raise InternalError(stage="core", detail=f"no module spec for {path}")
    try:
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except ImportError as error:
        message = f"this build of Python, which cannot load {path}: {error}"
        raise UnsupportedError(message) from None
    sys.modules[name] = module
    return module


CORE: Final = _load_core(ctypes.CDLL)
CORE_HELD: Final = _load_core(ctypes.PyDLL)
BINDING: Final = _load_binding()


def check(status: int, operation: str) -> None:
    """Raise what a status means; nothing for `OK`."""
    if status == OK:
        return
    failure = Failure()
    CORE_HELD.il_last_failure(ctypes.byref(failure))
    text = CORE_HELD.il_status_text(status).decode()
    detail = (failure.operation or b"").decode()
    if status == STALE:
        raise ClosedError(f"{operation}: {text}")
    if status == INVALID_ARGUMENT:
        raise ValueError(f"{operation}: {text} ({detail})")
    raise CodeMemoryError(
        operation=operation,
        status=f"{text}: {detail}" if detail else text,
        errno=failure.error_number,
    )
