"""`Wasi`: what a program is given, and the functions through which it uses it."""

from __future__ import annotations

import enum
import os
import threading
import weakref
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Final, Literal, Self

from interlock.errors import ClosedError
from interlock.runtime.wasi import abi, fd_calls, path_calls, polling, process_calls
from interlock.runtime.wasi.abi import WASI_FUNCTIONS, Errno, WasiError
from interlock.runtime.wasi.context import Context
from interlock.runtime.wasi.descriptors import (
    DescriptorTable,
    Directory,
    embedder_stream,
    standard_stream,
)
from interlock.runtime.wasi.guest_memory import GuestMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from interlock.runtime.wasi.guest_memory import LinearMemory


class Inherit(enum.Enum):
    """The type of `INHERIT`."""

    INHERIT = enum.auto()

    def __repr__(self) -> str:
        """`INHERIT`."""
        return self.name


INHERIT: Final = Inherit.INHERIT

_systems: weakref.WeakSet[Wasi] = weakref.WeakSet()


def _after_fork() -> None:
    """Another thread, which the child does not have, may have held the lock."""
    for system in _systems:
        system._lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)

_MASKS = {"i": (1 << 32) - 1, "I": (1 << 64) - 1}
_CALL_MODULES = (fd_calls, path_calls, polling, process_calls)


class Wasi:
    """What one program is given: arguments, environment, streams, and directories by the name it sees them under.

    `args` starts with the program's own name.  A stream is a binary Python stream, None (an empty input, an output
    that is thrown away) or `Wasi.INHERIT`, the process's own.  Nothing of the host's files is visible but what
    `preopens` names; its directories are opened when an instance is made, and an `OSError` says which cannot be.

    One `Wasi` serves one instance at a time, which closes it; then it can serve another.
    """

    INHERIT: ClassVar[Literal[Inherit.INHERIT]] = Inherit.INHERIT

    def __init__(
        self,
        *,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        preopens: Mapping[str, str | Path] | None = None,
        stdin: BinaryIO | Inherit | None = None,
        stdout: BinaryIO | Inherit | None = None,
        stderr: BinaryIO | Inherit | None = None,
    ) -> None:
        self.args = tuple(args)
        self.env = dict(env or {})
        self.preopens = dict(preopens or {})
        self.streams = (stdin, stdout, stderr)
        self._args = tuple(_c_string(arg, "argument") for arg in self.args)
        self._env = tuple(_variable(key, value) for key, value in self.env.items())
        for name in self.preopens:
            _c_string(name, "name of a directory")
        self._table: DescriptorTable | None = None
        # Between finding a descriptor and using it, no other thread may close it: the host could reuse its number.
        self._lock = threading.RLock()
        _systems.add(self)

    def imports(
        self,
        memory: Callable[[], LinearMemory],
        *,
        is_interrupted: Callable[[], bool] = lambda: False,
    ) -> dict[str, Callable[..., int]]:
        """The functions of `wasi_snapshot_preview1` over the memory which `memory()` gives when they are called.

        Calls that wait look at `is_interrupted` and end with EINTR when it says so.
        """
        if self._table is not None:
            raise ValueError("this Wasi serves another instance; close that one first")
        table = self._open()
        context = Context(
            args=self._args,
            env=self._env,
            memory=GuestMemory(memory),
            table=table,
            is_interrupted=is_interrupted,
        )
        self._table = table
        return {name: self._entry(name, context) for name in WASI_FUNCTIONS}

    def flush(self) -> None:
        """Flush the embedder's streams."""
        with self._lock:
            for descriptor in self._table or ():
                descriptor.flush()

    def close(self) -> None:
        """Flush, and close all that the program has open.  Idempotent."""
        with self._lock:
            table, self._table = self._table, None
            if table is None:
                return
            try:
                for descriptor in table:
                    descriptor.flush()
            finally:
                table.close()

    def __enter__(self) -> Self:
        """Return the object itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _open(self) -> DescriptorTable:
        """Descriptors 0 to 2, then the directories in order from 3 on."""
        table = DescriptorTable()
        try:
            for number, stream in enumerate(self.streams):
                descriptor = (
                    standard_stream(number)
                    if isinstance(stream, Inherit)
                    else embedder_stream(number, stream)
                )
                if descriptor is not None:
                    table.set(number, descriptor)
            for number, (guest, host) in enumerate(self.preopens.items(), 3):
                table.require_room()
                table.set(number, _preopen(guest, host))
        except BaseException:
            table.close()
            raise
        return table

    def _entry(self, name: str, context: Context) -> Callable[..., int]:
        """A function that takes integers of any sign and returns the error number."""
        function = _FUNCTIONS[name]
        masks = [_MASKS[letter] for letter in WASI_FUNCTIONS[name].partition(":")[0]]

        def call(*args: int) -> int:
            if len(args) != len(masks):
                message = f"{name} takes {len(masks)} arguments, the module declares {len(args)}"
                raise TypeError(message)
            with self._lock:
                if self._table is not context.table:
                    raise ClosedError("the program's WASI descriptors are closed")
                try:
                    function(context, *map(int.__and__, args, masks))
                except WasiError as error:
                    return error.errno
                except OSError as error:
                    return abi.errno_of(error)
                except MemoryError:
                    return Errno.ENOMEM
            return Errno.SUCCESS

        call.__name__ = name
        return call


def _find_functions() -> dict[str, Callable[..., None]]:
    homes = {name: home for home in _CALL_MODULES for name in vars(home)}
    return {name: getattr(homes[name], name) for name in WASI_FUNCTIONS}


_FUNCTIONS: Final = _find_functions()


def _preopen(guest: str, host: str | Path) -> Directory:
    host_fd = os.open(host, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return Directory(
        base=abi.RIGHTS_DIRECTORY,
        inheriting=abi.RIGHTS_ALL,
        type=abi.FileType.DIRECTORY,
        host_fd=host_fd,
        preopen=os.fsencode(guest),
    )


def _c_string(text: str, what: str) -> bytes:
    data = os.fsencode(text)
    if b"\0" in data:
        message = f"the {what} {text!r} contains a NUL"
        raise ValueError(message)
    return data + b"\0"


def _variable(key: str, value: str) -> bytes:
    if not key or "=" in key:
        message = f"{key!r} cannot name a variable of the environment"
        raise ValueError(message)
    return _c_string(f"{key}={value}", "variable")
