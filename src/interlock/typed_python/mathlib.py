"""What typed Python has instead of the C library's mathematics: written in typed Python, so that it is the same everywhere.

The methods and coefficients are those of fdlibm (Sun Microsystems, 1993), whose error is below one unit in the last place.
Exceptions are those of Python's `math`.  `f.python(...)` runs these sources too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from interlock import intrinsics
from interlock.intrinsics import bitcast, copysign, fabs, nearest
from interlock.typed_python.source import Definition

if TYPE_CHECKING:
    from collections.abc import Callable

_LN2_HIGH: Final = 6.93147180369123816490e-01
_LN2_LOW: Final = 1.90821492927058770002e-10
_EXP_MAX: Final = 709.782712893383973096
_EXP_MIN: Final = -745.13321910194110842
_SINE_MAX: Final = 1647099.0  # up to here three parts of pi/2 give the full precision
_INFINITY_BITS: Final = 0x7FF0000000000000
_MANTISSA: Final = 0xFFFFFFFFFFFFF
_HIDDEN: Final = 1 << 52


def exp(x: float) -> float:
    """The number e to the power of x."""
    if x != x:  # noqa: PLR0124  (NaN)
        return x
    if x > _EXP_MAX:
        if x == math.inf:
            return x
        raise OverflowError("math range error")
    if x < _EXP_MIN:
        return 0.0
    k = nearest(x * 1.44269504088896338700)
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    t = r * r
    c = r - t * (
        1.66666666666666019037e-01
        + t
        * (
            -2.77777777770155933842e-03
            + t
            * (
                6.61375632143793436117e-05
                + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08)
            )
        )
    )
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    return _scaled(y, int(k))


def _scaled(y: float, k: int) -> float:
    """What y * 2**k is, for a normal y."""
    if k > 1023:
        return y * 2.0 * bitcast(float, (k - 1 + 1023) << 52)
    if k < -1021:
        return y * bitcast(float, (k + 1000 + 1023) << 52) * 9.332636185032189e-302
    return y * bitcast(float, (k + 1023) << 52)


def log(x: float) -> float:
    """The natural logarithm."""
    if x <= 0:
        raise ValueError("expected a positive input")
    if x != x or x == math.inf:  # noqa: PLR0124  (NaN)
        return x
    k = 0
    if x < 2.2250738585072014e-308:
        x *= 18014398509481984.0
        k = -54
    # The mantissa between sqrt(1/2) and sqrt(2).
    bits = bitcast(int, x) + 0x0009_5F62_0000_0000
    k += (bits >> 52) - 1023
    f = bitcast(float, (bits & _MANTISSA) + 0x3FE6_A09E_0000_0000) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    first = w * (
        3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01)
    )
    second = z * (
        6.666666666666735130e-01
        + w
        * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half = 0.5 * f * f
    d = float(k)
    return s * (half + (second + first)) + d * _LN2_LOW - half + f + d * _LN2_HIGH


def _sine(x: float, quarters: int) -> float:
    """The sine of x + quarters * pi/2."""
    if x - x != 0:
        if x != x:  # noqa: PLR0124  (NaN)
            return x
        raise ValueError("expected a finite input")
    if fabs(x) > _SINE_MAX:
        raise ValueError("expected an input of at most 2**20 quarters of a turn")
    n = nearest(x * 6.36619772367581382433e-01)
    r = x - n * 1.57079632673412561417e00
    w = n * 6.07710050650619224932e-11
    y = r - w
    exponent = bitcast(int, x) >> 52 & 2047
    if exponent - (bitcast(int, y) >> 52 & 2047) > 16:
        t = r
        w = n * 6.07710050630396597660e-11
        r = t - w
        w = n * 2.02226624879595063154e-21 - ((t - r) - w)
        y = r - w
        if exponent - (bitcast(int, y) >> 52 & 2047) > 49:
            t = r
            w = n * 2.02226624871116645580e-21
            r = t - w
            w = n * 8.47842766036889956997e-32 - ((t - r) - w)
            y = r - w
    tail = (r - y) - w
    quadrant = (int(n) + quarters) & 3
    value = _cosine_part(y, tail) if quadrant & 1 else _sine_part(y, tail)
    return -value if quadrant & 2 else value


def _sine_part(x: float, tail: float) -> float:
    z = x * x
    v = z * x
    r = 8.33333333332248946124e-03 + z * (
        -1.98412698298579493134e-04
        + z
        * (
            2.75573137070700676789e-06
            + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)
        )
    )
    return x - ((z * (0.5 * tail - v * r) - tail) - v * -1.66666666666666324348e-01)


def _cosine_part(x: float, tail: float) -> float:
    z = x * x
    w = z * z
    r = z * (
        4.16666666666666019037e-02
        + z * (-1.38888888888741095749e-03 + z * 2.48015872894767294178e-05)
    )
    r += (
        w
        * w
        * (
            -2.75573143513906633035e-07
            + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)
        )
    )
    half = 0.5 * z
    v = 1.0 - half
    return v + (((1.0 - v) - half) + (z * r - x * tail))


def sin(x: float) -> float:
    """The sine; a `ValueError` beyond 1,647,099."""
    return x if fabs(x) < 7.450580596923828e-09 else _sine(x, 0)


def cos(x: float) -> float:
    """The cosine; a `ValueError` beyond 1,647,099."""
    return _sine(x, 1)


def fmod(x: float, y: float) -> float:
    """The remainder with the sign of x, exactly."""
    if x != x or y != y:  # noqa: PLR0124  (NaN)
        return x + y
    if y == 0 or fabs(x) == math.inf:
        raise ValueError("math domain error")
    if fabs(x) < fabs(y):
        return x
    a = bitcast(int, fabs(x))
    b = bitcast(int, fabs(y))
    exponent = max(a >> 52, 1)
    end = max(b >> 52, 1)
    # Mantissas with their hidden bit: those of subnormal numbers are shifted until they have it.
    a = a & _MANTISSA | (_HIDDEN if a > _MANTISSA else 0)
    b = b & _MANTISSA | (_HIDDEN if b > _MANTISSA else 0)
    while a < _HIDDEN:
        a <<= 1
        exponent -= 1
    while b < _HIDDEN:
        b <<= 1
        end -= 1
    while exponent > end:
        if a >= b:
            a -= b
        a <<= 1
        exponent -= 1
    if a >= b:
        a -= b
    if a == 0:
        return copysign(0.0, x)
    while a < _HIDDEN:
        a <<= 1
        exponent -= 1
    a = (exponent - 1 << 52) + a if exponent > 0 else a >> 1 - exponent
    return copysign(bitcast(float, a), x)


def isnan(x: float) -> bool:
    """Whether it is no number."""
    return x != x  # noqa: PLR0124  (NaN)


def isinf(x: float) -> bool:
    """Whether it is one of the two infinities."""
    return fabs(x) == math.inf


def isfinite(x: float) -> bool:
    """Whether it is neither an infinity nor NaN."""
    return x - x == 0


def floor(x: float) -> int:
    """The largest integer that is not above, an i64; `OverflowError` if that does not hold it, `ValueError` for NaN."""
    return int(intrinsics.floor(x))


def ceil(x: float) -> int:
    """The smallest integer that is not below, an i64; `OverflowError` if that does not hold it, `ValueError` for NaN."""
    return int(intrinsics.ceil(x))


def trunc(x: float) -> int:
    """The whole part, an i64; `OverflowError` if that does not hold it, `ValueError` for NaN."""
    return int(x)


def degrees(x: float) -> float:
    """An angle in degrees, of one in radians."""
    return x * 57.29577951308232


def radians(x: float) -> float:
    """An angle in radians, of one in degrees."""
    return x * 0.017453292519943295


def mod(x: float, y: float) -> float:
    """Python's `%`: the remainder with the sign of y."""
    if y == 0:
        raise ZeroDivisionError("float modulo")
    if fabs(x) == math.inf:
        return math.nan
    found = fmod(x, y)
    if found == 0:
        return copysign(0.0, y)
    return found + y if (y < 0) != (found < 0) else found


def floordiv(x: float, y: float) -> float:
    """Python's `//`, in the steps of CPython."""
    if y == 0:
        raise ZeroDivisionError("float floor division by zero")
    if fabs(x) == math.inf:
        return math.nan
    rest = fmod(x, y)
    quotient = (x - rest) / y
    if rest != 0 and (y < 0) != (rest < 0):
        quotient -= 1.0
    if quotient == 0:
        return copysign(0.0, x / y)
    whole = intrinsics.floor(quotient)
    return whole + 1.0 if quotient - whole > 0.5 else whole


def _definitions(*functions: Callable[..., Any]) -> dict[str, Definition]:
    return {each.__name__: Definition(function=each) for each in functions}


_PUBLIC: Final = _definitions(
    *(exp, log, sin, cos, fmod),
    *(isnan, isinf, isfinite, floor, ceil, trunc, degrees, radians),
)
_PRIVATE: Final = _definitions(_scaled, _sine, _sine_part, _cosine_part)
_OPERATORS: Final = _definitions(mod, floordiv)

OF_MATH: Final[dict[Callable[..., Any], Definition]] = {
    getattr(math, name): definition for name, definition in _PUBLIC.items()
}
"""What takes the place of Python's functions."""

OF_SOURCE: Final[dict[Callable[..., Any], Definition]] = {
    each.function: each for each in (*_PUBLIC.values(), *_PRIVATE.values())
}
"""What calls within this file mean."""

OF_OPERATOR: Final = _OPERATORS
"""`%` and `//` of floats, by the names of the operations."""
