"""Floating-point arithmetic, conversions and bits."""

import math

from interlock import jit
from interlock.intrinsics import bitcast, ceil, copysign, floor, ieee_div, nearest, sqrt, trunc
from interlock.types import f32, f64, i32, i64, u32, u64

SCALE = 0.5


@jit
def arithmetic(a: f64, b: f64) -> f64:
    return a * b - a / b + SCALE


# arithmetic(3, 4) == 11.75
# arithmetic(1e308, 10) == math.inf
# arithmetic(1, 0) raises ZeroDivisionError
# arithmetic(1, -0.0) raises ZeroDivisionError
# arithmetic(math.nan, 1) == math.nan


@jit
def single(a: f32, b: f32) -> f32:
    return a * b + 0.1


# single(0.1, 0.1) == 0.10999999940395355
# single(3e38, 10) == math.inf


@jit
def both(a: f32, b: f64) -> f64:
    return a + b


# both(0.5, 0.25) == 0.75


@jit
def from_integer(a: i64, b: f64) -> f64:
    return a * b


# from_integer(9007199254740993, 1) == 9007199254740992.0


@jit
def to_i32(a: f64) -> i32:
    return i32(a)


# to_i32(2.9) == 2
# to_i32(-2147483648.9) == -2147483648
# to_i32(-2147483649) raises OverflowError
# to_i32(2147483648) raises OverflowError
# to_i32(math.nan) raises ValueError
# to_i32(math.inf) raises OverflowError


@jit
def to_u64(a: f64) -> u64:
    return u64(a)


# to_u64(-0.9) == 0
# to_u64(-1) raises OverflowError
# to_u64(18446744073709549568) == 18446744073709549568
# to_u64(18446744073709551616) raises OverflowError


@jit
def to_i64(a: f32) -> i64:
    return i64(a)


# to_i64(-9223372036854775808) == -9223372036854775808
# to_i64(9223372036854775808) raises OverflowError


@jit
def to_f32(a: f64) -> f32:
    return f32(a)


# to_f32(0.1) == 0.10000000149011612
# to_f32(1e300) == math.inf
# to_f32(-1e300) == -math.inf


@jit
def root(a: f64) -> f64:
    return math.sqrt(a)


# root(2) == 1.4142135623730951
# root(-0.0) == -0.0
# root(-1) raises ValueError


@jit
def ieee(a: f64, b: f64) -> f64:
    return sqrt(ieee_div(a, b))


# ieee(1, 0) == math.inf
# ieee(-1, 0) == math.nan
# ieee(0, 0) == math.nan


@jit
def rounded(a: f64) -> f64:
    return floor(a) + 10 * ceil(a) + 100 * trunc(a) + 1000 * nearest(a)


# rounded(2.5) == 2232.0
# rounded(-2.5) == -2223.0
# rounded(math.inf) == math.inf


@jit
def sign_of_zero(a: f64) -> f64:
    return copysign(1, ceil(a))


# sign_of_zero(-0.5) == -1.0
# sign_of_zero(0.5) == 1.0


@jit
def power(a: f64) -> f64:
    return a**5


# power(1.1) == 1.6105100000000006


@jit
def bits_of(a: f64) -> i64:
    return bitcast(i64, a)


# bits_of(1) == 4607182418800017408
# bits_of(-0.0) == -9223372036854775808


@jit
def float_of(a: u32) -> f32:
    return bitcast(f32, a)


# float_of(3212836864) == -1.0


@jit
def smaller(a: f64, b: f64) -> f64:
    return min(a, b)


# smaller(1, 2) == 1.0
# smaller(math.nan, 1) == math.nan
# smaller(1, math.nan) == 1.0
# smaller(0.0, -0.0) == 0.0


@jit
def magnitude(a: f64) -> f64:
    return abs(a) + math.fabs(a) - math.pi


# magnitude(-2) == 0.8584073464102069


@jit
def default_types(n: i64) -> f64:
    total = 0
    for i in range(n):
        total += i / 2.0
    return total


# default_types(4) == 3.0


@jit
def whole(a: f64) -> i64:
    return math.floor(a) * 100 + math.ceil(a) * 10 + math.trunc(a)


# whole(2.5) == 232
# whole(-2.5) == -322
# whole(math.nan) raises ValueError
# whole(math.inf) raises OverflowError
# whole(1e19) raises OverflowError


@jit
def turned(a: f64) -> f64:
    if math.isnan(a) or math.isinf(a) or not math.isfinite(a):
        return -1.0
    return math.degrees(math.radians(a) * 2)


# turned(math.nan) == -1.0
# turned(-math.inf) == -1.0
# turned(90) == 180.0
