"""Operations of typed Python that Python has no operator for; each is one or two machine instructions.

Integers keep their type: ``clz`` of an i64 is an i64.  These functions have a meaning only where operands have types: in a
function compiled by `interlock.jit`, and in its `python`.  To type checkers they are functions of `int` and `float`.
"""

from __future__ import annotations

from typing import NoReturn, TypeVar

__all__ = [
    "bitcast",
    "ceil",
    "clz",
    "copysign",
    "ctz",
    "fabs",
    "floor",
    "ieee_div",
    "nearest",
    "popcnt",
    "rotl",
    "rotr",
    "sqrt",
    "trunc",
    "wrap",
    "wrapping_add",
    "wrapping_mul",
    "wrapping_neg",
    "wrapping_shl",
    "wrapping_sub",
]

_T = TypeVar("_T", int, float)


def _untyped(name: str) -> NoReturn:
    message = f"{name} needs operands with types: call it in a function for interlock.jit, and run that or its .python"
    raise TypeError(message)


def wrapping_add(a: int, b: int) -> int:
    """The sum modulo 2**bits."""
    _untyped("wrapping_add")


def wrapping_sub(a: int, b: int) -> int:
    """The difference modulo 2**bits."""
    _untyped("wrapping_sub")


def wrapping_mul(a: int, b: int) -> int:
    """The product modulo 2**bits."""
    _untyped("wrapping_mul")


def wrapping_neg(a: int) -> int:
    """The negation modulo 2**bits: of the smallest signed integer, itself."""
    _untyped("wrapping_neg")


def wrapping_shl(a: int, count: int) -> int:
    """Shift to the left by `count` modulo the width; bits that leave are lost."""
    _untyped("wrapping_shl")


def wrap(to: type[int], a: int) -> int:
    """The value of the integer type `to` that is congruent modulo its 2**bits: ``wrap(u32, -1)`` is 4294967295."""
    _untyped("wrap")


def bitcast(to: type[_T], a: float) -> _T:
    """The value of type `to` with the same bits; both types have the same width."""
    _untyped("bitcast")


def clz(a: int) -> int:
    """How many zero bits stand before the highest one; the width for 0."""
    _untyped("clz")


def ctz(a: int) -> int:
    """How many zero bits stand behind the lowest one; the width for 0."""
    _untyped("ctz")


def popcnt(a: int) -> int:
    """How many bits are one."""
    _untyped("popcnt")


def rotl(a: int, count: int) -> int:
    """Rotate to the left by `count` modulo the width."""
    _untyped("rotl")


def rotr(a: int, count: int) -> int:
    """Rotate to the right by `count` modulo the width."""
    _untyped("rotr")


def sqrt(a: float) -> float:
    """The square root of IEEE 754: NaN for a negative number, where `math.sqrt` raises."""
    _untyped("sqrt")


def ieee_div(a: float, b: float) -> float:
    """The quotient of IEEE 754: an infinity or NaN for b == 0, where ``/`` raises."""
    _untyped("ieee_div")


def floor(a: float) -> float:
    """The largest whole number that is not above, as a float."""
    _untyped("floor")


def ceil(a: float) -> float:
    """The smallest whole number that is not below, as a float."""
    _untyped("ceil")


def trunc(a: float) -> float:
    """The whole part, as a float."""
    _untyped("trunc")


def nearest(a: float) -> float:
    """The nearest whole number, as a float; of two the even one."""
    _untyped("nearest")


def copysign(a: float, b: float) -> float:
    """The magnitude of `a` with the sign of `b`."""
    _untyped("copysign")


def fabs(a: float) -> float:
    """The magnitude of a float."""
    _untyped("fabs")
