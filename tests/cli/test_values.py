"""Sizes, durations, directories, arguments and results of functions."""

from __future__ import annotations

import argparse
import math
import struct

import hypothesis
import hypothesis.strategies as st
import pytest

from interlock.cli import values
from interlock.cli.output import UsageError


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("17", 17), ("4k", 4096), ("64M", 64 << 20), ("1g", 1 << 30)]
)
def test_size_has_units(text: str, size: int) -> None:
    assert values.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "1kk", "1.5m", "-1", "+1", "1t", "0x10", "٣"])
def test_size_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="size"):
        values.parse_size(text)


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "x", ""])
def test_seconds_are_positive_and_finite(text: str) -> None:
    assert values.parse_seconds("1.5") == 1.5
    with pytest.raises(argparse.ArgumentTypeError, match="seconds"):
        values.parse_seconds(text)


def test_directory_is_seen_under_its_own_name_or_another() -> None:
    assert values.parse_directory("data") == ("data", "data")
    assert values.parse_directory("data::/") == ("/", "data")
    assert values.parse_directory("a:b::c::d") == ("c::d", "a:b")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("i32", "-1", -1),
        ("i32", "4294967295", -1),
        ("i32", "0x80000000", -(1 << 31)),
        ("i32", "2147483647", 2147483647),
        ("i64", "18446744073709551615", -1),
        ("i64", "-0x8000000000000000", -(1 << 63)),
        ("f64", "1e3", 1000.0),
        ("f64", "0x1.8p1", 3.0),
        ("f32", "-inf", -math.inf),
    ],
)
def test_argument_is_read_by_its_type(kind: str, text: str, value: float) -> None:
    assert values.parse_arguments("f", [kind], [text]) == [value]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("i32", "4294967296"),
        ("i32", "-2147483649"),
        ("i32", "1.5"),
        ("i32", ""),
        ("i64", str(1 << 64)),
        ("f64", "one"),
        ("funcref", "0"),
    ],
)
def test_argument_that_does_not_fit_is_refused(kind: str, text: str) -> None:
    with pytest.raises(UsageError, match=r"^f"):
        values.parse_arguments("f", [kind], [text])


def test_wrong_number_of_arguments_names_the_types() -> None:
    with pytest.raises(UsageError, match=r"add takes 2 arguments \(i32, f64\), not 1"):
        values.parse_arguments("add", ["i32", "f64"], ["1"])


@hypothesis.given(st.floats(width=32, allow_nan=False))
def test_f32_is_written_so_that_it_reads_back(value: float) -> None:
    text = values.format_result("f32", value)

    assert struct.pack("<f", float(text)) == struct.pack("<f", value)


def test_f32_is_written_in_its_own_digits() -> None:
    tenth = struct.unpack("<f", struct.pack("<f", 0.1))[0]

    assert values.format_result("f32", tenth) == "0.1"
    assert values.format_result("f64", tenth) == repr(tenth)
    assert values.format_result("i64", -5) == "-5"
    assert values.format_result("f32", math.nan) == "nan"
