"""The scalar types of typed Python, and which of them mix.

A `Scalar` is what the checker and the lowering talk of; the classes that users write in annotations (`interlock.types`) lead
here by their attribute `scalar`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from interlock.bytecode import ValType


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar type; `bits` of a bool is 1."""

    name: str
    val_type: ValType
    bits: int
    is_signed: bool = True
    is_float: bool = False

    @property
    def is_integer(self) -> bool:
        """Whether it is one of the four integer types."""
        return self.letter == "i"

    @property
    def letter(self) -> str:
        """What operations say they are for: i integers, f floats, b bools; p pointers, c functions."""
        return "f" if self.is_float else "i" if self.bits > 1 else "b"

    @property
    def minimum(self) -> int:
        """The smallest value of an integer type."""
        return -(1 << (self.bits - 1)) if self.is_signed else 0

    @property
    def maximum(self) -> int:
        """The largest value of an integer type."""
        return (1 << (self.bits - self.is_signed)) - 1

    def holds(self, value: int) -> bool:
        """Whether an integer type has this value."""
        return self.minimum <= value <= self.maximum

    def wrap(self, value: int) -> int:
        """The value of an integer type that is congruent modulo 2**bits."""
        value &= (1 << self.bits) - 1
        return value - (1 << self.bits) if value > self.maximum else value

    def __str__(self) -> str:
        """As in annotations."""
        return self.name


I32: Final = Scalar("i32", ValType.I32, 32)
U32: Final = Scalar("u32", ValType.I32, 32, is_signed=False)
I64: Final = Scalar("i64", ValType.I64, 64)
U64: Final = Scalar("u64", ValType.I64, 64, is_signed=False)
F32: Final = Scalar("f32", ValType.F32, 32, is_float=True)
F64: Final = Scalar("f64", ValType.F64, 64, is_float=True)
BOOL: Final = Scalar("bool", ValType.I32, 1, is_signed=False)

SCALARS: Final = (I32, U32, I64, U64, F32, F64, BOOL)

_WIDER: Final = {
    frozenset(("i32", "u32")): I64,
    frozenset(("i32", "i64")): I64,
    frozenset(("u32", "i64")): I64,
    frozenset(("u32", "u64")): U64,
    frozenset(("f32", "f64")): F64,
    frozenset(("i32", "f64")): F64,
    frozenset(("u32", "f64")): F64,
}


def common(first: Scalar, second: Scalar) -> Scalar | None:
    """The type in which two operands meet: one that holds every value of both.  None: they do not mix."""
    return first if first == second else _WIDER.get(frozenset((first.name, second.name)))


def widens(source: Scalar, target: Scalar) -> bool:
    """Whether every value of `source` is one of `target`, so that it converts without being asked."""
    return common(source, target) == target
