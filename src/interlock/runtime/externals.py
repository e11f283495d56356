"""What a module can import and export besides functions: memories, tables and globals."""

from __future__ import annotations

import struct
import weakref
from dataclasses import dataclass
from types import BuiltinFunctionType
from typing import TYPE_CHECKING

from interlock import core, limits
from interlock.bytecode import FuncType, GlobalType, Limits, MemoryType, TableType, ValType
from interlock.errors import ClosedError
from interlock.runtime.idle import when_idle

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.runtime.instance import Instance

_LETTERS = {
    ValType.I32: "i",
    ValType.I64: "I",
    ValType.F32: "f",
    ValType.F64: "F",
    ValType.FUNCREF: "r",
    ValType.EXTERNREF: "r",
}
_CELL_FORMATS = {ValType.I32: "<i4x", ValType.I64: "<q", ValType.F32: "<f4x", ValType.F64: "<d"}


def signature_text(func_type: FuncType) -> str:
    """The binding's notation: ``ii:i`` for (i32, i32) -> i32."""
    params = "".join(_LETTERS[kind] for kind in func_type.params)
    return f"{params}:{''.join(_LETTERS[kind] for kind in func_type.results)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFunction:
    """What linking needs to know of an exported builtin."""

    type: FuncType
    funcref_address: int
    owner: weakref.ref[Instance]  # the builtin itself keeps it alive


_exported: weakref.WeakKeyDictionary[Callable[..., object], ExportedFunction] = (
    weakref.WeakKeyDictionary()
)


def remember_function(function: Callable[..., object], exported: ExportedFunction) -> None:
    """Note that this builtin is a WebAssembly function, so that another module can import it directly."""
    _exported[function] = exported


def exported_function(value: object) -> ExportedFunction | None:
    """The note of `remember_function`, or None for any other value."""
    # Other objects need not have hashes or weak references.
    return _exported.get(value) if isinstance(value, BuiltinFunctionType) else None


class Memory(core.MemoryBuffer):
    """A linear memory: `memoryview(memory)` is a writable view of its current bytes, without a copy.

    The base never moves, so a view stays valid when the memory grows; it keeps its old length.
    """

    type: MemoryType
    owner: Instance

    def __init__(self, address: int, owner: Instance, memory_type: MemoryType) -> None:
        """Wrap the `il_memory` at this address; `owner` is kept alive."""
        self.type = memory_type
        self.owner = owner
        self._address = address
        self._user_count = 1

    def retain(self) -> None:
        """Note one more instance whose code uses it."""
        self._user_count += 1

    def release(self) -> None:
        """Free it when no instance uses it and no view of it is left; reading it raises `ClosedError` then."""
        self._user_count -= 1
        if self._user_count == 0:
            when_idle(self.close_buffer)

    @property
    def address(self) -> int:
        """Of the `il_memory`."""
        return self._address

    @property
    def size_bytes(self) -> int:
        """Current length."""
        with memoryview(self) as view:
            return view.nbytes

    @property
    def current_limits(self) -> Limits:
        """Current pages as minimum, declared maximum."""
        pages = self.size_bytes // limits.WASM_PAGE_BYTES
        return Limits(minimum=pages, maximum=self.type.limits.maximum)

    def view(self) -> memoryview:
        """A writable view of the current bytes; release it before closing the instance."""
        return memoryview(self)

    def read(self, offset: int, length: int) -> bytes:
        """Copy bytes out.  Raises `IndexError` outside the memory."""
        with memoryview(self) as view:
            _check_range(offset, length, view.nbytes)
            return bytes(view[offset : offset + length])

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Copy bytes in.  Raises `IndexError` outside the memory, and then nothing was written."""
        with memoryview(self) as view:
            _check_range(offset, len(data), view.nbytes)
            view[offset : offset + len(data)] = data

    def grow(self, delta_pages: int) -> int:
        """Grow by pages of 64 KiB; the previous size in pages, or -1 when it cannot grow."""
        if self._user_count == 0:
            raise ClosedError("the memory is closed")
        return core.memory_grow(self._address, delta_pages)

    def __len__(self) -> int:
        """Current length in bytes."""
        return self.size_bytes


def _check_range(offset: int, length: int, size: int) -> None:
    if offset < 0 or length < 0 or offset + length > size:
        message = f"bytes {offset}..{offset + length} lie outside the memory of {size} bytes"
        raise IndexError(message)


class Table:
    """A table of function references.  Python can import and export it and ask its length."""

    def __init__(self, address: int, owner: Instance, table_type: TableType) -> None:
        self.address = address
        self.owner = owner
        self.type = table_type
        self._user_count = 1

    def retain(self) -> None:
        """Note one more instance whose code uses it."""
        self._user_count += 1

    def release(self) -> None:
        """Free it when no instance uses it."""
        self._user_count -= 1
        if self._user_count == 0:
            when_idle(lambda: core.table_close(self.address))

    def __len__(self) -> int:
        """Current number of elements."""
        if self._user_count == 0:
            raise ClosedError("the table is closed")
        return core.read_u64(self.address + 8)

    @property
    def current_limits(self) -> Limits:
        """Current length as minimum, declared maximum."""
        return Limits(minimum=len(self), maximum=self.type.limits.maximum)


class Global:
    """A global variable: `value` reads it and, when it is mutable, writes it."""

    def __init__(
        self,
        global_type: GlobalType,
        value: float = 0,
        *,
        address: int | None = None,
        owner: Instance | None = None,
    ) -> None:
        self.type = global_type
        self.owner = owner
        self._block = core.Block(8) if address is None else None
        self.address = self._block.address if self._block is not None else address or 0
        if self._block is not None:
            self._write(value)

    @property
    def value(self) -> int | float:
        """The current value."""
        value: int | float = struct.unpack(self._format, core.read_bytes(self.address, 8))[0]
        return value

    @value.setter
    def value(self, value: float) -> None:
        if not self.type.mutable:
            raise TypeError("the global is immutable")
        self._write(value)

    @property
    def _format(self) -> str:
        layout = _CELL_FORMATS.get(self.type.value_type)
        if layout is None:
            message = f"globals of type {self.type.value_type.name.lower()} have no Python value"
            raise TypeError(message)
        return layout

    def _write(self, value: float) -> None:
        try:
            data = struct.pack(self._format, value)
        except struct.error as error:
            message = f"{value!r} does not fit {self.type.value_type.name.lower()}"
            raise OverflowError(message) from error
        core.write_bytes(self.address, data)
