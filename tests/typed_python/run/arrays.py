"""Arrays: elements of each size, several dimensions, structs, negative indices, bounds."""

import numpy as np

from interlock import jit, struct
from interlock.intrinsics import wrapping_mul
from interlock.types import (
    Array,
    Array2,
    Array3,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
)


@jit
def dot(a: Array[f64], b: Array[f64]) -> f64:
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


# dot(np.array([1.0, 2, 3]), np.array([4.0, 5, 6])) == 32.0
# dot(np.zeros(0), np.zeros(0)) == 0.0
# dot(np.ones(3), np.ones(2)) raises IndexError


@jit
def pick(a: Array[i32], index: i64) -> i32:
    return a[index]


# pick(np.array([5, 6, 7], np.int32), 2) == 7
# pick(np.array([5, 6, 7], np.int32), -1) == 7
# pick(np.array([5, 6, 7], np.int32), -3) == 5
# pick(np.array([5, 6, 7], np.int32), 3) raises IndexError
# pick(np.array([5, 6, 7], np.int32), -4) raises IndexError
# pick(np.array([5, 6, 7], np.int32), 9223372036854775807) raises IndexError
# pick(np.array([5, 6, 7], np.int32), -9223372036854775808) raises IndexError
# pick(np.zeros(0, np.int32), 0) raises IndexError


@jit
def put(a: Array[f32], index: i32, value: f32) -> None:
    a[index] = value
    a[index + 1] += value * 2


# put(np.zeros(4, np.float32), 1, 0.1) == None
# put(np.zeros(4, np.float32), 3, 0.1) raises IndexError


@jit
def narrow(a: Array[i8], b: Array[u8], c: Array[i16], d: Array[u16], x: i64) -> i32:
    a[0] = x
    b[0] = x + 128
    c[0] = x * 256
    d[0] = (x + 128) * 256
    a[1] -= 1
    return a[0] + b[0] + c[0] + d[0]


# narrow(np.ones(2, np.int8), np.ones(2, np.uint8), np.ones(2, np.int16), np.ones(2, np.uint16), 127) == 98174
# narrow(np.ones(2, np.int8), np.ones(2, np.uint8), np.ones(2, np.int16), np.ones(2, np.uint16), -128) == -32896
# narrow(np.ones(2, np.int8), np.ones(2, np.uint8), np.ones(2, np.int16), np.ones(2, np.uint16), 128) raises OverflowError
# narrow(np.full(2, -128, np.int8), np.ones(2, np.uint8), np.ones(2, np.int16), np.ones(2, np.uint16), 0) raises OverflowError


@jit
def wide(a: Array[u64], b: Array[i64], c: Array[u32], d: Array[bool]) -> u64:
    if d[0] and not d[1]:
        a[0] += u64(c[0])
        d[1] = c[1] > 5
    b[1] = -b[0]
    return a[0]


# wide(np.array([2**64 - 6], np.uint64), np.array([3, 0]), np.array([5, 6], np.uint32), np.array([True, False])) == 2**64 - 1
# wide(np.array([2**64 - 5], np.uint64), np.array([3, 0]), np.array([5, 6], np.uint32), np.array([True, False])) raises OverflowError


@jit
def transpose(a: Array2[f64], to: Array2[f64]) -> None:
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            to[j, i] = a[i, j]


# transpose(np.arange(6.0).reshape(2, 3), np.zeros((3, 2))) == None
# transpose(np.arange(6.0).reshape(2, 3), np.zeros((2, 3))) raises IndexError


@jit
def total(a: Array3[i32]) -> i64:
    found = 0
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            for k in range(a.shape[2]):
                found += (i + 1) * 100 * a[i, j, k] + j * 10 + k
    return found + a[-1, -1, -1]


# total(np.arange(24, dtype=np.int32).reshape(2, 3, 4)) == 48899


@struct
class Particle:
    """Fields of several sizes, with room between them."""

    kind: u8
    mass: f64
    charge: i16
    count: u32


@jit
def collide(p: Array[Particle], i: i32, j: i32) -> f64:
    p[i].mass += p[j].mass
    p[j].mass = 0
    p[i].charge += p[j].charge
    p[i].count = p[i].count + p[j].count
    p[j].kind = 255
    return p[i].mass * p[i].charge


PARTICLES = np.array(
    [(1, 1.5, -2, 7), (2, 2.5, 4, 8)],
    np.dtype("u1, f8, i2, u4", align=True),
)
PARTICLES.dtype.names = ("kind", "mass", "charge", "count")

# collide(PARTICLES.copy(), 0, -1) == 8.0
# collide(PARTICLES.copy(), 0, 2) raises IndexError


@jit(inline=True)
def swap(a: Array[i64], i: i64, j: i64) -> None:
    a[i], a[j] = a[j], a[i]


@jit
def reverse(a: Array[i64]) -> None:
    for i in range(len(a) // 2):
        swap(a, i, -1 - i)


# reverse(np.arange(7)) == None


@jit
def hash_of(data: Array[u8]) -> u32:
    found: u32 = 2166136261
    for i in range(len(data)):
        found = wrapping_mul(found ^ u32(data[i]), 16777619)
    return found


# hash_of(b"hello") == 1335831723
# hash_of(bytearray(b"")) == 2166136261


@jit
def once(a: Array[i64], counter: Array[i64]) -> i64:
    a[advance(counter)] += advance(counter) * 10
    return counter[0]


@jit
def advance(counter: Array[i64]) -> i64:
    counter[0] += 1
    return counter[0]


# once(np.zeros(5, np.int64), np.zeros(1, np.int64)) == 2
