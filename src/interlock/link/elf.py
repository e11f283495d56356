"""Relocatable 64-bit ELF objects, read with suspicion: every offset is checked before it is used.

Only what the linker needs.  Reference: System V ABI, chapter 4, and its supplements.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from interlock.errors import LinkError

_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_SYMBOL: Final = struct.Struct("<IBBHQQ")
_RELA: Final = struct.Struct("<QQq")

_RELOCATABLE: Final = 1
_SHT_PROGBITS: Final = 1
_SHT_SYMTAB: Final = 2
_SHT_RELA: Final = 4
_SHT_NOBITS: Final = 8
_SHT_X86_64_UNWIND: Final = 0x70000001  # nothing unwinds through published code
_SHF_WRITE: Final = 1
_SHF_ALLOC: Final = 2
_SHF_EXECINSTR: Final = 4
_SHN_ABS: Final = 0xFFF1
_SECTIONS_MAX: Final = 4096
_NAME_BYTES_MAX: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section that is part of the program."""

    index: int
    name: str
    data: bytes
    align: int
    is_code: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A symbol; `section` is None for one that is defined elsewhere."""

    name: str
    section: int | None
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfRelocation:
    """An entry of a relocation section, for the section with index `section`."""

    section: int
    offset: int
    kind: int
    symbol: Symbol
    addend: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfObject:
    """What the linker reads of an object."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: tuple[ElfRelocation, ...]


def malformed(detail: str) -> LinkError:
    """The error for bytes that are no object."""
    return LinkError(symbol="object file", detail=detail)


def read_object(data: bytes, machine: int) -> ElfObject:
    """Read an object for a machine (`e_machine`).  Raises `LinkError`."""
    try:
        return _read(data, machine)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise malformed(f"truncated or inconsistent ({error})") from None


def _read(data: bytes, machine: int) -> ElfObject:
    header = _HEADER.unpack_from(data)
    ident, kind, found, start, count, names_index = (
        header[0], header[1], header[2], header[6], header[12], header[13],
    )  # fmt: skip
    if ident[:7] != b"\x7fELF\x02\x01\x01" or kind != _RELOCATABLE or found != machine:
        raise malformed("not a relocatable ELF object for this architecture")
    if not 0 < count <= _SECTIONS_MAX or header[11] != _SECTION.size:
        raise malformed(f"{count} section headers of {header[11]} bytes")
    table = _slice(data, start, _SECTION.size * count)
    headers = list(_SECTION.iter_unpack(table))
    # Sections that overlap would be copied again and again.
    if sum(each[5] for each in headers if each[1] != _SHT_NOBITS) > len(data):
        raise malformed("its sections are larger than the file")
    contents = [
        b"" if each[1] == _SHT_NOBITS else _slice(data, each[4], each[5]) for each in headers
    ]
    names = contents[names_index]
    sections = []
    for index, each in enumerate(headers):
        name, flags = _string(names, each[0]), each[2]
        if not flags & _SHF_ALLOC or each[1] in {_SHT_RELA, _SHT_X86_64_UNWIND} or each[5] == 0:
            continue
        if flags & _SHF_WRITE or each[1] != _SHT_PROGBITS:
            raise malformed(f"section {name} is writable data, which code images do not have")
        align = each[8] or 1
        if align & (align - 1) or align > 64:  # a slot of code memory starts at a multiple of 64
            raise malformed(f"section {name} wants an alignment of {align}")
        is_code = bool(flags & _SHF_EXECINSTR)
        if name == ".eh_frame":  # older assemblers give it the type of data
            continue
        sections.append(
            Section(index=index, name=name, data=contents[index], align=align, is_code=is_code)
        )
    symbols = _symbols(headers, contents)
    return ElfObject(
        sections=tuple(sections),
        symbols=tuple(symbols),
        relocations=tuple(_relocations(headers, contents, symbols)),
    )


def _symbols(headers: list[tuple[int, ...]], contents: list[bytes]) -> list[Symbol]:
    tables = [index for index, each in enumerate(headers) if each[1] == _SHT_SYMTAB]
    if not tables:
        return []
    if len(tables) > 1:
        raise malformed("two symbol tables")
    names = contents[headers[tables[0]][6]]
    symbols = []
    for name, _info, _other, section, value, _size in _SYMBOL.iter_unpack(contents[tables[0]]):
        if section >= len(headers) and section != _SHN_ABS:
            raise malformed(f"a symbol of section {section}")
        is_defined = section not in {0, _SHN_ABS}
        symbols.append(
            Symbol(name=_string(names, name), section=section if is_defined else None, value=value)
        )
    return symbols


def _relocations(
    headers: list[tuple[int, ...]], contents: list[bytes], symbols: list[Symbol]
) -> list[ElfRelocation]:
    found = []
    for index, each in enumerate(headers):
        if each[1] != _SHT_RELA:
            continue
        target = each[7]
        if target >= len(headers):
            raise malformed(f"relocations of section {target}")
        for offset, info, addend in _RELA.iter_unpack(contents[index]):
            found.append(
                ElfRelocation(
                    section=target,
                    offset=offset,
                    kind=info & 0xFFFFFFFF,
                    symbol=symbols[info >> 32],
                    addend=addend,
                )
            )
    return found


def _slice(data: bytes, start: int, size: int) -> bytes:
    if start + size > len(data):
        raise malformed("a part of it lies outside the file")
    return data[start : start + size]


def _string(table: bytes, start: int) -> str:
    end = table.find(b"\0", start, start + _NAME_BYTES_MAX)
    if end < 0:
        raise malformed("a name without an end")
    return table[start:end].decode()
