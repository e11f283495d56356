"""`harden_process`: the Hardened Runtime of Linux."""

from __future__ import annotations

import contextlib
import importlib

from interlock import core
from interlock.errors import CompileError

# What Interlock imports on first use, and with it extension modules: afterwards they could not be loaded.
_USED_LATER = (
    *("bytecode.binary", "bytecode.text_parser", "bytecode.text_printer", "bytecode.validation"),
    *("codegen.compiler", "codegen.lowering", "link.linker", "link.stubs"),
    *("runtime.engine", "runtime.instance", "runtime.region", "runtime.wasi", "runtime.program"),
)


def harden_process() -> None:
    """From now on, and for good, this process gets no new executable memory and reaches into no other process.

    Sets `PR_SET_MDWE` (Linux 6.3) and a seccomp filter, takes `CAP_SYS_PTRACE` from all threads, and makes the process
    non-dumpable.  The region is opened first; published code runs on, and engines that are open publish more.

    What stops working, with EPERM: loading shared libraries (so import extension modules before), starting programs,
    `mmap` and `mprotect` with `PROT_EXEC` (other JITs), debuggers, `memfd_create`, io_uring.  docs/reference/harden.md has
    the whole list.  Compiler processes of open engines run by then: make engines before.  Raises `CodeMemoryError` where the
    kernel refuses.  Idempotent.
    """
    _load_used_later()
    _start_compilers()
    core.open_region()
    core.harden()


def _load_used_later() -> None:
    for name in _USED_LATER:
        importlib.import_module(f"interlock.{name}")
    importlib.import_module("encodings.idna")  # of every host name; it has an extension module


def _start_compilers() -> None:
    """Those of engines with a cache have not been needed yet; one that does not start says so when it is."""
    from interlock.runtime import engine as engines

    for engine in list(engines._engines):
        if not engine.is_closed:
            with contextlib.suppress(CompileError):
                engine._compiler.prestart()
