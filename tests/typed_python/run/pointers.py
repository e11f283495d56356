"""Raw memory: numbers and structs behind pointers, arithmetic on addresses, the memory as a whole, references to functions."""

from __future__ import annotations

from collections.abc import Callable

from interlock import jit, struct
from interlock.raw import (
    Pointer,
    address_of,
    memory_copy,
    memory_fill,
    memory_grow,
    memory_size,
    size_of,
)
from interlock.types import Array, f64, i32, i64, u8, u16, u32


@struct
class Point:
    x: f64
    y: f64


@struct
class Node:
    key: i32
    kind: u8
    place: Point
    next: Pointer[Node]
    visit: Callable[[Pointer[Node], i32], i32]


@jit(inline=True)
def allocate(size_bytes: u32) -> u32:
    """One page for each, which a test can afford."""
    assert size_bytes <= 65536
    return u32(memory_grow(1)) * 65536


@jit
def sum_of_list(count: i32) -> i64:
    head = Pointer[Node](0)
    at = allocate(size_of(Node) * 100)
    for i in range(count):
        node = Pointer[Node](at) + i
        node.key = i * i
        node.next = head
        node.place.x = i / 2
        node.place.y = -node.place.x
        head = node
    total = 0
    while head:
        total += head.key + i64(head.place.x) + i64(head.place.y)
        if head.next and head.next.next:
            total += head.next.next.key * 1000
        head = head.next
    return total


# sum_of_list(0) == 0
# sum_of_list(10) == 140285


@jit
def sizes() -> i32:
    return size_of(Node) * 10000 + size_of(Point) * 100 + size_of(Pointer[f64]) * 10 + size_of(u16)


# sizes() == 321642


@jit
def bytes_of(value: f64, at: i32) -> i32:
    p = Pointer[f64](allocate(16))
    p[0] = value
    p[1] = 0
    b = Pointer[u8](p)
    b[at + 8] = b[at]
    b[-1 + 1] += 1
    return b[0] + b[at] * 256 + b[8 + at] * 65536


# bytes_of(1.0, 7) == 4144897
# bytes_of(0.1, 1) == 10066331


@jit
def narrow(value: i64) -> i32:
    p = Pointer[u8](allocate(1))
    p[0] = value
    p[0] -= 1
    return p[0]


# narrow(255) == 254
# narrow(0) raises OverflowError
# narrow(256) raises OverflowError


@jit
def moved(address: u32, by: i64) -> u32:
    p = Pointer[f64](address)
    q = p + by
    q -= 1
    q += 2
    return u32(address_of(q[-1]))


# moved(100, 3) == 124
# moved(0, -1) == 2**32 - 8
# moved(2**32 - 8, 1) == 0
# moved(0, 2**61) == 0


@jit
def addresses(at: u32) -> u32:
    node = Pointer[Node](at)
    inner = address_of(node.place)
    assert address_of(inner.y) == address_of(node.place.y)
    assert u32(address_of(node[2].key)) > u32(address_of(node.place))
    assert node != node + 1
    return u32(address_of(node[2].next)) - u32(inner)


# addresses(64) == 80


@jit
def outside(address: u32) -> i32:
    return Pointer[i32](address)[0]


# outside(4294967292) raises IndexError


@jit
def outside_by_a_field(address: u32) -> f64:
    return Pointer[Node](address).place.y


# outside_by_a_field(4294967288) raises IndexError


@jit
def fill_and_copy(byte: i32, count: u32, to: u32) -> i64:
    p = Pointer[u8](allocate(64))
    memory_fill(p, byte, count)
    memory_fill(p + 1, byte + 1, 1)
    memory_copy(p + to, p, 8)
    return Pointer[i64](p + 3)[0]


# fill_and_copy(1, 16, 3) == 72340172838076929
# fill_and_copy(-1, 16, 4) == -256 - 255 * 256**2 + 255
# fill_and_copy(0, 4294967295, 0) raises IndexError
# fill_and_copy(0, 1, 4000000000) raises IndexError


@jit
def grown() -> i32:
    before = memory_size()
    assert memory_grow(2) == i32(before)
    return i32(memory_size() - before)


# grown() == 2


@jit
def too_much() -> i32:
    return memory_grow(65536)


# too_much() == -1


@jit
def twice(node: Pointer[Node], by: i32) -> i32:
    return node.key * 2 + by


@jit(inline=True)
def negated(node: Pointer[Node], by: i32) -> i32:
    return by - node.key


@jit
def of_other_types(x: f64) -> f64:
    return x


@jit
def dispatch(key: i32, which: i32) -> i32:
    node = Pointer[Node](allocate(size_of(Node)))
    node.key = key
    if which == 1:
        node.visit = twice
    elif which == 2:
        node.visit = negated
    elif which == 3:
        other: Callable[[f64], f64] = of_other_types
        Pointer[Callable[[f64], f64]](address_of(node.visit))[0] = other
    elif which == 4:
        Pointer[u32](address_of(node.visit))[0] = 1000
    chosen = node.visit
    assert (chosen == twice) == (which == 1)
    return chosen(node, 1) + node.visit(node, 2)


# dispatch(5, 1) == 23
# dispatch(5, 2) == -7
# dispatch(5, 0) raises TypeError
# dispatch(5, 3) raises TypeError
# dispatch(5, 4) raises TypeError


@jit
def apply(function: Callable[[i64], i64], times: i32, value: i64) -> i64:
    for _ in range(times):
        value = function(value)
    return value


@jit
def triple(value: i64) -> i64:
    return value * 3


@jit
def factorial(value: i64) -> i64:
    return 1 if value < 2 else value * factorial(value - 1)


@jit
def higher_order(which: bool, value: i64) -> i64:
    return apply(triple if which else factorial, 2, value)


# higher_order(True, 5) == 45
# higher_order(False, 3) == 720
# higher_order(True, 2**62) raises OverflowError


@jit
def table(numbers: Array[i64], functions: u32) -> i64:
    at = Pointer[Callable[[i64], i64]](allocate(functions * 4))
    for i in range(functions):
        at[i] = triple if i % 2 else factorial
    found = 0
    for i in range(len(numbers)):
        found += at[i](numbers[i])
    return found


# table(np.array([3, 4, 5]), 3) == 138


@jit
def augmented(at: i32) -> f64:
    node = Pointer[Node](allocate(size_of(Node) * 4))
    node[at].place.x += 2
    (node + at).place.x *= 3
    node[advanced(node)].place.y += advanced(node)
    node[at].next = node + 1
    node[at].next.place.y -= 0.5
    return node[at].place.x + node[1].place.y + node[2].place.y * 100 + node.key * 1000


@jit
def advanced(node: Pointer[Node]) -> i32:
    node.key += 1
    return node.key


# augmented(3) == 2007.5
