"""Types of the byte-code: value types, function types, and what can be imported and exported.

The names are those of the WebAssembly core specification, chapter "Structure", section "Types".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ValType(enum.Enum):
    """Value types; the value is the binary encoding."""

    I32 = 0x7F
    I64 = 0x7E
    F32 = 0x7D
    F64 = 0x7C
    V128 = 0x7B
    FUNCREF = 0x70
    EXTERNREF = 0x6F

    @property
    def is_ref(self) -> bool:
        """Whether it is a reference type."""
        return self is ValType.FUNCREF or self is ValType.EXTERNREF

    def __str__(self) -> str:
        """As in the text format."""
        return self.name.lower()


class ExternKind(enum.Enum):
    """What can be imported and exported; the value is the binary encoding."""

    FUNC = 0
    TABLE = 1
    MEMORY = 2
    GLOBAL = 3

    def __str__(self) -> str:
        """As in the text format."""
        return self.name.lower()


class SegmentMode(enum.Enum):
    """When a segment is used."""

    ACTIVE = 0
    PASSIVE = 1
    DECLARATIVE = 3


@dataclass(frozen=True, slots=True)
class FuncType:
    """Parameters and results."""

    params: tuple[ValType, ...]
    results: tuple[ValType, ...]

    def __str__(self) -> str:
        """`(i32, i32) -> i32`."""
        results = ", ".join(map(str, self.results))
        if len(self.results) != 1:
            results = f"({results})"
        return f"({', '.join(map(str, self.params))}) -> {results}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A size and how far it may grow (None: no bound of its own)."""

    minimum: int
    maximum: int | None = None

    def __str__(self) -> str:
        """`1` or `1 4`."""
        return f"{self.minimum}" if self.maximum is None else f"{self.minimum} {self.maximum}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableType:
    """Element type and limits in elements."""

    element: ValType
    limits: Limits

    def __str__(self) -> str:
        """`1 4 funcref`."""
        return f"{self.limits} {self.element}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryType:
    """Limits in pages of 64 KiB."""

    limits: Limits

    def __str__(self) -> str:
        """`1 4`."""
        return str(self.limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalType:
    """Value type and mutability."""

    value_type: ValType
    mutable: bool

    def __str__(self) -> str:
        """`(mut i32)` or `i32`."""
        return f"(mut {self.value_type})" if self.mutable else str(self.value_type)
