"""A cursor over the binary format: integers, names, vectors, types.  Every failure is located."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

from interlock.bytecode.opcodes import Feature
from interlock.bytecode.types import Limits, ValType
from interlock.errors import LimitExceededError, UnsupportedError, WasmMalformedError
from interlock.source import Span

if TYPE_CHECKING:
    from collections.abc import Callable

Element = TypeVar("Element")

_NUMBER_TYPES = {kind.value: kind for kind in ValType if not kind.is_ref}
_REF_TYPES = {kind.value: kind for kind in ValType if kind.is_ref}
# Encodings of 3.0 which this version does not have, by the proposal that brought them.
_OTHER_TYPES = {
    **dict.fromkeys((0x63, 0x64), Feature.FUNCTION_REFERENCES),
    **dict.fromkeys((0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x71, 0x72, 0x73), Feature.GC),
    **dict.fromkeys((0x69, 0x74), Feature.EXCEPTION_HANDLING),
}
_LIMITS_HAS_MAXIMUM = 1
_LIMITS_SHARED = 2
_LIMITS_64 = 4


class Reader:
    """Reads `data` from `pos` to `end`; the methods move `pos`."""

    __slots__ = ("data", "end", "file", "pos")

    def __init__(self, data: bytes, *, file: str = "") -> None:
        self.data = data
        self.file = file
        self.pos = 0
        self.end = len(data)

    def span(self, at: int) -> Span:
        """From `at` to the cursor."""
        return Span(start=at, end=max(at, self.pos), file=self.file)

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        """Raise `WasmMalformedError` at an offset, by default at the cursor."""
        raise WasmMalformedError(message, span=self.span(self.pos if at is None else at))

    def unsupported(self, feature: Feature, at: int) -> NoReturn:
        """Raise `UnsupportedError` at an offset."""
        raise UnsupportedError(feature.value, span=self.span(at))

    def byte(self) -> int:
        """One byte."""
        if self.pos >= self.end:
            self.fail("unexpected end")
        value = self.data[self.pos]
        self.pos += 1
        return value

    def raw(self, count: int) -> bytes:
        """`count` bytes."""
        if count > self.end - self.pos:
            self.fail("length out of bounds")
        self.pos += count
        return self.data[self.pos - count : self.pos]

    def unsigned(self, bits: int) -> int:
        """An unsigned LEB128 integer of `bits` bits."""
        at, value, shift = self.pos, 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift >= bits:
                self.fail("integer representation too long", at)
        if value >> bits:
            self.fail("integer too large", at)
        return value

    def signed(self, bits: int) -> int:
        """A signed LEB128 integer of `bits` bits."""
        at, value, shift = self.pos, 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift >= bits:
                self.fail("integer representation too long", at)
        if byte & 0x40:
            value -= 1 << shift
        if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
            self.fail("integer too large", at)
        return value

    def u32(self) -> int:
        """An index or a size."""
        pos = self.pos
        if pos < self.end:
            byte = self.data[pos]
            if byte < 0x80:
                self.pos = pos + 1
                return byte
        return self.unsigned(32)

    def name(self) -> str:
        """A name: a vector of bytes which are UTF-8."""
        at = self.pos
        try:
            return self.raw(self.u32()).decode()
        except UnicodeDecodeError:
            self.fail("malformed UTF-8 encoding", at)

    def count(self, limit: str, maximum: int) -> int:
        """The length of a vector: at most one element for each byte that is left, at most `maximum`."""
        at = self.pos
        count = self.u32()
        if count > self.end - self.pos:
            self.fail(
                "unexpected end of section or function"
                if count < 1 << 31
                else "length out of bounds",
                at,
            )
        if count > maximum:
            raise LimitExceededError(limit=limit, value=count, maximum=maximum, span=self.span(at))
        return count

    def vector(
        self, element: Callable[[], Element], limit: str, maximum: int
    ) -> tuple[Element, ...]:
        """A vector of elements."""
        return tuple([element() for _ in range(self.count(limit, maximum))])

    def val_type(self) -> ValType:
        """A value type."""
        at = self.pos
        byte = self.byte()
        found = _NUMBER_TYPES.get(byte) or _REF_TYPES.get(byte)
        if found is None:
            self._refuse_type(byte, at, "malformed value type")
        return found

    def ref_type(self) -> ValType:
        """A reference type."""
        at = self.pos
        byte = self.byte()
        found = _REF_TYPES.get(byte)
        if found is None:
            self._refuse_type(byte, at, "malformed reference type")
        return found

    def heap_type(self) -> ValType | int:
        """A heap type: one of ours, else a type index or a negative code of the standard."""
        at = self.pos
        code = self.signed(33)
        if code >= 0:
            return code
        found = _REF_TYPES.get(code + 0x80)
        if found is not None:
            return found
        if code + 0x80 not in _OTHER_TYPES:
            self.fail("malformed heap type", at)
        return code

    def _refuse_type(self, byte: int, at: int, message: str) -> NoReturn:
        feature = _OTHER_TYPES.get(byte)
        if feature is not None:
            self.unsupported(feature, at)
        self.fail(message, at)

    def limits(self, *, is_memory: bool) -> Limits:
        """Limits of a table or a memory."""
        at = self.pos
        flags = self.byte()
        if flags > (_LIMITS_HAS_MAXIMUM | _LIMITS_SHARED | _LIMITS_64):
            self.fail("malformed limits flags", at)
        if flags & _LIMITS_SHARED:
            if not is_memory:
                self.fail("malformed limits flags", at)
            self.unsupported(Feature.THREADS, at)
        if flags & _LIMITS_64:
            self.unsupported(Feature.MEMORY64, at)
        minimum = self.u32()
        maximum = self.u32() if flags & _LIMITS_HAS_MAXIMUM else None
        return Limits(minimum=minimum, maximum=maximum)
