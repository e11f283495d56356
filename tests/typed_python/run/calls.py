"""Functions that call each other, recursion, inlining, inference."""

from interlock import jit
from interlock.types import f64, i32, i64


@jit
def fib(n: i32) -> i32:
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


# fib(15) == 610


@jit
def is_even(n: i32) -> bool:
    return n == 0 or is_odd(n - 1)


@jit
def is_odd(n: i32) -> bool:
    return n != 0 and is_even(n - 1)


# is_even(10) == True
# is_odd(10) == False


@jit(inline=True)
def clamp(x: f64, low: f64, high: f64) -> f64:
    if x < low:
        return low
    if x > high:
        return high
    return x


@jit
def clamped(x: f64) -> f64:
    return clamp(clamp(x, -1, 1) * 2, 0, 1) + clamp(x, 0, 0.5)


# clamped(0.25) == 0.75
# clamped(-3) == 0.0
# clamped(7) == 1.5


@jit(inline=True)
def square(x):
    return x * x


@jit
def squares(a: i32, b: f64) -> f64:
    return square(a) + square(b) + square(2)


# squares(3, 0.5) == 13.25
# squares(65536, 1) raises OverflowError


@jit
def late(n: i64):
    if n < 0:
        return 0
    total = 0
    for i in range(n):
        total += square(i)
    return total


# late(4) == 14
# late(-1) == 0


@jit
def endless(n: i64) -> i64:
    return endless(n + 1) + 1


# endless(0) raises RecursionError


@jit
def report(n: i32) -> None:
    assert n != 3


@jit
def reports(n: i32) -> i32:
    for i in range(n):
        report(i)
    return n


# reports(3) == 3
# reports(4) raises AssertionError
