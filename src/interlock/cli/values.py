"""Values on the command line: sizes, durations, and the arguments and results of WebAssembly functions."""

from __future__ import annotations

import argparse
import math
import struct
from typing import TYPE_CHECKING

from interlock.cli.output import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_INTEGER_BITS = {"i32": 32, "i64": 64}
_SHORTEST_F32_DIGITS = range(1, 10)


def parse_size(text: str) -> int:
    """Bytes, with k, m or g for powers of 1024: `64m`."""
    number = text.rstrip("kKmMgG")
    unit = text[len(number) :].lower()
    if unit not in _UNITS or not number.isascii() or not number.isdecimal():
        message = f"{text!r} is not a size: a number of bytes, with k, m or g for powers of 1024"
        raise argparse.ArgumentTypeError(message)
    return int(number) * _UNITS[unit]


def parse_seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        message = f"{text!r} is not a positive number of seconds"
        raise argparse.ArgumentTypeError(message)
    return seconds


def parse_variable(text: str) -> tuple[str, str]:
    """`KEY=VALUE`."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        message = f"{text!r} is not of the form KEY=VALUE"
        raise argparse.ArgumentTypeError(message)
    return key, value


def parse_directory(text: str) -> tuple[str, str]:
    """`HOST::GUEST`, or `HOST` seen under its own name: (guest, host)."""
    host, separator, guest = text.partition("::")
    if not host or (separator and not guest):
        message = f"{text!r} is not of the form HOST or HOST::GUEST"
        raise argparse.ArgumentTypeError(message)
    return guest or host, host


def parse_arguments(name: str, types: Sequence[str], texts: Sequence[str]) -> list[int | float]:
    """Arguments for a function with these parameter types; UsageError if they do not fit."""
    if len(types) != len(texts):
        message = f"{name} takes {len(types)} arguments ({', '.join(types)}), not {len(texts)}"
        raise UsageError(message)
    return [_parse_argument(name, *pair) for pair in zip(types, texts, strict=True)]


def _parse_argument(name: str, kind: str, text: str) -> int | float:
    bits = _INTEGER_BITS.get(kind)
    if bits is None and kind not in {"f32", "f64"}:
        message = f"{name} takes a value of type {kind}, which has no notation here"
        raise UsageError(message)
    try:
        if bits is not None:
            return _wrap(int(text, 0), bits)
        is_hexadecimal = text.lower().lstrip("+-").startswith("0x")
        return float.fromhex(text) if is_hexadecimal else float(text)
    except (ValueError, OverflowError):
        message = f"{name}: {text!r} is not a value of type {kind}"
        raise UsageError(message) from None


def _wrap(value: int, bits: int) -> int:
    """Signed, from either reading of the bits."""
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise OverflowError(value)
    return value - (1 << bits) if value >> (bits - 1) > 0 else value


def format_result(kind: str, value: object) -> str:
    """A result as it is written in WebAssembly's text format; floats in the fewest digits that name them."""
    if kind != "f32" or not isinstance(value, float) or not math.isfinite(value):
        return repr(value)
    wanted = struct.pack("<f", value)
    for digits in _SHORTEST_F32_DIGITS:
        text = repr(float(f"{value:.{digits}g}"))
        # Rounding up may pass the largest f32.
        if abs(float(text)) < 2.0**128 and struct.pack("<f", float(text)) == wanted:
            return text
    return repr(value)
