"""What raw memory and references to functions are under CPython: the reference that compiled code is compared with.

Addresses are Python ints, and so are references: indices of the program's table, from 1.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, Protocol

from interlock import limits
from interlock.typed_python import operations
from interlock.typed_python.layout import ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.typed_python import tree
    from interlock.typed_python.layout import CallableType, Element
    from interlock.typed_python.operations import Value
    from interlock.typed_python.scalars import Scalar

_FORMATS: Final = dict(zip(ELEMENTS, "bBhHiIqQfd?", strict=True))


class LinearMemory(Protocol):
    """What a memory of the engine has."""

    def read(self, offset: int, length: int) -> bytes:
        """Copy bytes out, or raise `IndexError`."""

    def write(self, offset: int, data: bytes) -> None:
        """Copy bytes in, or raise `IndexError`."""

    def grow(self, delta_pages: int) -> int:
        """Grow, and give the size before, or -1."""

    def __len__(self) -> int:
        """The size in bytes."""


class Machine:
    """Memory and table of one program; what runs sources sets both."""

    def __init__(self) -> None:
        self.memory: Callable[[], LinearMemory]
        self.function: Callable[[tree.Signature], Callable[..., Value]]
        self.table: list[tree.Signature] = []

    @staticmethod
    def address(scale: int, offset: int, pointer: int, index: int = 0) -> int:
        """A pointer that is moved."""
        return (pointer + index * scale + offset) & 0xFFFF_FFFF

    def load(
        self, element: Element, scale: int, offset: int, pointer: int, index: int = 0
    ) -> Value:
        """Read a number."""
        at = self.address(scale, 0, pointer, index) + offset
        code = "<" + _FORMATS.get(element.name, "I")
        found: Value = struct.unpack(code, self.memory().read(at, element.size_bytes))[0]
        return found

    def store(
        self, element: Element, scale: int, offset: int, value: Value, pointer: int, index: int = 0
    ) -> None:
        """Write a number, if the element holds it."""
        operations.require_held(element, value)
        data = struct.pack("<" + _FORMATS.get(element.name, "I"), value)
        self.memory().write(self.address(scale, 0, pointer, index) + offset, data)

    def call(self, kind: CallableType, reference: int, *arguments: Value) -> Value:
        """Call what a reference leads to, if it takes and gives such values."""
        if not 0 < reference <= len(self.table):
            raise TypeError("this reference leads to no function")
        signature = self.table[reference - 1]
        if machine_types(kind.params, kind.result) != machine_types(
            signature.params, signature.result
        ):
            raise TypeError("this reference leads to a function of other types")
        return self.function(signature)(*arguments)

    def memory_size(self) -> int:
        """In pages."""
        return len(self.memory()) // limits.WASM_PAGE_BYTES

    def memory_grow(self, pages: int) -> int:
        """The size before."""
        return self.memory().grow(pages)

    def memory_fill(self, to: int, byte: int, size_bytes: int) -> None:
        """Nothing is written unless all of it is in the memory."""
        self._check(to, size_bytes)
        self.memory().write(to, bytes([byte & 255]) * size_bytes)

    def memory_copy(self, to: int, source: int, size_bytes: int) -> None:
        """As if the bytes were read first."""
        self._check(to, size_bytes)
        self._check(source, size_bytes)
        self.memory().write(to, self.memory().read(source, size_bytes))

    def _check(self, start: int, size_bytes: int) -> None:
        if start + size_bytes > len(self.memory()):
            raise IndexError("the bytes lie outside the memory")


def machine_types(params: tuple[object, ...], result: Scalar | None) -> tuple[object, ...]:
    """What a table compares: a reference in memory is a number, and may lead to a function with other names for its types."""
    return (
        *(getattr(each, "val_type", each) for each in params),
        None if result is None else result.val_type,
    )
