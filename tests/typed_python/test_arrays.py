"""Arrays between Python and compiled functions: in the sandbox without a copy, others copied in and, if written, out."""

from __future__ import annotations

import array
import gc

import numpy as np
import pytest

import interlock
from interlock.raw import Pointer  # noqa: TC001  (the compiler reads annotations)
from interlock.runtime.heap import heap
from interlock.types import Array, Array2, f64, i32, i64, u8


@interlock.jit
def double(a: Array[f64]) -> None:
    for i in range(len(a)):
        a[i] *= 2


@interlock.jit
def total(a: Array[f64]) -> f64:
    found = 0.0
    for i in range(len(a)):
        found += a[i]
    return found


@interlock.jit
def add(a: Array[f64], b: Array[f64]) -> None:
    for i in range(len(a)):
        a[i] += b[i]


@interlock.jit
def corner(a: Array2[i32]) -> i32:
    return a[-1, 0]


@interlock.jit
def first(a: Array[u8]) -> i32:
    return a[0]


def test_an_array_of_the_sandbox_is_not_copied() -> None:
    made = interlock.asarray([1.0, 2.0, 3.0])
    seen = made[1:]

    double(made)

    assert seen.tolist() == [4.0, 6.0]
    assert interlock.asarray(made) is made


def test_a_part_of_an_array_of_the_sandbox_is_passed_by_address() -> None:
    made = interlock.asarray(np.arange(5.0))

    double(made[1:3])

    assert made.tolist() == [0.0, 2.0, 4.0, 3.0, 4.0]


@pytest.mark.parametrize("step", [1, 2, -1])
def test_another_array_is_copied_back_when_it_is_written(step: int) -> None:
    outside = np.arange(6.0)

    double(outside[::step])

    assert outside[::step].tolist() == (np.arange(6.0)[::step] * 2).tolist()


def test_what_was_written_before_an_exception_is_copied_back() -> None:
    outside = np.ones(3)

    with pytest.raises(IndexError):
        add(outside, np.ones(2))

    assert outside.tolist() == [2.0, 2.0, 1.0]


def test_other_buffers_are_taken() -> None:
    numbers = array.array("d", [1, 2])

    double(numbers)

    assert numbers.tolist() == [2.0, 4.0]
    assert first(b"A") == first(memoryview(b"A")) == 65


def test_one_array_passed_twice_is_one() -> None:
    outside = np.arange(3.0)

    add(outside, outside)

    assert outside.tolist() == [0.0, 2.0, 4.0]


def test_overlapping_arrays_are_refused_when_one_is_written() -> None:
    outside = np.arange(4.0)

    with pytest.raises(ValueError, match="overlaps"):
        add(outside[1:], outside[:-1])


def test_a_read_only_array_is_read_and_not_written() -> None:
    constant = np.ones(2)
    constant.flags.writeable = False

    assert total(constant) == 2.0
    with pytest.raises(ValueError, match="read-only"):
        double(constant)


@pytest.mark.parametrize(
    ("argument", "error", "text"),
    [
        (np.ones(3, np.float32), TypeError, "float32"),
        (np.ones((2, 2)), ValueError, "2 dimensions"),
        (np.ones(3, ">f8"), TypeError, ">f8"),
        ([1.0, 2.0], TypeError, "bytes-like"),
        (1.0, TypeError, "bytes-like"),
    ],
)
def test_what_does_not_suit_is_refused(argument: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        total(argument)  # type: ignore[arg-type]  # that is the test


def test_rows_in_the_other_order_are_copied() -> None:
    assert corner(np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3))) == 3


def test_memory_is_given_back_with_the_last_view() -> None:
    made = interlock.empty(1000, i64)
    place = made.ctypes.data
    seen = made[10:20]
    del made
    gc.collect()
    assert interlock.empty(1000, i64).ctypes.data != place
    del seen
    gc.collect()

    again = interlock.empty(1000, i64)

    assert again.ctypes.data == place


def test_more_than_the_memory_holds_is_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        interlock.empty(1 << 33, u8)

    assert heap().memory.size_bytes < 1 << 32


@interlock.jit
def stores_and_raises(a: Array[f64], n: i64) -> None:
    a[0] = 7.0
    if n % 2 == 1:
        raise ValueError("odd")
    a[0] = 8.0


def test_what_was_stored_before_an_exception_stays() -> None:
    """The later store makes the earlier one dead on the other way only."""
    a = interlock.asarray([1.0])
    with pytest.raises(ValueError, match="odd"):
        stores_and_raises(a, 3)

    assert a[0] == 7.0


def test_elements_are_loaded_so_that_llvm_may_optimise() -> None:
    """The only volatile access is the store of the failure's number."""
    ir = double.inspect("llvm")

    assert "load double, ptr" in ir
    assert "load volatile" not in ir


@interlock.jit
def copies(a: Array[f64], b: Pointer[f64]) -> None:
    a[0] = b[0]


def test_elements_beside_a_pointer_are_volatile() -> None:
    """The pointer may lead out of the memory, and LLVM would move the store past the access that traps."""
    ir = copies.inspect("llvm")

    assert "store volatile double" in ir
    assert "load volatile double" in ir
