"""Numbers of the text format: rounding, payloads, ranges."""

from __future__ import annotations

import struct
from fractions import Fraction

import pytest

from interlock.bytecode.text_numbers import (
    F32,
    F64,
    FloatFormat,
    NumberError,
    float_text,
    parse_integer,
    parse_unsigned,
)


def _f32(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")


def _f64(value: float) -> int:
    return int.from_bytes(struct.pack("<d", value), "little")


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("0", 0),
        ("-0", 1 << 31),
        ("1", _f32(1)),
        ("0x1.8p1", _f32(3)),
        ("0x0.8", _f32(0.5)),
        ("1.", _f32(1)),
        ("1e1_0", _f32(1e10)),
        ("0x1P-1_0", _f32(2.0**-10)),
        ("inf", 0x7F800000),
        ("-inf", 0xFF800000),
        ("nan", 0x7FC00000),
        ("-nan:0x1", 0xFF800001),
        ("nan:0x7f_ffff", 0x7FFFFFFF),
        # The largest number, and what rounds to it.
        ("0x1.fffffep127", 0x7F7FFFFF),
        ("0x1.fffffefffffffp127", 0x7F7FFFFF),
        ("340282356779733661637539395458142568447.9999", 0x7F7FFFFF),
        # Subnormals, ties to even, the smallest.
        ("0x1p-149", 1),
        ("0x1p-150", 0),
        ("0x1.000001p-150", 1),
        ("0x1.8p-149", 2),
        ("0x1.fffffcp-127", 0x7FFFFF),
        ("0x1.fffffep-127", 0x800000),
        ("1e-9999999999", 0),
        ("0x1p-99999999999999999", 0),
        # Rounding to 64 bits first would meet the middle between two floats and go the wrong way.
        ("1.00000017881393432617187499", 0x3F800001),
        ("1.000000178813934326171875", 0x3F800002),
        ("1.00000017881393432617187501", 0x3F800002),
        ("1.00000005960464477539062499", 0x3F800000),
        ("1.00000005960464477539062501", 0x3F800001),
        ("0x1.000001p0", 0x3F800000),
        ("0x1.0000010000000000000001p0", 0x3F800001),
        ("0x1.000003p0", 0x3F800002),
    ],
)
def test_f32(text: str, bits: int) -> None:
    assert F32.parse(text) == bits


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("0x1.fffffffffffffp1023", _f64(1.7976931348623157e308)),
        ("0x1p-1074", 1),
        ("0x1p-1075", 0),
        ("0x1.0000000000001p-1075", 1),
        ("4.9406564584124654e-324", 1),
        ("0x10000000000000800", _f64(2.0**64)),
        ("0x10000000000001800", _f64(2.0**64 + 8192)),
        ("nan:0x1", 0x7FF0000000000001),
        ("-0x1p0", _f64(-1)),
        ("0." + "0" * 5000 + "1e5001", _f64(1)),
    ],
)
def test_f64(text: str, bits: int) -> None:
    assert F64.parse(text) == bits


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        (F32, "0x1.ffffffp127"),
        (F32, "340282356779733661637539395458142568448"),
        (F32, "1e39"),
        (F64, "0x1.fffffffffffff8p1023"),
        (F64, "1.8e308"),
        (F32, "nan:0x0"),
        (F32, "nan:0x800000"),
        (F64, "nan:0x10000000000000"),
    ],
)
def test_out_of_range(layout: FloatFormat, text: str) -> None:
    with pytest.raises(NumberError, match="constant out of range"):
        layout.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        ".5",
        "0x",
        "0x.8",
        "1e",
        "0x1p",
        "1_",
        "_1",
        "nan:1",
        "nan:",
        "infinity",
        "0x1.p+-1",
        "1f",
    ],
)
def test_no_float(text: str) -> None:
    with pytest.raises(NumberError, match="not a number"):
        F64.parse(text)


def test_rounding_is_exact_next_to_every_kind_of_boundary() -> None:
    for bits in (1, 2, 0x7FFFFF, 0x800000, 0x800001, 0x3F7FFFFF, 0x3F800000, 0x7F7FFFFE):
        low = Fraction(struct.unpack("<f", struct.pack("<I", bits))[0])
        high = Fraction(struct.unpack("<f", struct.pack("<I", bits + 1))[0])
        middle = (low + high) / 2
        exponent = middle.denominator.bit_length() - 1
        mantissa = middle.numerator << 80
        even = bits if bits % 2 == 0 else bits + 1

        assert F32.round(mantissa, -exponent - 80) == even
        assert F32.round(mantissa - 1, -exponent - 80) == bits
        assert F32.round(mantissa + 1, -exponent - 80) == bits + 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-1", -1),
        ("4294967295", -1),
        ("0xffff_ffff", -1),
        ("2147483648", -(1 << 31)),
        ("-2147483648", -(1 << 31)),
        ("+5", 5),
        ("0" * 9000 + "7", 7),
    ],
)
def test_i32(text: str, value: int) -> None:
    assert parse_integer(text, 32) == value


@pytest.mark.parametrize("text", ["4294967296", "-2147483649", "1" + "0" * 9000])
def test_i32_out_of_range(text: str) -> None:
    with pytest.raises(NumberError, match="out of range"):
        parse_integer(text, 32)


def test_unsigned_has_no_sign() -> None:
    assert parse_unsigned("0xff", 8) == 255
    for text in ("-1", "+1", "$x", ""):
        with pytest.raises(NumberError, match="not a number"):
            parse_unsigned(text, 32)
    with pytest.raises(NumberError, match="out of range"):
        parse_unsigned("256", 8)


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (0x7FC00000, "nan"),
        (0xFFC00001, "-nan:0x400001"),
        (0xFF800000, "-inf"),
        (0x80000000, "-0.0"),
        (_f32(0.1), "0.10000000149011612"),
    ],
)
def test_float_text(bits: int, text: str) -> None:
    assert float_text(bits, F32) == text
