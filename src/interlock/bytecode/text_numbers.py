"""Numbers of the text format, as bits: integers of a width, and floats rounded once, to nearest, ties to even."""

from __future__ import annotations

import re
import struct
from decimal import Decimal
from typing import Final

_DIGITS: Final = "[0-9](?:_?[0-9])*"
_HEX_DIGITS: Final = "[0-9a-fA-F](?:_?[0-9a-fA-F])*"
_INTEGER: Final = re.compile(rf"([+-]?)(?:0x({_HEX_DIGITS})|({_DIGITS}))")
_DECIMAL: Final = re.compile(rf"([+-]?)({_DIGITS}(?:\.(?:{_DIGITS})?)?(?:[eE][+-]?{_DIGITS})?)")
_HEX_FLOAT: Final = re.compile(
    rf"([+-]?)0x({_HEX_DIGITS})(?:\.({_HEX_DIGITS})?)?(?:[pP]([+-]?{_DIGITS}))?"
)
_SPECIAL: Final = re.compile(rf"([+-]?)(inf|nan(?::(0x{_HEX_DIGITS}|canonical|arithmetic))?)")
_INTEGER_DIGITS_MAX: Final = (
    40  # more than any 128-bit number has; int() of very many digits is slow
)
_EXPONENT_DIGITS_MAX: Final = 12


class NumberError(ValueError):
    """The text is no such number, or the number does not fit."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def _not_a_number() -> NumberError:
    return NumberError("unexpected token: not a number of this type")


def _out_of_range() -> NumberError:
    return NumberError("constant out of range")


def parse_integer(text: str, bits: int) -> int:
    """A signed or unsigned integer of `bits` bits, as a signed one."""
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise _not_a_number()
    sign, hex_digits, digits = match.groups()
    value = _integer(hex_digits or digits, 16 if hex_digits else 10)
    if sign == "-":
        value = -value
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise _out_of_range()
    return value - (1 << bits) if value >= 1 << (bits - 1) else value


def parse_unsigned(text: str, bits: int) -> int:
    """An unsigned integer of `bits` bits, written without a sign."""
    match = _INTEGER.fullmatch(text)
    if match is None or match[1]:
        raise _not_a_number()
    value = _integer(match[2] or match[3], 16 if match[2] else 10)
    if value >> bits:
        raise _out_of_range()
    return value


def _integer(digits: str, base: int) -> int:
    plain = digits.replace("_", "").lstrip("0")
    if len(plain) > _INTEGER_DIGITS_MAX:
        raise _out_of_range()
    return int(plain or "0", base)


class FloatFormat:
    """An IEEE 754 binary format."""

    def __init__(self, layout: str, bits: int, mantissa_bits: int) -> None:
        self.layout = layout
        self.bits = bits
        self.mantissa_bits = mantissa_bits  # stored ones
        self.bias = (1 << (bits - mantissa_bits - 2)) - 1
        self.infinity = ((2 * self.bias) + 1) << mantissa_bits

    def parse(self, text: str) -> int:
        """The bits of a float literal."""
        special = _SPECIAL.fullmatch(text)
        if special is not None:
            sign, magnitude = special[1], self._special(special[2], special[3])
        elif (match := _HEX_FLOAT.fullmatch(text)) is not None:
            sign = match[1]
            fraction = (match[3] or "").replace("_", "")
            mantissa = int(match[2].replace("_", "") + fraction, 16)
            magnitude = self.round(mantissa, _exponent(match[4] or "0") - 4 * len(fraction))
        elif (match := _DECIMAL.fullmatch(text)) is not None:
            sign, magnitude = match[1], self._decimal(match[2].replace("_", ""))
        else:
            raise _not_a_number()
        return magnitude | (sign == "-") << (self.bits - 1)

    def _special(self, word: str, payload: str | None) -> int:
        if word == "inf":
            return self.infinity
        if payload is None:
            return self.infinity | 1 << (self.mantissa_bits - 1)
        if not payload.startswith("0x"):
            raise _not_a_number()
        value = _integer(payload[2:], 16)
        if value == 0 or value >> self.mantissa_bits:
            raise _out_of_range()
        return self.infinity | value

    def round(self, mantissa: int, exponent: int) -> int:
        """The bits of `mantissa * 2**exponent`, rounded to nearest, ties to even."""
        if mantissa == 0:
            return 0
        top = mantissa.bit_length() + exponent - 1  # the value lies in [2^top, 2^(top+1))
        lowest = 1 - self.bias - self.mantissa_bits  # exponent of the smallest subnormal
        unit = max(top - self.mantissa_bits, lowest)
        if top > self.bias:
            raise _out_of_range()
        if top < lowest - 1:
            return 0
        shift = unit - exponent
        if shift <= 0:
            quotient = mantissa << -shift
        else:
            quotient, rest = mantissa >> shift, mantissa & ((1 << shift) - 1)
            half = 1 << (shift - 1)
            if rest > half or (rest == half and quotient & 1):
                quotient += 1
        # A carry out of the mantissa moves into the exponent field, where it belongs.
        biased = unit - lowest
        bits = quotient + (biased << self.mantissa_bits) if biased else quotient
        if bits >= self.infinity:
            raise _out_of_range()
        return bits

    def _decimal(self, text: str) -> int:
        value = float(text)
        if value == float("inf"):
            raise _out_of_range()
        if self.bits == 64:
            return int.from_bytes(struct.pack("<d", value), "little")
        mantissa, denominator = value.as_integer_ratio()
        exponent = 1 - denominator.bit_length()
        # Rounded to 64 bits first, then to 32: wrong only if the first rounding hit the middle between two floats of
        # 32 bits.  One bit on the side of the exact value decides then, and changes nothing otherwise.
        if value:
            exact = Decimal(text).compare(Decimal(value))
            mantissa, exponent = (mantissa << 64) + int(exact), exponent - 64
        return self.round(mantissa, exponent)


def _exponent(text: str) -> int:
    digits = text.replace("_", "").lstrip("+-").lstrip("0")
    if len(digits) > _EXPONENT_DIGITS_MAX:
        digits = "9" * _EXPONENT_DIGITS_MAX
    value = int(digits or "0")
    return -value if text.startswith("-") else value


F32: Final = FloatFormat("<I", 32, 23)
F64: Final = FloatFormat("<Q", 64, 52)


def float_text(bits: int, layout: FloatFormat) -> str:
    """A literal which `parse` reads back to the same bits."""
    sign = "-" if bits >> (layout.bits - 1) else ""
    magnitude = bits & ((1 << (layout.bits - 1)) - 1)
    if magnitude == layout.infinity:
        return f"{sign}inf"
    if magnitude > layout.infinity:
        payload = magnitude - layout.infinity
        canonical = payload == 1 << (layout.mantissa_bits - 1)
        return f"{sign}nan" if canonical else f"{sign}nan:{payload:#x}"
    data = magnitude.to_bytes(layout.bits // 8, "little")
    value = struct.unpack("<d" if layout.bits == 64 else "<f", data)[0]
    return sign + repr(value)
