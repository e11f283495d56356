"""Entitlements in DER, as kernels since macOS 12 read them.

    [APPLICATION 16] { INTEGER 1, [CONTEXT 16] { SEQUENCE { UTF8String key, value } … } }

A value is a BOOLEAN, an INTEGER, a UTF8String, a SEQUENCE of values or a [CONTEXT 16] dictionary.  Strict: definite lengths in
their shortest form, keys in ascending order without repetition, nothing left over.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from interlock import limits
from interlock.contract.entitlements import Entitlements, Value, check_depth
from interlock.errors import EntitlementsError, LimitExceededError
from interlock.source import Span


class _Tag(IntEnum):
    BOOLEAN = 0x01
    INTEGER = 0x02
    UTF8_STRING = 0x0C
    SEQUENCE = 0x30
    ENTITLEMENTS = 0x70  # [APPLICATION 16], constructed
    DICTIONARY = 0xB0  # [CONTEXT 16], constructed


_VERSION = b"\x01"
_INTEGER_BYTES_MAX = 8
_LENGTH_BYTES_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    tag: int
    start: int  # of the content
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    data: bytes
    base: int  # of the blob in its file
    file: str

    def span(self, start: int, end: int) -> Span:
        return Span(start=self.base + start, end=self.base + end, file=self.file)

    def fail(self, message: str, at: int) -> EntitlementsError:
        return EntitlementsError(f"DER: {message}", span=self.span(at, at + 1))

    def element(self, at: int, end: int) -> _Element:
        """The element that starts at `at`, inside its parent's `end`."""
        if at + 2 > end:
            raise self.fail("ends inside an element", at)
        tag, length = self.data[at], self.data[at + 1]
        start = at + 2
        if length >= 0x80:
            count = length & 0x7F
            if not 0 < count <= _LENGTH_BYTES_MAX or start + count > end:
                raise self.fail("a length that is indefinite, too long or cut off", at)
            length = int.from_bytes(self.data[start : start + count], "big")
            start += count
            if length < 0x80 or length.bit_length() <= 8 * (count - 1):
                raise self.fail("a length that is not in its shortest form", at)
        if start + length > end:
            raise self.fail("an element reaches past its parent", at)
        return _Element(tag=tag, start=start, end=start + length)

    def expect(self, tag: int, at: int, end: int, what: str) -> _Element:
        element = self.element(at, end)
        if element.tag != tag:
            raise self.fail(f"expected {what}, found tag {element.tag:#04x}", at)
        return element

    def content(self, element: _Element) -> bytes:
        return self.data[element.start : element.end]

    def text(self, element: _Element) -> str:
        try:
            return self.content(element).decode("utf-8")
        except UnicodeDecodeError:
            raise self.fail("a string that is not UTF-8", element.start) from None

    def value(self, at: int, end: int, depth: int) -> tuple[Value, int]:
        """The value at `at`, and where it ends."""
        check_depth(depth, self.span(at, end))
        element = self.element(at, end)
        content = self.content(element)
        match element.tag:
            case _Tag.BOOLEAN:
                if content not in {b"\x00", b"\xff"}:
                    raise self.fail("a boolean that is neither 00 nor ff", element.start)
                return content == b"\xff", element.end
            case _Tag.INTEGER:
                if not 0 < len(content) <= _INTEGER_BYTES_MAX:
                    raise self.fail("an integer of no or of too many bytes", element.start)
                if (
                    len(content) > 1
                    and content[0] in {0, 0xFF}
                    and content[0] >> 7 == content[1] >> 7
                ):
                    raise self.fail("an integer that is not in its shortest form", element.start)
                return int.from_bytes(content, "big", signed=True), element.end
            case _Tag.UTF8_STRING:
                return self.text(element), element.end
            case _Tag.SEQUENCE:
                return self.sequence(element, depth), element.end
            case _Tag.DICTIONARY:
                return self.dictionary(element, depth), element.end
        raise self.fail(f"a value of unknown tag {element.tag:#04x}", at)

    def sequence(self, element: _Element, depth: int) -> tuple[Value, ...]:
        values: list[Value] = []
        at = element.start
        while at < element.end:
            value, at = self.value(at, element.end, depth + 1)
            values.append(value)
        return tuple(values)

    def dictionary(self, element: _Element, depth: int) -> MappingProxyType[str, Value]:
        values: dict[str, Value] = {}
        at = element.start
        last = ""
        while at < element.end:
            pair = self.expect(_Tag.SEQUENCE, at, element.end, "a pair")
            name = self.expect(_Tag.UTF8_STRING, pair.start, pair.end, "a key")
            key = self.text(name)
            if values and key <= last:
                raise self.fail(f"the key {key!r} repeats or is out of order", name.start)
            values[key], stop = self.value(name.end, pair.end, depth + 1)
            if stop != pair.end:
                raise self.fail("a pair holds more than a key and a value", stop)
            at, last = pair.end, key
        return MappingProxyType(values)


def parse_der(data: bytes, *, base: int = 0, file: str = "") -> Entitlements:
    """The entitlements of a DER blob's content; `base` is its offset in `file`.

    Raises `EntitlementsError` with the offset, and `LimitExceededError`.
    """
    if len(data) > limits.ENTITLEMENTS_BYTES_MAX:
        raise LimitExceededError(
            limit="ENTITLEMENTS_BYTES_MAX",
            value=len(data),
            maximum=limits.ENTITLEMENTS_BYTES_MAX,
            span=Span(start=base, end=base + len(data), file=file),
        )
    reader = _Reader(data=data, base=base, file=file)
    whole = reader.expect(_Tag.ENTITLEMENTS, 0, len(data), "entitlements")
    if whole.end != len(data):
        raise reader.fail("bytes after the entitlements", whole.end)
    version = reader.expect(_Tag.INTEGER, whole.start, whole.end, "a version")
    if reader.content(version) != _VERSION:
        raise reader.fail("a version other than 1", version.start)
    top = reader.expect(_Tag.DICTIONARY, version.end, whole.end, "a dictionary")
    if top.end != whole.end:
        raise reader.fail("bytes after the dictionary", top.end)
    return Entitlements(values=reader.dictionary(top, 0))
