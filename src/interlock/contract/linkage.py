"""What a Mach-O image asks of the loader, and where its sections are: as much as the contract says something about.

The list of callbacks counts when the image is there at the start (C18), so what a program links matters as much as the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock.contract.macho_file import Slice, architecture, load_commands, slices

if TYPE_CHECKING:
    from collections.abc import Mapping

_LC_SYMTAB = 0x2
_LC_LOAD_DYLIB = 0xC
_LC_SEGMENT_64 = 0x19
_LC_RPATH = 0x8000001C
_LC_BUILD_VERSION = 0x32
_SECTION_TYPE = 0xFF
_WITHOUT_BYTES = {
    0x01,
    0x0C,
    0x12,
}  # S_ZEROFILL, S_GB_ZEROFILL, S_THREAD_LOCAL_ZEROFILL: nothing in the file
_N_STAB, _N_TYPE, _N_UNDF, _N_EXT = 0xE0, 0x0E, 0x00, 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Where a section is in the file."""

    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkage:
    """One architecture of a program or library.  `sections` are named as the linker names them: `__TEXT,__text`."""

    architecture: str
    minimum_macos: str
    libraries: tuple[str, ...]
    rpaths: tuple[str, ...]
    imports: frozenset[str]
    sections: Mapping[str, Section]


def read_linkage(data: bytes, *, file: str = "") -> tuple[Linkage, ...]:
    """The linkage of each architecture of the file.

    Raises `EntitlementsError` with the offset for what is malformed or no 64-bit Mach-O, and `LimitExceededError`.
    """
    return tuple(map(_read_thin, slices(data, file=file)))


def _read_thin(macho: Slice) -> Linkage:
    name = architecture(macho)
    minimum = ""
    libraries, rpaths = [], []
    sections: dict[str, Section] = {}
    imports: frozenset[str] = frozenset()
    for number, command in load_commands(macho):
        if number == _LC_LOAD_DYLIB:
            libraries.append(_name(command, "a library"))
        elif number == _LC_RPATH:
            rpaths.append(_name(command, "a run path"))
        elif number == _LC_BUILD_VERSION:
            (version,) = command.unpack("<I", 12, "LC_BUILD_VERSION")
            minimum = f"{version >> 16}.{version >> 8 & 0xFF}"
        elif number == _LC_SEGMENT_64:
            sections |= _sections(macho, command)
        elif number == _LC_SYMTAB:
            imports = _imports(macho, command)
    return Linkage(
        architecture=name,
        minimum_macos=minimum,
        libraries=tuple(libraries),
        rpaths=tuple(rpaths),
        imports=imports,
        sections=sections,
    )


def _name(command: Slice, what: str) -> str:
    """The text at the offset that the third word states."""
    (start,) = command.unpack("<I", 8, what)
    return _text(command, start, what)


def _text(source: Slice, start: int, what: str) -> str:
    end = source.data.find(b"\0", start)
    if not 0 <= start < len(source.data) or end < 0:
        raise source.fail(f"the name of {what} has no end", start)
    return source.data[start:end].decode("utf-8", "replace")


def _sections(macho: Slice, command: Slice) -> dict[str, Section]:
    (count,) = command.unpack("<I", 64, "a segment")
    found = {}
    for index in range(count):
        at = 72 + 80 * index
        size, offset, *_, flags = command.unpack("<QIIIII", at + 40, "a section")
        section, segment = (
            command.data[start : start + 16].rstrip(b"\0").decode("ascii", "replace")
            for start in (at, at + 16)
        )
        if flags & _SECTION_TYPE not in _WITHOUT_BYTES:
            macho.part(offset, size, f"section {section}")
        found[f"{segment},{section}"] = Section(offset=offset, size_bytes=size)
    return found


def _imports(macho: Slice, command: Slice) -> frozenset[str]:
    """The undefined external symbols, as the linker spells them (`_dlopen`)."""
    symbols, count, strings, size = command.unpack("<IIII", 8, "LC_SYMTAB")
    table = macho.part(symbols, 16 * count, "the symbol table")
    names = macho.part(strings, size, "the string table")
    found = set()
    for index in range(count):
        name, kind = table.unpack("<IB", 16 * index, "a symbol")
        if not kind & _N_STAB and kind & _N_TYPE == _N_UNDF and kind & _N_EXT:
            found.add(_text(names, name, "a symbol"))
    return frozenset(found)
