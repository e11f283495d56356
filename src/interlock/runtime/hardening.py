"""`harden_process`: the Hardened Runtime of Linux."""

from __future__ import annotations

import importlib

from interlock import core

# What Interlock imports on first use, and with it extension modules: afterwards they could not be loaded.
_USED_LATER = (
    *("bytecode.binary", "bytecode.text_parser", "bytecode.text_printer", "bytecode.validation"),
    *("codegen.compiler", "codegen.lowering", "link.linker", "link.stubs"),
    *("runtime.engine", "runtime.instance", "runtime.region", "runtime.wasi", "runtime.program"),
)


def harden_process() -> None:
    """From now on, and for good, this process gets no new executable memory and reaches into no other process.

    Sets `PR_SET_MDWE` (Linux 6.3), a seccomp filter for all threads, and drops `CAP_SYS_PTRACE` for the calling thread and
    those it starts.  The region is opened first; published code runs on, and engines that are open publish more.

    What stops working, with EPERM: loading shared libraries (so import extension modules before), starting dynamically
    linked programs, `mmap` and `mprotect` with `PROT_EXEC` (other JITs), `ptrace`, `process_vm_readv` and `process_vm_writev`,
    `pidfd_getfd`, `memfd_create`, `userfaultfd`, io_uring, 32-bit system calls.  An `Engine` starts its compiler process
    when it is made: make it before.  Raises `CodeMemoryError` where the kernel refuses.  Idempotent.
    """
    for name in _USED_LATER:
        importlib.import_module(f"interlock.{name}")
    core.open_region()
    core.harden()
