"""Statements."""

from interlock import jit
from interlock.types import f64, i32, i64, u32

LIMIT = 10
ADD, SUBTRACT = 1, 2


class Kind:
    """Constants in a class."""

    ODD = 1


@jit
def search(n: i32) -> i32:
    for i in range(2, n):
        if n % i == 0:
            break
    else:
        return 0
    return i


# search(7) == 0
# search(35) == 5


@jit
def collatz(n: i64) -> i32:
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
        if steps > 1000:
            break
    else:
        steps += 10000
    return i32(steps)


# collatz(27) == 10111


@jit
def ranges(start: i32, stop: i32, step: i32) -> i64:
    code: i64 = 0
    for i in range(start, stop, step):
        code = (code * 31 + i) % 1000003
    return code


# ranges(0, 10, 3) == 3 * 961 + 6 * 31 + 9
# ranges(10, 0, -3) == 10 * 29791 + 7 * 961 + 4 * 31 + 1
# ranges(0, 10, -1) == 0
# ranges(0, 0, 1) == 0
# ranges(0, 1, 0) raises ValueError
# ranges(2147483646, 2147483647, 2147483647) == 2147483646 % 1000003
# ranges(-2147483648, 2147483647, 2147483647) == ((-2147483648 * 31 - 1) * 31 + 2147483646) % 1000003


@jit
def range_of_u32(start: u32) -> u32:
    count: u32 = 0
    for _ in range(start, 4294967295, 4294967294):
        count += 1
    return count


# range_of_u32(0) == 2
# range_of_u32(1) == 1


@jit
def continued(n: i32) -> i32:
    total: i32 = 0
    for i in range(n, -1, -1):
        if i % 2 == Kind.ODD:
            continue
        total += i
    return total


# continued(7) == 12


@jit
def nested(n: i64) -> i64:
    found = 0
    for i in range(n):
        for j in range(i):
            if j * j > LIMIT:
                break
            if i == j + 1:
                continue
            found += 1
    return found


# nested(10) == 26


@jit
def matched(op: i32, a: f64) -> f64:
    match op:
        case 1:
            return a + 1
        case 2 | 3:
            return a - 1
        case Kind.ODD:
            return 0.0
        case n if n < 0:
            return a * n
        case _:
            return a


# matched(1, 0.5) == 1.5
# matched(3, 0.5) == -0.5
# matched(-2, 0.5) == -1.0
# matched(9, 0.5) == 0.5


@jit
def chained(a: i32, b: i32, c: i32) -> bool:
    return a < b + 1 <= c != 5


# chained(1, 1, 2) == True
# chained(1, 1, 5) == False
# chained(2, 1, 3) == False


@jit
def logic(a: bool, b: bool, n: i32) -> bool:
    return (a and not b) or (n > 3 and 10 // n == 2) or (a ^ b and False)


# logic(True, False, 0) == True
# logic(False, False, 0) == False
# logic(False, False, 5) == True


@jit
def truth(n: i32, x: f64) -> i32:
    if n and not x:
        return 1
    return 2 if n or x else 3


# truth(1, 0.0) == 1
# truth(1, 2.0) == 2
# truth(0, 0.0) == 3


@jit
def chosen(n: u32, up: bool) -> u32:
    """Literals of a choice take the type that they stand beside."""
    return n + (1 if up else 2)


# chosen(4294967294, True) == 4294967295
# chosen(4294967294, False) raises OverflowError


@jit
def swapped(a: i32, b: i32) -> i32:
    a, b = b, a - b
    c = d = a * 2
    c += 1
    return a + 10 * b + 100 * c + 1000 * d


# swapped(5, 3) == 6723


@jit
def refuses(n: i32) -> i32:
    if n < 0:
        raise ValueError("negative")
    assert n < 100, "too large"
    if n == 42:
        raise LookupError
    return n


# refuses(5) == 5
# refuses(-1) raises ValueError
# refuses(100) raises AssertionError
# refuses(42) raises LookupError


@jit
def nothing(n: i32) -> None:
    if n > 3:
        return
    assert n


# nothing(4) == None
# nothing(0) raises AssertionError


@jit
def forever(n: i32) -> i32:
    while True:
        n -= 1
        if n < 10:
            return n


# forever(100) == 9


@jit
def shadowed(n: i32) -> i32:
    """A range is computed once, and its variable may be changed."""
    count: i32 = 0
    for i in range(n):
        n = 0
        i = 7  # noqa: PLW2901
        count += i
    return count


# shadowed(3) == 21
