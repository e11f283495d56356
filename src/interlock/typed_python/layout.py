"""How values lie in linear memory: elements of arrays and fields of structs, and the types of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from interlock.typed_python.scalars import BOOL, F32, F64, I32, I64, U32, U64, Scalar


@dataclass(frozen=True, slots=True)
class Element:
    """A number in memory; when it has been read it is a `scalar`."""

    name: str
    scalar: Scalar
    size_bytes: int
    load: str  # the instruction
    store: str

    @property
    def minimum(self) -> int:
        """The smallest value of an integer element."""
        return -(1 << (8 * self.size_bytes - 1)) if self.name[0] == "i" else 0

    @property
    def maximum(self) -> int:
        """The largest value of an integer element."""
        return (1 << (8 * self.size_bytes - (self.name[0] == "i"))) - 1

    @property
    def is_narrow(self) -> bool:
        """Whether it holds fewer values than its scalar, so that storing is checked."""
        return self.scalar is I32 and self.size_bytes < 4

    def __str__(self) -> str:
        """As in annotations."""
        return self.name


ELEMENTS: Final = {
    each.name: each
    for each in (
        Element("i8", I32, 1, "i32.load8_s", "i32.store8"),
        Element("u8", I32, 1, "i32.load8_u", "i32.store8"),
        Element("i16", I32, 2, "i32.load16_s", "i32.store16"),
        Element("u16", I32, 2, "i32.load16_u", "i32.store16"),
        Element("i32", I32, 4, "i32.load", "i32.store"),
        Element("u32", U32, 4, "i32.load", "i32.store"),
        Element("i64", I64, 8, "i64.load", "i64.store"),
        Element("u64", U64, 8, "i64.load", "i64.store"),
        Element("f32", F32, 4, "f32.load", "f32.store"),
        Element("f64", F64, 8, "f64.load", "f64.store"),
        Element("bool", BOOL, 1, "i32.load8_u", "i32.store8"),
    )
}
"""By the name of the type."""


@dataclass(frozen=True, slots=True)
class Field:
    """A number in a struct."""

    name: str
    element: Element
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    """A struct: fields in order, each aligned to its size, as in C."""

    name: str
    fields: tuple[Field, ...]
    size_bytes: int

    def field(self, name: str) -> Field | None:
        """The field of a name."""
        return next((each for each in self.fields if each.name == name), None)

    def __str__(self) -> str:
        """As in annotations."""
        return self.name


@dataclass(frozen=True, slots=True)
class ArrayType:
    """A parameter that is an array in row-major order: an address, and a length for each dimension."""

    element: Element | Record
    dimensions: int

    def __str__(self) -> str:
        """As in annotations."""
        number = "" if self.dimensions == 1 else str(self.dimensions)
        return f"Array{number}[{self.element}]"


Type: TypeAlias = Scalar | ArrayType


def lay_out(name: str, fields: dict[str, Element]) -> Record:
    """A struct with these fields."""
    laid: list[Field] = []
    end, widest = 0, 1
    for field, element in fields.items():
        start = -(-end // element.size_bytes) * element.size_bytes
        laid.append(Field(field, element, start))
        end = start + element.size_bytes
        widest = max(widest, element.size_bytes)
    return Record(name, tuple(laid), -(-end // widest) * widest)
