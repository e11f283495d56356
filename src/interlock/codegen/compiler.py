"""The compiler process, seen from the host: LLVM never reads a program's code in the process that runs it.

Its answers are bytes of an object file which the linker distrusts and the core checks.  When it dies, hangs or outgrows its
memory limit, that is a `CompileError` of the function it was at, and the next function gets a new process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.artifacts import ObjectFile
from interlock.codegen.protocol import COMPILE, DONE, HEADER, OPTIMISE, SYMBOL
from interlock.errors import ClosedError, CompileError

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.target import Target

# An object cannot be larger than what the core publishes, plus its tables.
_REPLY_BYTES_MAX: Final = 64 << 20
# How often a wait looks whether it shall end.
_SLICE_MILLISECONDS: Final = 20
# os.path, not pathlib: start-up time.
_FOLDER: Final = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
_MAIN: Final = f"{_FOLDER}/compiler_process.py"
_PACKAGE_ROOT: Final = os.path.dirname(os.path.dirname(_FOLDER))  # noqa: PTH120


class Compiler:
    """LLVM for one target, in a process of its own.  Thread safe: one function at a time."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        _compilers.add(self)

    def prestart(self) -> None:
        """Start the process, so that it loads LLVM while the host reads the program."""
        with self._lock:
            self._running()

    def compile(self, ir: str, *, is_interrupted: Callable[[], bool] = lambda: False) -> ObjectFile:
        """Compile LLVM IR that defines `SYMBOL`.  Raises `CompileError`, also soon after `is_interrupted` says so."""
        data = self._ask(COMPILE, ir.encode(), is_interrupted)
        return ObjectFile(target=self.target, data=data, symbol=SYMBOL)

    def optimise(self, ir: str) -> str:
        """The IR after LLVM's optimiser.  Raises `CompileError`."""
        return self._ask(OPTIMISE, ir.encode(), lambda: False).decode(errors="replace")

    def close(self) -> None:
        """End the process.  Idempotent."""
        with self._lock:
            self._is_closed = True
            self._stop()

    def _ask(self, what: int, payload: bytes, is_interrupted: Callable[[], bool]) -> bytes:
        with self._lock:
            process = self._running()
            patience = _Patience(is_interrupted)
            try:
                _send(process, HEADER.pack(what, len(payload)) + payload, patience)
                status, length = HEADER.unpack(_receive(process, HEADER.size, patience))
                reply = _receive(process, length, patience)
            except BaseException:
                # Whatever it was, what the process says next belongs to this question.
                self._stop()
                raise
        if status != DONE:
            raise CompileError(f"LLVM: {reply.decode(errors='replace')}")
        return reply

    def _running(self) -> subprocess.Popen[bytes]:
        if self._is_closed:
            raise ClosedError("the compiler is closed")
        if self._process is None:
            self._process = _start(self.target)
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()
        # A host that changed its user may not kill it: then it ends with its standard input.
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()

    def forget_parent(self) -> None:
        """In a forked process: another thread may have held the lock, and the compiler process is the parent's."""
        self._lock = threading.Lock()
        self._process = None

    def __del__(self) -> None:
        """An engine that was not closed leaves no process behind."""
        try:  # noqa: SIM105  (as the interpreter ends, modules are gone, contextlib too)
            self._stop()
        except Exception:  # noqa: BLE001, S110
            pass


_compilers: weakref.WeakSet[Compiler] = weakref.WeakSet()


def _after_fork() -> None:
    for compiler in _compilers:
        compiler.forget_parent()


os.register_at_fork(after_in_child=_after_fork)


def _start(target: Target) -> subprocess.Popen[bytes]:
    # -I: neither the working directory nor the environment decides what it imports.
    command = [
        *(sys.executable, "-I", "-X", "frozen_modules=on", _MAIN),
        *(target.triple, target.cpu, ",".join(target.features)),
        *(str(limits.COMPILE_MEMORY_BYTES_MAX), _PACKAGE_ROOT),
    ]
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            process_group=0,  # Ctrl-C is for the host
        )
    except OSError as error:
        # EPERM is what the filter of `harden_process` says to execve.
        is_hardened = isinstance(error, PermissionError)
        hint = (
            " (a hardened process starts no programs: make engines before)" if is_hardened else ""
        )
        message = f"the compiler process does not start: {error}{hint}"
        raise CompileError(message) from None


class _Patience:
    """How long one question may take."""

    def __init__(self, is_interrupted: Callable[[], bool]) -> None:
        self._is_interrupted = is_interrupted
        self._until = time.monotonic() + limits.COMPILE_SECONDS_MAX

    def wait(self, fd: int, event: int) -> None:
        """Return when the pipe is ready.  Raises `CompileError` when it takes too long."""
        poll = select.poll()
        poll.register(fd, event)
        while not poll.poll(_SLICE_MILLISECONDS):
            if self._is_interrupted():
                raise CompileError("compiling was interrupted")
            if time.monotonic() > self._until:
                message = (
                    f"compiling took more than {limits.COMPILE_SECONDS_MAX} s (COMPILE_SECONDS_MAX)"
                )
                raise CompileError(message)


def _send(process: subprocess.Popen[bytes], data: bytes, patience: _Patience) -> None:
    assert process.stdin is not None  # noqa: S101  (a pipe was asked for)
    fd = process.stdin.fileno()
    os.set_blocking(fd, False)
    view = memoryview(data)
    while view:
        patience.wait(fd, select.POLLOUT)
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            continue
        except OSError:
            raise _death(process) from None


def _receive(process: subprocess.Popen[bytes], length: int, patience: _Patience) -> bytes:
    assert process.stdout is not None  # noqa: S101  (a pipe was asked for)
    fd = process.stdout.fileno()
    data = bytearray()
    if length > _REPLY_BYTES_MAX:
        raise CompileError(f"the compiler process answered with {length} bytes")
    while len(data) < length:
        patience.wait(fd, select.POLLIN)
        part = os.read(fd, min(length - len(data), 1 << 20))
        if not part:
            raise _death(process)
        data += part
    return bytes(data)


def _death(process: subprocess.Popen[bytes]) -> CompileError:
    code = process.wait()
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
    return CompileError(
        f"the compiler process died ({how}); it has a memory limit of "
        f"{limits.COMPILE_MEMORY_BYTES_MAX >> 20} MiB (COMPILE_MEMORY_BYTES_MAX)"
    )
