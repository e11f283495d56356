"""Mach-O files as bytes: the architectures of a universal file, the load commands of each, and their sections and symbols.

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
LC_SYMTAB, LC_SEGMENT_64 = 0x2, 0x19
_SECTIONS_AT, _SECTION_BYTES, _SECTION_TYPE = 72, 80, 0xFF
_SYMBOL_BYTES = 16
_N_STAB, _N_TYPE, _N_EXT = 0xE0, 0x0E, 0x01
UNDEFINED, IN_SECTION = 0x00, 0x0E  # N_UNDF, N_SECT


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

    def text(self, start: int, what: str) -> str:
        """The text at an offset, up to its NUL."""
        end = self.data.find(b"\0", start)
        if not 0 <= start < len(self.data) or end < 0:
            raise self.fail(f"the name of {what} has no end", start)
        return self.data[start:end].decode("utf-8", "replace")

    def limit(self, name: str, value: int, maximum: int) -> None:
        """Stop at more than a limit allows."""
        if value > maximum:
            span = Span(start=self.base, end=self.base + len(self.data), file=self.file)
            raise LimitExceededError(limit=name, value=value, maximum=maximum, span=span)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section: where it is in the file and, counted from the image's start, in memory; `kind` as S_ZEROFILL."""

    segment: str
    name: str
    address: int
    offset: int
    size_bytes: int
    kind: int

    def __str__(self) -> str:
        """As the linker names it: `__TEXT,__text`."""
        return f"{self.segment},{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A symbol as the linker spells it (`_dlopen`).  `kind`: UNDEFINED, IN_SECTION, or another that nobody asks for."""

    name: str
    value: int
    kind: int
    is_external: bool


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


def fixed_text(command: Slice, at: int) -> str:
    """A name that takes 16 bytes, whether or not it has an end."""
    return command.data[at : at + 16].rstrip(b"\0").decode("ascii", "replace")


def sections(segment: Slice) -> Iterator[Section]:
    """The sections of an LC_SEGMENT_64."""
    (count,) = segment.unpack("<I", 64, "a segment")
    for at in range(_SECTIONS_AT, _SECTIONS_AT + count * _SECTION_BYTES, _SECTION_BYTES):
        address, size, offset, *_, flags = segment.unpack("<QQIIIII", at + 32, "a section")
        yield Section(
            segment=fixed_text(segment, at + 16),
            name=fixed_text(segment, at),
            address=address,
            offset=offset,
            size_bytes=size,
            kind=flags & _SECTION_TYPE,
        )


def symbols(macho: Slice, command: Slice) -> Iterator[Symbol]:
    """The symbols of an LC_SYMTAB, without those for debuggers."""
    start, count, names_start, names_size = command.unpack("<IIII", 8, "LC_SYMTAB")
    table = macho.part(start, _SYMBOL_BYTES * count, "the symbol table")
    names = macho.part(names_start, names_size, "the string table")
    for at in range(0, _SYMBOL_BYTES * count, _SYMBOL_BYTES):
        name, kind, _, _, value = table.unpack("<IBBHQ", at, "a symbol")
        if not kind & _N_STAB:
            yield Symbol(
                name=names.text(name, "a symbol"),
                value=value,
                kind=kind & _N_TYPE,
                is_external=bool(kind & _N_EXT),
            )
