"""What a Mach-O image asks of the loader, and where its sections are: as much as the contract says something about.

The list of callbacks counts when the image is there at the start (C18), so what a program links matters as much as the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock.contract.macho_file import (
    LC_SEGMENT_64,
    LC_SYMTAB,
    UNDEFINED,
    Section,
    Slice,
    architecture,
    load_commands,
    sections,
    slices,
    symbols,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LC_LOAD_DYLIB = 0xC
_LC_RPATH = 0x8000001C
_LC_BUILD_VERSION = 0x32
_WITHOUT_BYTES = {
    0x01,
    0x0C,
    0x12,
}  # S_ZEROFILL, S_GB_ZEROFILL, S_THREAD_LOCAL_ZEROFILL: nothing in the file


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
    found: dict[str, Section] = {}
    imports: frozenset[str] = frozenset()
    for number, command in load_commands(macho):
        if number == _LC_LOAD_DYLIB:
            libraries.append(_name(command, "a library"))
        elif number == _LC_RPATH:
            rpaths.append(_name(command, "a run path"))
        elif number == _LC_BUILD_VERSION:
            (version,) = command.unpack("<I", 12, "LC_BUILD_VERSION")
            minimum = f"{version >> 16}.{version >> 8 & 0xFF}"
        elif number == LC_SEGMENT_64:
            found |= {str(each): each for each in _checked_sections(macho, command)}
        elif number == LC_SYMTAB:
            imports = frozenset(
                each.name
                for each in symbols(macho, command)
                if each.kind == UNDEFINED and each.is_external
            )
    return Linkage(
        architecture=name,
        minimum_macos=minimum,
        libraries=tuple(libraries),
        rpaths=tuple(rpaths),
        imports=imports,
        sections=found,
    )


def _name(command: Slice, what: str) -> str:
    """The text at the offset that the third word states."""
    (start,) = command.unpack("<I", 8, what)
    return command.text(start, what)


def _checked_sections(macho: Slice, command: Slice) -> Iterator[Section]:
    """The sections, those with bytes in the file inside it."""
    for each in sections(command):
        if each.kind not in _WITHOUT_BYTES:
            macho.part(each.offset, each.size_bytes, f"section {each.name}")
        yield each
