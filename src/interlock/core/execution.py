"""Running published code: contexts, exported functions, traps, deadlines, memories and tables."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from interlock.core.library import BINDING, CORE, CORE_HELD, Exec, check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interlock.core._binding import MemoryBuffer
else:
    MemoryBuffer = BINDING.MemoryBuffer

__all__ = ["MemoryBuffer"]

_NANOSECONDS = 1_000_000_000
_ASK_THE_CORE = (1 << 64) - 1


class ExecContext:
    """One `il_exec`: the stack limit and the ways back into Python.  Freed with the object.

    Functions of a native one get no vmctx.  Code of a shared one runs without the GIL, in several threads at once.
    """

    def __init__(
        self, *, stack_bytes_max: int = 0, native: bool = False, shared: bool = False
    ) -> None:
        self._struct = Exec(
            stack_limit=_ASK_THE_CORE,
            host_call=BINDING.HOST_CALL,
            compile=BINDING.COMPILE,
            stack_bytes_max=stack_bytes_max,
            is_shared=shared,
            is_native=native,
        )

    @property
    def address(self) -> int:
        """Of the struct."""
        return ctypes.addressof(self._struct)


def gate_names() -> tuple[str, ...]:
    """The functions of the core which lowered code may call, in import-table order."""
    return tuple(gate_addresses())


def gate_addresses() -> dict[str, int]:
    """The same, with their addresses."""
    address = ctypes.c_uint64()
    found: dict[str, int] = {}
    while name := CORE_HELD.il_gate(len(found), ctypes.byref(address)):
        found[name.decode()] = address.value
    return found


def install_traps() -> None:
    """Make the fault handlers ours, if they are not (or no longer)."""
    check(CORE_HELD.il_traps_install(), "install fault handlers")


def is_running() -> bool:
    """Whether any thread, this one included, is inside published code or below it."""
    return bool(CORE_HELD.il_is_running())


def trap_text(kind: int) -> str:
    """The standard's words for a trap kind."""
    text: bytes = CORE_HELD.il_trap_text(kind)
    return text.decode()


def set_deadline(seconds: float | None) -> None:
    """Interrupt this thread's guest code after some time; None cancels."""
    nanoseconds = 0 if seconds is None else max(1, min(int(seconds * _NANOSECONDS), 1 << 62))
    check(CORE_HELD.il_deadline_set(nanoseconds), "set a deadline")


def is_interrupted() -> bool:
    """Whether this thread's deadline has passed, or the call it is in was interrupted."""
    return bool(CORE_HELD.il_is_interrupted())


def interrupt(vmctx_addresses: Sequence[int]) -> None:
    """End the calls in progress of instances whose functions are closed; returns when their threads have left guest code."""
    contexts = (ctypes.c_uint64 * len(vmctx_addresses))(*vmctx_addresses)
    check(CORE.il_interrupt(ctypes.byref(contexts), len(vmctx_addresses)), "interrupt")


def make_function(
    name: str,
    doc: str,
    exec_address: int,
    funcref_address: int,
    signature: str,
    owner: object,
) -> Callable[..., object]:
    """A builtin that calls the code of a funcref.

    `signature` is ``params:results`` of the letters i (i32), I (i64), f (f32), F (f64).  `owner` is kept alive; its
    ``make_trap(kind, pc)`` makes the exception of a trap.
    """
    # C strings end at the first NUL.
    name, doc = name.replace("\0", "\\0"), doc.replace("\0", "\\0")
    function: Callable[..., object] = BINDING.make_function(
        name, doc, exec_address, funcref_address, signature, owner
    )
    return function


HostFunctions = tuple[tuple["Callable[..., object]", str, str] | None, ...]


def register_instance(instance: object, vmctx_address: int, functions: HostFunctions) -> None:
    """Let code of this vmctx call Python; the caller keeps `instance` and `functions` alive until `forget_instance`."""
    BINDING.register_instance(instance, vmctx_address, functions)


def forget_instance(vmctx_address: int) -> None:
    """Undo `register_instance`."""
    BINDING.forget_instance(vmctx_address)


def memory_open(address: int, minimum_bytes: int, maximum_bytes: int) -> None:
    """Reserve a linear memory and fill the `il_memory` at an address; a `MemoryBuffer` of it closes it."""
    check(CORE_HELD.il_memory_open(minimum_bytes, maximum_bytes, address), "reserve a memory")


def memory_grow(address: int, delta_pages: int) -> int:
    """The previous size in pages, or -1."""
    if delta_pages < 0:
        raise ValueError("a memory cannot shrink")
    pages: int = CORE_HELD.il_memory_grow(address, min(delta_pages, 1 << 48))
    return pages


def table_open(address: int, minimum: int, maximum: int) -> None:
    """Reserve a table and fill the `il_table` at an address."""
    check(CORE_HELD.il_table_open(minimum, maximum, address), "reserve a table")


def table_close(address: int) -> None:
    """Free the table at an address."""
    check(CORE_HELD.il_table_close(address), "free a table")


def write_pointers(address: int, values: Sequence[int]) -> None:
    """Store words from an address on."""
    (ctypes.c_uint64 * len(values)).from_address(address)[:] = list(values)
