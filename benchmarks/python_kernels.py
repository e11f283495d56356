"""Kernels in typed Python, with small and large arguments: for the tests, and for the comparison with numba.

numba compiles the same source, with its own names in place of the imports below (`python_functions.py`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from interlock import jit, struct
from interlock.intrinsics import clz, popcnt, rotl, wrapping_add, wrapping_mul, wrapping_shl
from interlock.types import Array, Array2, f32, f64, i32, i64, u8, u32, u64

if TYPE_CHECKING:
    from collections.abc import Callable


@jit
def add(a: i64, b: i64) -> i64:
    return a + b


@jit
def mandelbrot(out: Array2[i32], most: i32) -> None:
    height, width = out.shape[0], out.shape[1]
    for row in range(height):
        for column in range(width):
            x = 3.0 * f64(column) / f64(width) - 2.25
            y = 2.5 * f64(row) / f64(height) - 1.25
            a = b = 0.0
            count = most
            for i in range(most):
                a, b = a * a - b * b + x, 2.0 * a * b + y
                if a * a + b * b > 4.0:
                    count = i
                    break
            out[row, column] = count


@jit
def n_body(p: Array2[f64], v: Array2[f64], mass: Array[f64], steps: i64) -> f64:
    n = len(mass)
    for _ in range(steps):
        for i in range(n):
            for j in range(i + 1, n):
                dx, dy, dz = p[i, 0] - p[j, 0], p[i, 1] - p[j, 1], p[i, 2] - p[j, 2]
                square = dx * dx + dy * dy + dz * dz
                pull = 0.01 / (square * math.sqrt(square))
                v[i, 0] -= dx * mass[j] * pull
                v[i, 1] -= dy * mass[j] * pull
                v[i, 2] -= dz * mass[j] * pull
                v[j, 0] += dx * mass[i] * pull
                v[j, 1] += dy * mass[i] * pull
                v[j, 2] += dz * mass[i] * pull
        for i in range(n):
            for k in range(3):
                p[i, k] += 0.01 * v[i, k]
    energy = 0.0
    for i in range(n):
        energy += 0.5 * mass[i] * (v[i, 0] * v[i, 0] + v[i, 1] * v[i, 1] + v[i, 2] * v[i, 2])
    return energy


@jit
def matrix_product(a: Array2[f64], b: Array2[f64], c: Array2[f64]) -> None:
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = 0.0
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


@jit
def convolution(image: Array2[f32], kernel: Array2[f32], out: Array2[f32]) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            total = f32(0.0)
            for i in range(kernel.shape[0]):
                for j in range(kernel.shape[1]):
                    total += image[y + i, x + j] * kernel[i, j]
            out[y, x] = total


@jit
def levenshtein(a: Array[u8], b: Array[u8], row: Array[i64]) -> i64:
    for j in range(len(b) + 1):
        row[j] = j
    for i in range(len(a)):
        diagonal = row[0]
        row[0] = i + 1
        for j in range(len(b)):
            cost = diagonal if a[i] == b[j] else diagonal + 1
            diagonal = row[j + 1]
            row[j + 1] = min(cost, min(diagonal, row[j]) + 1)
    return row[len(b)]


@jit
def sieve(flags: Array[u8]) -> i64:
    n = len(flags)
    for i in range(n):
        flags[i] = 1
    count = 0
    for i in range(2, n):
        if flags[i] != 0:
            count += 1
            for j in range(i * i, n, i):
                flags[j] = 0
    return count


@jit
def k_means_step(
    points: Array2[f64], centres: Array2[f64], sums: Array2[f64], counts: Array[i64]
) -> f64:
    error = 0.0
    for i in range(points.shape[0]):
        best, chosen = math.inf, 0
        for c in range(centres.shape[0]):
            distance = 0.0
            for d in range(points.shape[1]):
                difference = points[i, d] - centres[c, d]
                distance += difference * difference
            if distance < best:
                best, chosen = distance, c
        error += best
        counts[chosen] += 1
        for d in range(points.shape[1]):
            sums[chosen, d] += points[i, d]
    for c in range(centres.shape[0]):
        if counts[c] > 0:
            for d in range(points.shape[1]):
                centres[c, d] = sums[c, d] / f64(counts[c])
    return error


@jit(inline=True)
def normal(x: f64) -> f64:
    """The cumulative normal distribution (Abramowitz and Stegun, 26.2.17)."""
    k = 1.0 / (1.0 + 0.2316419 * abs(x))
    tail = k * (
        0.319381530 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429)))
    )
    tail *= 0.3989422804014327 * math.exp(-0.5 * x * x)
    return tail if x < 0 else 1.0 - tail


@jit
def black_scholes(
    spot: Array[f64], strike: Array[f64], years: Array[f64], price: Array[f64]
) -> None:
    rate, volatility = 0.02, 0.3
    for i in range(len(spot)):
        deviation = volatility * math.sqrt(years[i])
        d1 = (math.log(spot[i] / strike[i]) + (rate + 0.045) * years[i]) / deviation
        discount = math.exp(-rate * years[i])
        price[i] = spot[i] * normal(d1) - strike[i] * discount * normal(d1 - deviation)


@jit
def fft(re: Array[f64], im: Array[f64]) -> None:
    n = len(re)
    j = 0
    for i in range(1, n):
        bit = n >> 1
        while j & bit:
            j ^= bit
            bit >>= 1
        j ^= bit
        if i < j:
            re[i], re[j] = re[j], re[i]
            im[i], im[j] = im[j], im[i]
    size = 2
    while size <= n:
        angle = -2.0 * math.pi / f64(size)
        half = size // 2
        for k in range(half):
            c, s = math.cos(angle * f64(k)), math.sin(angle * f64(k))
            for start in range(k, n, size):
                x = re[start + half] * c - im[start + half] * s
                y = re[start + half] * s + im[start + half] * c
                re[start + half], im[start + half] = re[start] - x, im[start] - y
                re[start] += x
                im[start] += y
        size *= 2


@jit
def binary_search(sorted_: Array[i64], wanted: Array[i64]) -> i64:
    found = 0
    for k in range(len(wanted)):
        low, high = 0, len(sorted_)
        while low < high:
            middle = (low + high) // 2
            if sorted_[middle] < wanted[k]:
                low = middle + 1
            else:
                high = middle
        if low < len(sorted_) and sorted_[low] == wanted[k]:
            found += 1
    return found


@jit
def hash_of_bytes(data: Array[u8]) -> u32:
    found: u32 = 2166136261
    for i in range(len(data)):
        found = wrapping_mul(found ^ u32(data[i]), 16777619)
    return found


@jit
def quicksort(a: Array[i64], low: i64, high: i64) -> None:
    while low < high:
        pivot, i = a[(low + high) // 2], low
        j = high
        while i <= j:
            while a[i] < pivot:
                i += 1
            while a[j] > pivot:
                j -= 1
            if i <= j:
                a[i], a[j] = a[j], a[i]
                i += 1
                j -= 1
        quicksort(a, low, j)
        low = i


@jit
def game_of_life(a: Array2[u8], b: Array2[u8]) -> i64:
    height, width = a.shape[0], a.shape[1]
    alive = 0
    for y in range(height):
        for x in range(width):
            count = 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    if dy != 0 or dx != 0:
                        count += a[(y + dy) % height, (x + dx) % width]
            is_alive = count == 3 or (count == 2 and a[y, x] == 1)
            b[y, x] = 1 if is_alive else 0
            alive += i64(is_alive)
    return alive


@jit
def allocate(heap: Array[i64], size: i64) -> i64:
    """First fit: a block is its size, then the next free block; heap[0] is the first one."""
    before, block = 0, heap[0]
    while block != 0:
        if heap[block] >= size:
            if heap[block] >= size + 2:
                rest = block + size
                heap[rest], heap[rest + 1] = heap[block] - size, heap[block + 1]
                heap[block] = size
            else:
                rest = heap[block + 1]
            if before == 0:
                heap[0] = rest
            else:
                heap[before + 1] = rest
            return block
        before, block = block, heap[block + 1]
    return 0


@jit
def small_allocator(heap: Array[i64], live: Array[i64], rounds: i64) -> i64:
    heap[0], heap[1], heap[2] = 1, len(heap) - 1, 0
    for i in range(len(live)):
        live[i] = 0
    seed, failures = 12345, 0
    for _ in range(rounds):
        seed = (seed * 1103515245 + 12345) % 2147483648
        slot = seed // 65536 % len(live)
        if live[slot] != 0:
            heap[live[slot] + 1] = heap[0]
            heap[0] = live[slot]
            live[slot] = 0
        else:
            live[slot] = allocate(heap, 2 + seed // 8 % 30)
            if live[slot] == 0:
                failures += 1
    return failures


@struct
class Entry:
    """An entry of the hash table."""

    key: u64
    count: i32
    is_used: u8


@jit
def hash_table(table: Array[Entry], keys: Array[u64]) -> i32:
    mask = len(table) - 1
    most: i32 = 0
    for i in range(len(keys)):
        at = i64(wrapping_mul(keys[i], 11400714819323198485) >> 32) & mask
        while table[at].is_used == 1 and table[at].key != keys[i]:
            at = (at + 1) & mask
        table[at].is_used = 1
        table[at].key = keys[i]
        table[at].count += 1
        most = max(most, table[at].count)
    return most


@jit
def longest_collatz(limit: i64) -> i64:
    best, longest = 0, 0
    for start in range(1, limit):
        n, steps = start, 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        if steps > longest:
            best, longest = start, steps
    return best


@jit
def heapsort(a: Array[f64]) -> None:
    n = len(a)
    for end in range(2 * n - 1, 0, -1):
        root = end - n
        last = n - 1
        if end < n:
            a[0], a[end] = a[end], a[0]
            root = 0
            last = end - 1
        while 2 * root + 1 <= last:
            child = 2 * root + 1
            if child < last and a[child] < a[child + 1]:
                child += 1
            if a[root] >= a[child]:
                break
            a[root], a[child] = a[child], a[root]
            root = child


@jit
def histogram(values: Array[f64], counts: Array[i64]) -> i64:
    outside = 0
    for i in range(len(values)):
        at = i64(values[i] * f64(len(counts)))
        if 0 <= at < len(counts):
            counts[at] += 1
        else:
            outside += 1
    return outside


@jit
def longest_common_subsequence(a: Array[u8], b: Array[u8], table: Array2[i32]) -> i32:
    for i in range(len(a)):
        for j in range(len(b)):
            if a[i] == b[j]:
                table[i + 1, j + 1] = table[i, j] + 1
            else:
                table[i + 1, j + 1] = max(table[i, j + 1], table[i + 1, j])
    return table[len(a), len(b)]


@jit
def knapsack(weights: Array[i64], values: Array[i64], best: Array[i64]) -> i64:
    for i in range(len(weights)):
        for room in range(len(best) - 1, weights[i] - 1, -1):
            best[room] = max(best[room], best[room - weights[i]] + values[i])
    return best[len(best) - 1]


@jit
def shortest_paths(distance: Array2[i64]) -> None:
    n = distance.shape[0]
    for k in range(n):
        for i in range(n):
            for j in range(n):
                through = distance[i, k] + distance[k, j]
                if through < distance[i, j]:
                    distance[i, j] = through


@jit
def heat(a: Array2[f64], b: Array2[f64], steps: i64) -> None:
    for _ in range(steps):
        for i in range(1, a.shape[0] - 1):
            for j in range(1, a.shape[1] - 1):
                b[i, j] = 0.25 * (a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1])
        for i in range(1, a.shape[0] - 1):
            for j in range(1, a.shape[1] - 1):
                a[i, j] = b[i, j]


@jit
def coprime_pairs(limit: i64) -> i64:
    count = 0
    for i in range(1, limit):
        for j in range(1, i):
            a, b = i, j
            while b != 0:
                a, b = b, a % b
            if a == 1:
                count += 1
    return count


@jit
def crc32(data: Array[u8]) -> u32:
    crc: u32 = 0xFFFFFFFF
    for i in range(len(data)):
        crc ^= u32(data[i])
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@jit
def random_pi(rounds: i64, seed: u64) -> f64:
    """xorshift*, and points in a circle."""
    state, inside = seed, 0
    x = 0.0
    for i in range(2 * rounds):
        state ^= state >> 12
        state ^= wrapping_shl(state, 25)
        state ^= state >> 27
        number = wrapping_mul(state, 2685821657736338717) >> 11
        y = f64(number) / 9007199254740992.0
        if i % 2 == 1 and x * x + y * y <= 1.0:
            inside += 1
        x = y
    return 4.0 * f64(inside) / f64(rounds)


@jit
def queens(all_: u32, columns: u32, left: u32, right: u32) -> i64:
    if columns == all_:
        return 1
    free = all_ & ((columns | left | right) ^ 0xFFFFFFFF)
    count = 0
    while free != 0:
        bit = wrapping_shl(u32(1), 31 - clz(free))
        free ^= bit
        count += queens(all_, columns | bit, wrapping_shl(left | bit, 1), (right | bit) >> 1)
    return count


@jit
def mixed_bits(n: i64) -> u64:
    """Rotations, counts of bits, and wrapping sums."""
    state: u64 = 0x9E3779B97F4A7C15
    total: u64 = 0
    for _ in range(n):
        state = rotl(state, 7) ^ wrapping_mul(state, 0xBF58476D1CE4E5B9)
        total = wrapping_add(total, popcnt(state) + clz(state) * 64)
    return total


@jit
def determinant(a: Array2[f64]) -> f64:
    n = a.shape[0]
    found = 1.0
    for k in range(n):
        pivot = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[pivot, k]):
                pivot = i
        if a[pivot, k] == 0:
            return 0.0
        if pivot != k:
            found = -found
            for j in range(n):
                a[k, j], a[pivot, j] = a[pivot, j], a[k, j]
        found *= a[k, k]
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            for j in range(k, n):
                a[i, j] -= factor * a[k, j]
    return found


@jit
def simpson(low: f64, high: f64, n: i64) -> f64:
    """The integral of exp(-x) * sin(x)."""
    width = (high - low) / f64(n)
    total = 0.0
    for i in range(n + 1):
        x = low + f64(i) * width
        weight = 1.0 if i == 0 or i == n else 4.0 if i % 2 == 1 else 2.0
        total += weight * math.exp(-x) * math.sin(x)
    return total * width / 3.0


def _random() -> np.random.Generator:
    return np.random.default_rng(7)


def _text(size: int) -> Any:
    return _random().integers(97, 101, size, np.uint8)


def _bodies() -> tuple[Any, ...]:
    random = _random()
    return random.random((5, 3)) * 10, random.random((5, 3)) - 0.5, random.random(5) + 0.5


def _entries(size: int) -> Any:
    return np.zeros(size, np.dtype([("key", "u8"), ("count", "i4"), ("is_used", "u1")], align=True))


def arguments(scale: int) -> dict[str, tuple[Callable[..., Any], Callable[[], tuple[Any, ...]]]]:
    """Every kernel by name, and what makes its arguments; 1 is for tests, 10 or more for measurements."""
    n = scale
    return {
        "mandelbrot": (mandelbrot, lambda: (np.zeros((12 * n, 16 * n), np.int32), 20 * n)),
        "n_body": (n_body, lambda: (*_bodies(), 5 * n * n)),
        "matrix_product": (
            matrix_product,
            lambda: (
                _random().random((8 * n, 9 * n)),
                _random().random((9 * n, 7 * n)),
                np.zeros((8 * n, 7 * n)),
            ),
        ),
        "convolution": (
            convolution,
            lambda: (
                _random().random((16 * n, 14 * n), np.float32),
                _random().random((3, 3), np.float32),
                np.zeros((16 * n - 2, 14 * n - 2), np.float32),
            ),
        ),
        "levenshtein": (
            levenshtein,
            lambda: (_text(25 * n), _text(30 * n), np.zeros(30 * n + 1, np.int64)),
        ),
        "sieve": (sieve, lambda: (np.zeros(500 * n * n, np.uint8),)),
        "k_means_step": (
            k_means_step,
            lambda: (
                _random().random((40 * n, 3)),
                _random().random((4, 3)),
                np.zeros((4, 3)),
                np.zeros(4, np.int64),
            ),
        ),
        "black_scholes": (
            black_scholes,
            lambda: (
                _random().random(20 * n) * 50 + 75,
                _random().random(20 * n) * 60 + 70,
                _random().random(20 * n) + 0.1,
                np.zeros(20 * n),
            ),
        ),
        "fft": (
            fft,
            lambda: (_random().random(32 << n.bit_length()), np.zeros(32 << n.bit_length())),
        ),
        "binary_search": (
            binary_search,
            lambda: (np.arange(0, 300 * n, 3), _random().integers(0, 300 * n, 50 * n)),
        ),
        "hash_of_bytes": (hash_of_bytes, lambda: (_text(500 * n * n),)),
        "quicksort": (quicksort, lambda: (_random().integers(-99, 99, 200 * n), 0, 200 * n - 1)),
        "game_of_life": (
            game_of_life,
            lambda: (
                _random().integers(0, 2, (12 * n, 14 * n), np.uint8),
                np.zeros((12 * n, 14 * n), np.uint8),
            ),
        ),
        "small_allocator": (
            small_allocator,
            lambda: (np.zeros(300 * n, np.int64), np.zeros(30, np.int64), 300 * n),
        ),
        "hash_table": (
            hash_table,
            lambda: (
                _entries(256 << n.bit_length()),
                _random().integers(0, 100 * n, 300 * n).astype(np.uint64),
            ),
        ),
        "longest_collatz": (longest_collatz, lambda: (60 * n * n,)),
        "heapsort": (heapsort, lambda: (_random().random(100 * n),)),
        "histogram": (
            histogram,
            lambda: (_random().random(300 * n) * 1.1 - 0.05, np.zeros(20, np.int64)),
        ),
        "longest_common_subsequence": (
            longest_common_subsequence,
            lambda: (_text(25 * n), _text(22 * n), np.zeros((25 * n + 1, 22 * n + 1), np.int32)),
        ),
        "knapsack": (
            knapsack,
            lambda: (
                _random().integers(1, 20, 10 * n),
                _random().integers(1, 99, 10 * n),
                np.zeros(60 * n, np.int64),
            ),
        ),
        "shortest_paths": (shortest_paths, lambda: (_random().integers(1, 100, (10 * n, 10 * n)),)),
        "heat": (heat, lambda: (_random().random((9 * n, 8 * n)), np.zeros((9 * n, 8 * n)), 4 * n)),
        "coprime_pairs": (coprime_pairs, lambda: (30 * n,)),
        "crc32": (crc32, lambda: (_text(100 * n * n),)),
        "random_pi": (random_pi, lambda: (300 * n * n, 88172645463325252)),
        "queens": (queens, lambda: (31 if n == 1 else 1023, 0, 0, 0)),
        "mixed_bits": (mixed_bits, lambda: (300 * n * n,)),
        "determinant": (determinant, lambda: (_random().random((10 * n, 10 * n)),)),
        "simpson": (simpson, lambda: (0.0, 10.0, 100 * n)),
    }
