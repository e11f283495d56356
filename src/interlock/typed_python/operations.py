"""What each operation of typed Python gives, said in Python: the reference that compiled code is compared with.

An operation computes what Python computes, exactly, and then asks whether the type holds it.  `f.python(...)` runs these
functions in place of the operators; `lower_operations.py` has an entry of the same name for each, with the same results and
the same exceptions (docs/decisions/0018-checked-arithmetic.md).

Integers are Python ints, floats are Python floats (an f32 is one that 32 bits hold).
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from interlock.typed_python.scalars import BOOL, Scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.typed_python.layout import Element

Value: TypeAlias = int | float


def fit(kind: Scalar, value: Value) -> Value:
    """The value as one of this type: floats are rounded, an integer out of range is an `OverflowError`."""
    if kind.is_float:
        return _round(kind, float(value))
    if kind is BOOL:
        return bool(value)
    if not kind.holds(int(value)):
        message = f"{kind} does not hold {value}"
        raise OverflowError(message)
    return int(value)


def _round(kind: Scalar, value: float) -> float:
    if kind.bits == 64:
        return value
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:  # struct refuses what IEEE 754 rounds to infinity
        return math.copysign(math.inf, value)
    return rounded


def convert(kind: Scalar, value: Value) -> Value:
    """`i32(x)`: the fraction of a float is cut off; NaN is a `ValueError`, what is out of range an `OverflowError`."""
    return fit(kind, value if kind.is_float or kind is BOOL else int(value))


def power(kind: Scalar, base: Value, exponent: Value) -> Value:
    """Repeated squaring, as compiled; the exponent is a constant."""
    result: Value | None = None
    remaining = int(exponent)
    while remaining:
        if remaining & 1:
            result = base if result is None else fit(kind, result * base)
        remaining >>= 1
        if remaining:
            base = fit(kind, base * base)
    return fit(kind, 1) if result is None else result


def _left_shift(kind: Scalar, value: int, count: int) -> Value:
    if count >= kind.bits:
        message = f"{kind} has no bit {count}"
        raise OverflowError(message)
    return fit(kind, value << count)


def _unsigned(kind: Scalar, value: int) -> int:
    return value & ((1 << kind.bits) - 1)


def _rotate_left(kind: Scalar, value: int, count: int) -> int:
    count %= kind.bits
    bits = _unsigned(kind, value)
    return kind.wrap(bits << count | bits >> (kind.bits - count))


def _count_trailing_zeros(kind: Scalar, value: int) -> int:
    return kind.bits if value == 0 else (value & -value).bit_length() - 1


def _ieee_divide(kind: Scalar, first: float, second: float) -> float:
    if second != 0:
        return _round(kind, first / second)
    if first == 0 or math.isnan(first):
        return math.nan
    return math.copysign(math.inf, first) * math.copysign(1, second)


def _rounded_by(whole: Callable[[float], int]) -> Callable[[Scalar, float], float]:
    def operation(_kind: Scalar, value: float) -> float:
        return math.copysign(whole(value), value) if math.isfinite(value) else value

    return operation


_FORMATS: Final = {"i32": "<i", "u32": "<I", "i64": "<q", "u64": "<Q", "f32": "<f", "f64": "<d"}


def bitcast(kind: Scalar, source: Scalar, value: Value) -> Value:
    """The value with the same bits."""
    packed = struct.pack(_FORMATS[source.name], value)
    cast: Value = struct.unpack(_FORMATS[kind.name], packed)[0]
    return cast


def load(fields: tuple[str, ...], array: Any, *indices: int) -> Value:
    """A number of an array, or of a field of a struct in one."""
    found = array[indices[0] if len(indices) == 1 else indices]
    for field in fields:
        found = found[field]
    return found.item() if hasattr(found, "item") else found  # type: ignore[no-any-return]  # numpy's numbers as Python's


def require_held(element: Element, value: Value) -> None:
    """Raise `OverflowError` for a number that an element does not hold."""
    if element.is_narrow and not element.minimum <= value <= element.maximum:
        message = f"{element} does not hold {value}"
        raise OverflowError(message)


def store(
    element: Element, fields: tuple[str, ...], value: Value, array: Any, *indices: int
) -> None:
    """Write a number, if the element holds it."""
    require_held(element, value)
    index: Any = indices[0] if len(indices) == 1 else indices
    for field in fields:
        array, index = array[index], field
    array[index] = value


REFERENCES: Final[dict[str, Callable[..., Value]]] = {
    # Operators.  An exception is Python's own, or the one of `fit`.
    "add": lambda kind, a, b: fit(kind, a + b),
    "sub": lambda kind, a, b: fit(kind, a - b),
    "mul": lambda kind, a, b: fit(kind, a * b),
    "truediv": lambda kind, a, b: fit(kind, a / b),
    "floordiv": lambda kind, a, b: fit(kind, a // b),
    "mod": lambda kind, a, b: fit(kind, a % b),
    "pow": power,
    "lshift": _left_shift,
    "rshift": lambda _kind, a, b: a >> b,
    "and": lambda _kind, a, b: a & b,
    "or": lambda _kind, a, b: a | b,
    "xor": lambda _kind, a, b: a ^ b,
    "neg": lambda kind, a: fit(kind, -a),
    "invert": lambda kind, a: fit(kind, ~a),
    # Functions that Python has.
    "abs": lambda kind, a: fit(kind, abs(a)),
    "min": lambda _kind, a, b: min(a, b),
    "max": lambda _kind, a, b: max(a, b),
    "convert": convert,
    "math.sqrt": lambda kind, a: fit(kind, math.sqrt(a)),
    # Intrinsics.
    "wrapping_add": lambda kind, a, b: kind.wrap(a + b),
    "wrapping_sub": lambda kind, a, b: kind.wrap(a - b),
    "wrapping_mul": lambda kind, a, b: kind.wrap(a * b),
    "wrapping_neg": lambda kind, a: kind.wrap(-a),
    "wrapping_shl": lambda kind, a, b: kind.wrap(a << (b % kind.bits)),
    "wrap": lambda kind, a: kind.wrap(a),
    "bitcast": bitcast,  # which takes the operand's type too
    "clz": lambda kind, a: kind.bits - _unsigned(kind, a).bit_length(),
    "ctz": _count_trailing_zeros,
    "popcnt": lambda kind, a: _unsigned(kind, a).bit_count(),
    "rotl": _rotate_left,
    "rotr": lambda kind, a, b: _rotate_left(kind, a, -b),
    "sqrt": lambda kind, a: math.nan if a < 0 else fit(kind, math.sqrt(a)),
    "ieee_div": _ieee_divide,
    "floor": _rounded_by(math.floor),
    "ceil": _rounded_by(math.ceil),
    "trunc": _rounded_by(math.trunc),
    "nearest": _rounded_by(round),
    "copysign": lambda _kind, a, b: math.copysign(a, b),
    "fabs": lambda _kind, a: math.fabs(a),
}
"""By name; each takes the type of the operands, then the operands."""
