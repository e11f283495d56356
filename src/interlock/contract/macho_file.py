"""Mach-O files as bytes: the architectures of a universal file, and the load commands of each.

Numbers of the file itself are little-endian (no supported Mac was ever anything else), those of the table of architectures
big-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock import limits
from interlock.errors import EntitlementsError, LimitExceededError
from interlock.source import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

_FAT_MAGIC = 0xCAFEBABE
_FAT_MAGIC_64 = 0xCAFEBABF
_MH_MAGIC_64 = 0xFEEDFACF
_CPU_NAMES = {0x01000007: "x86_64", 0x0100000C: "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of the file, in which offsets count from `base`."""

    data: bytes
    base: int
    file: str

    def fail(self, message: str, at: int) -> EntitlementsError:
        """The error for what is wrong at an offset."""
        start = self.base + at
        return EntitlementsError(message, span=Span(start=start, end=start + 1, file=self.file))

    def unpack(self, layout: str, at: int, what: str) -> tuple[int, ...]:
        """Numbers at an offset."""
        try:
            return struct.unpack_from(layout, self.data, at)
        except struct.error:
            raise self.fail(f"the file ends inside {what}", at) from None

    def part(self, start: int, size: int, what: str) -> Slice:
        """A part of it."""
        if start + size > len(self.data):
            raise self.fail(f"{what} reaches past the end", start)
        data = self.data[start : start + size]
        return Slice(data=data, base=self.base + start, file=self.file)

    def limit(self, name: str, value: int, maximum: int) -> None:
        """Stop at more than a limit allows."""
        if value > maximum:
            span = Span(start=self.base, end=self.base + len(self.data), file=self.file)
            raise LimitExceededError(limit=name, value=value, maximum=maximum, span=span)


def is_macho(data: bytes) -> bool:
    """Whether the bytes start like a Mach-O file of 64 bits."""
    head = data[:4]
    return head in {
        struct.pack(">I", _FAT_MAGIC),
        struct.pack(">I", _FAT_MAGIC_64),
        struct.pack("<I", _MH_MAGIC_64),
    }


def slices(data: bytes, *, file: str = "") -> tuple[Slice, ...]:
    """The thin files of a universal one, or the one that it is."""
    whole = Slice(data=data, base=0, file=file)
    whole.limit("MACHO_BYTES_MAX", len(data), limits.MACHO_BYTES_MAX)
    magic, count = whole.unpack(">II", 0, "the header")
    if magic not in {_FAT_MAGIC, _FAT_MAGIC_64}:
        return (whole,)
    whole.limit("MACHO_ARCHITECTURES_MAX", count, limits.MACHO_ARCHITECTURES_MAX)
    layout, size = (">iiQQII", 32) if magic == _FAT_MAGIC_64 else (">iiIII", 20)
    found = []
    for index in range(count):
        row = whole.unpack(layout, 8 + index * size, "the table of architectures")
        found.append(whole.part(row[2], row[3], "an architecture"))
    return tuple(found)


def architecture(macho: Slice) -> str:
    """`arm64`, `x86_64`, or the number; also the check that this is a thin Mach-O file."""
    magic, cpu = macho.unpack("<Ii", 0, "the header")
    if magic != _MH_MAGIC_64:
        raise macho.fail(f"not a 64-bit Mach-O file (magic {magic:#010x})", 0)
    return _CPU_NAMES.get(cpu, f"cpu {cpu:#x}")


def load_commands(macho: Slice) -> Iterator[tuple[int, Slice]]:
    """Each load command's number, and its bytes from the number on."""
    (count,) = macho.unpack("<I", 16, "the header")
    macho.limit("MACHO_LOAD_COMMANDS_MAX", count, limits.MACHO_LOAD_COMMANDS_MAX)
    at = 32
    for _ in range(count):
        command, size = macho.unpack("<II", at, "a load command")
        if size < 8:
            raise macho.fail("a load command shorter than its head", at)
        yield command, macho.part(at, size, "a load command")
        at += size
