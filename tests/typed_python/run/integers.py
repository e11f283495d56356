"""Arithmetic of the four integer types at their ends.

Behind each function: what calls of it come to, compiled, under CPython and under wasmtime.
"""

from interlock import jit
from interlock.intrinsics import (
    clz,
    ctz,
    popcnt,
    rotl,
    rotr,
    wrap,
    wrapping_add,
    wrapping_mul,
    wrapping_neg,
    wrapping_shl,
    wrapping_sub,
)
from interlock.types import f64, i32, i64, u32, u64


@jit
def add(a: i32, b: i32) -> i32:
    return a + b


# add(2147483646, 1) == 2147483647
# add(2147483647, 1) raises OverflowError
# add(-2147483648, -1) raises OverflowError
# add(2147483648, 0) raises OverflowError


@jit
def add_u32(a: u32, b: u32) -> u32:
    return a + b


# add_u32(4294967295, 0) == 4294967295
# add_u32(4294967295, 1) raises OverflowError
# add_u32(-1, 1) raises OverflowError


@jit
def add_i64(a: i64, b: i64) -> i64:
    return a + b


# add_i64(9223372036854775807, -1) == 9223372036854775806
# add_i64(9223372036854775807, 1) raises OverflowError
# add_i64(-9223372036854775808, -1) raises OverflowError
# add_i64(9223372036854775808, 0) raises OverflowError


@jit
def add_u64(a: u64, b: u64) -> u64:
    return a + b


# add_u64(18446744073709551615, 0) == 18446744073709551615
# add_u64(18446744073709551615, 1) raises OverflowError


@jit
def next_i64(a: i64) -> i64:
    return a + 1


# next_i64(9223372036854775806) == 9223372036854775807
# next_i64(9223372036854775807) raises OverflowError


@jit
def before(a: i64) -> i64:
    return -1 + a - 1


# before(-9223372036854775806) == -9223372036854775808
# before(-9223372036854775807) raises OverflowError


@jit
def sub(a: i32, b: i32) -> i32:
    return a - b


# sub(-2147483648, 0) == -2147483648
# sub(-2147483648, 1) raises OverflowError
# sub(0, -2147483648) raises OverflowError


@jit
def sub_i64(a: i64, b: i64) -> i64:
    return a - b


# sub_i64(-1, 9223372036854775807) == -9223372036854775808
# sub_i64(-2, 9223372036854775807) raises OverflowError
# sub_i64(0, -9223372036854775808) raises OverflowError


@jit
def sub_u64(a: u64, b: u64) -> u64:
    return a - b


# sub_u64(5, 5) == 0
# sub_u64(5, 6) raises OverflowError


@jit
def mul(a: i32, b: i32) -> i32:
    return a * b


# mul(65536, 32767) == 2147418112
# mul(65536, 32768) raises OverflowError
# mul(-65536, 32768) == -2147483648
# mul(-2147483648, -1) raises OverflowError


@jit
def mul_i64(a: i64, b: i64) -> i64:
    return a * b


# mul_i64(4294967296, 2147483647) == 9223372032559808512
# mul_i64(4294967296, 2147483648) raises OverflowError
# mul_i64(-4294967296, 2147483648) == -9223372036854775808
# mul_i64(-9223372036854775808, -1) raises OverflowError
# mul_i64(-1, -9223372036854775808) raises OverflowError
# mul_i64(-9223372036854775808, 0) == 0
# mul_i64(0, -9223372036854775808) == 0
# mul_i64(-9223372036854775808, 1) == -9223372036854775808


@jit
def mul_u64(a: u64, b: u64) -> u64:
    return a * b


# mul_u64(4294967296, 4294967295) == 18446744069414584320
# mul_u64(4294967296, 4294967296) raises OverflowError
# mul_u64(4294967296, 0) == 0


@jit
def opposite(a: i64) -> i64:
    return a * -1


# opposite(9223372036854775807) == -9223372036854775807
# opposite(-9223372036854775808) raises OverflowError


@jit
def floordiv(a: i32, b: i32) -> i32:
    return a // b


# floordiv(7, 2) == 3
# floordiv(-7, 2) == -4
# floordiv(7, -2) == -4
# floordiv(-7, -2) == 3
# floordiv(-8, 2) == -4
# floordiv(1, 0) raises ZeroDivisionError
# floordiv(-2147483648, -1) raises OverflowError


@jit
def mod(a: i64, b: i64) -> i64:
    return a % b


# mod(7, 3) == 1
# mod(-7, 3) == 2
# mod(7, -3) == -2
# mod(-7, -3) == -1
# mod(-6, 3) == 0
# mod(6, -3) == 0
# mod(-9223372036854775808, -1) == 0
# mod(1, 0) raises ZeroDivisionError


@jit
def divide_u64(a: u64, b: u64) -> u64:
    return a // b * 10 + a % b


# divide_u64(18446744073709551615, 18446744073709551614) == 11
# divide_u64(1, 0) raises ZeroDivisionError


@jit
def quotient(a: i32, b: i32) -> f64:
    return a / b


# quotient(1, 4) == 0.25
# quotient(1, 0) raises ZeroDivisionError


@jit
def cube(a: i32) -> i32:
    return a**3


# cube(-1290) == -2146689000
# cube(1291) raises OverflowError


@jit
def power(a: i64) -> i64:
    return a**0 + a**1 + a**7


# power(3) == 2191
# power(-512) raises OverflowError
# power(511) == 9098007718612700671 + 512


@jit
def shifts(a: i32, n: i32) -> i32:
    return a << n


# shifts(1, 30) == 1073741824
# shifts(1, 31) raises OverflowError
# shifts(-1, 31) == -2147483648
# shifts(1, 32) raises OverflowError
# shifts(1, -1) raises ValueError


@jit
def shift_right(a: i64, n: i64) -> i64:
    return a >> n


# shift_right(-5, 1) == -3
# shift_right(-5, 64) == -1
# shift_right(5, 1000) == 0
# shift_right(5, -1) raises ValueError


@jit
def shift_right_u32(a: u32, n: u32) -> u32:
    return a >> n


# shift_right_u32(4294967295, 31) == 1
# shift_right_u32(4294967295, 32) == 0


@jit
def bits(a: i32, b: i32) -> i32:
    return (a & b) ^ (a | ~b)


# bits(12, 10) == -11


@jit
def signs(a: i32) -> i32:
    return abs(a) + -a


# signs(-5) == 10
# signs(-2147483648) raises OverflowError


@jit
def negative_u32(a: u32) -> u32:
    return -a


# negative_u32(0) == 0
# negative_u32(1) raises OverflowError


@jit
def wrapped(a: u32, b: u32) -> u32:
    return wrapping_sub(wrapping_mul(wrapping_add(a, 1), b), wrapping_neg(wrapping_shl(b, 33)))


# wrapped(4294967295, 7) == 14
# wrapped(5, 4294967295) == 4294967288


@jit
def counts(a: u64) -> u64:
    return clz(a) * 10000 + ctz(a) * 100 + popcnt(a)


# counts(0) == 646400
# counts(40) == 580302


@jit
def counts_i32(a: i32) -> i32:
    return clz(a) * 10000 + ctz(a) * 100 + popcnt(a)


# counts_i32(-1) == 32
# counts_i32(-2147483648) == 3101


@jit
def rotated(a: i32, n: i32) -> i32:
    return rotl(a, n) ^ rotr(a, n)


# rotated(-2147483648, 1) == 1073741825
# rotated(5, 32) == 0


@jit
def narrowed(a: i64) -> i32:
    return i32(a)


# narrowed(-2147483648) == -2147483648
# narrowed(-2147483649) raises OverflowError
# narrowed(9223372036854775807) raises OverflowError


@jit
def narrowed_u32(a: i64) -> u32:
    return u32(a)


# narrowed_u32(4294967295) == 4294967295
# narrowed_u32(4294967296) raises OverflowError
# narrowed_u32(-1) raises OverflowError


@jit
def narrowed_u64(a: u64) -> i32:
    return i32(a)


# narrowed_u64(2147483647) == 2147483647
# narrowed_u64(18446744073709551615) raises OverflowError


@jit
def signed_u64(a: u64) -> i64:
    return i64(a)


# signed_u64(9223372036854775807) == 9223372036854775807
# signed_u64(9223372036854775808) raises OverflowError


@jit
def unsigned(a: i32) -> u64:
    return u64(a)


# unsigned(2147483647) == 2147483647
# unsigned(-1) raises OverflowError


@jit
def signed_u32(a: u32) -> i32:
    return i32(a)


# signed_u32(2147483648) raises OverflowError


@jit
def wraps(a: i64) -> u64:
    return wrap(u64, wrap(u32, a)) + wrap(u64, wrap(i32, a))


# wraps(1) == 2
# wraps(-1) raises OverflowError


@jit
def widened(a: i32, b: u32, c: i64) -> i64:
    return a + b + c


# widened(-1, 4294967295, 1) == 4294967295


@jit
def extremes(a: u32, b: u32) -> u32:
    return max(a, b) - min(a, b)


# extremes(4294967295, 1) == 4294967294
