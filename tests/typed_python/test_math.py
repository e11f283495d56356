"""The mathematical functions: their error, their exceptions, and `%` and `//` of floats, which are Python's exactly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import interlock
from interlock.types import f64, i64
from tests.typed_python.programs import comparable, outcome

if TYPE_CHECKING:
    from collections.abc import Callable


@interlock.jit
def exp(x: f64) -> f64:
    return math.exp(x)


@interlock.jit
def log(x: f64) -> f64:
    return math.log(x)


@interlock.jit
def sin(x: f64) -> f64:
    return math.sin(x)


@interlock.jit
def cos(x: f64) -> f64:
    return math.cos(x)


@interlock.jit
def fmod(x: f64, y: f64) -> f64:
    return math.fmod(x, y)


@interlock.jit
def mod(x: f64, y: f64) -> f64:
    return x % y


@interlock.jit
def floordiv(x: f64, y: f64) -> f64:
    x //= y
    return x


FLOATS = st.floats() | st.floats(-800, 800) | st.integers(-20, 20).map(float)


def _units(found: float, exact: float) -> float:
    """How many units in the last place two results are apart."""
    if not math.isfinite(exact) or not math.isfinite(found):
        return 0 if comparable(found) == comparable(exact) else math.inf
    return abs(found - exact) / math.ulp(exact)


def _compare(compiled: Callable[[float], float], exact: Callable[[float], float], x: float) -> None:
    """Either less than a unit from the C library's result, whose own error is below one, or the same exception."""
    wanted = outcome(exact, (x,))
    found = outcome(compiled, (x,))
    assert found == outcome(compiled.python, (x,))  # type: ignore[attr-defined]  # a compiled function
    if "raises" in {wanted[0], found[0]}:
        assert found == wanted
    else:
        assert _units(compiled(x), exact(x)) <= 1


@given(FLOATS)
@example(709.782712893384)
@example(-745.1332191019412)
@example(-708.5)
@example(math.inf)
def test_exp(x: float) -> None:
    _compare(exp, math.exp, x)


@given(FLOATS | st.floats(0.5, 2))
@example(0.0)
@example(5e-324)
@example(1.0)
def test_log(x: float) -> None:
    _compare(log, math.log, x)


@given(
    st.floats(-1647099, 1647099)
    | st.floats(-10, 10)
    | st.integers(-100000, 100000).map(lambda n: n * math.pi / 2)
)
@example(-0.0)
@example(math.nan)
@example(math.inf)
def test_sine_and_cosine(x: float) -> None:
    _compare(sin, math.sin, x)
    _compare(cos, math.cos, x)


@pytest.mark.parametrize("function", [sin, cos])
def test_beyond_the_range_of_the_reduction_is_an_error(function: Callable[[float], float]) -> None:
    function(1647099.0)

    with pytest.raises(ValueError, match="at most"):
        function(1647100.0)


@settings(max_examples=30)
@given(FLOATS, FLOATS)
@example(1e308, 5e-324)
@example(5e-324, 5e-324)
@example(-7.0, 2.5)
@example(-0.0, 3.0)
@example(1.0, math.inf)
@example(-1.0, math.inf)
def test_remainders_are_python_s_exactly(x: float, y: float) -> None:
    for compiled, exact in (
        (fmod, math.fmod),
        (mod, lambda x, y: x % y),
        (floordiv, lambda x, y: x // y),
    ):
        assert outcome(compiled, (x, y)) == outcome(exact, (x, y))
        assert outcome(compiled.python, (x, y)) == outcome(exact, (x, y))


@interlock.jit
def kind_of(x: f64) -> i64:
    return i64(math.isnan(x)) + 2 * i64(math.isinf(x)) + 4 * i64(math.isfinite(x))


@interlock.jit
def floor(x: f64) -> i64:
    return math.floor(x)


@interlock.jit
def ceil(x: f64) -> i64:
    return math.ceil(x)


@interlock.jit
def trunc(x: f64) -> i64:
    return math.trunc(x)


@interlock.jit
def degrees(x: f64) -> f64:
    return math.degrees(x)


@interlock.jit
def radians(x: f64) -> f64:
    return math.radians(x)


@pytest.mark.parametrize("compiled", [kind_of, floor, ceil, trunc, degrees, radians])
@given(FLOATS | st.floats(-1e19, 1e19))
@example(math.nan)
@example(math.inf)
@example(-0.5)
@example(9223372036854774784.0)
@example(-9223372036854775808.0)
@example(9223372036854775808.0)
def test_exact_functions_are_python_s_exactly(
    compiled: Callable[[float], object], x: float
) -> None:
    wanted = outcome(compiled.__wrapped__, (x,))  # type: ignore[attr-defined]  # the function itself
    if isinstance(wanted[1], tuple) and not -(2**63) <= wanted[1][1] < 2**63:
        wanted = "raises", "OverflowError"

    assert outcome(compiled, (x,)) == wanted
    assert outcome(compiled.python, (x,)) == wanted  # type: ignore[attr-defined]  # a compiled function
