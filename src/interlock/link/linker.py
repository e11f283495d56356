"""The linker: lays out code and constants, resolves what lies inside, keeps branches to imports as relocations.

Code and constants of an image take slots at the same offset of two views that lie `RODATA_DELTA_BYTES` apart, so the result
is position independent (docs/internals/abi.md, section Images).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.artifacts import CodeImage, CodeOffset, JumpTable, ObjectFile, Relocation
from interlock.errors import LimitExceededError, LinkError
from interlock.link.elf import ElfObject, ElfRelocation, Section, malformed, read_object

if TYPE_CHECKING:
    from collections.abc import Collection

R_X86_64_PC32: Final = 2
R_X86_64_PLT32: Final = 4
_I32: Final = struct.Struct("<i")
_PADDING: Final = b"\xcc"  # between sections of code no one passes: int3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A section and where it starts in the code or in the constants."""

    section: Section
    start: int

    @property
    def address(self) -> int:
        """Its distance from the image's first byte of code."""
        return self.start if self.section.is_code else limits.RODATA_DELTA_BYTES + self.start


def link(obj: ObjectFile, imports: Collection[str]) -> CodeImage:
    """Link an object; branches to symbols in `imports` become relocations.

    Every function symbol of the object becomes an entry.  Raises `LinkError` for a malformed object, or one that refers to
    anything else.
    """
    elf = read_object(obj.data)
    code, code_sections = _lay_out(elf, is_code=True)
    rodata, rodata_sections = _lay_out(elf, is_code=False)
    if len(code) > limits.IMAGE_CODE_BYTES_MAX:
        raise LimitExceededError(
            limit="IMAGE_CODE_BYTES_MAX", value=len(code), maximum=limits.IMAGE_CODE_BYTES_MAX
        )
    placed = {each.section.index: each for each in (*code_sections, *rodata_sections)}
    linking = _Linking(code, rodata, placed, imports)
    for relocation in elf.relocations:
        linking.apply(relocation)
    entries = _entries(elf, placed, obj.symbol)
    return CodeImage(
        target=obj.target,
        code=bytes(code),
        rodata=bytes(rodata),
        entries=entries,
        relocations=tuple(sorted(linking.relocations, key=lambda each: each.offset)),
        jump_tables=linking.jump_tables(),
    )


def _lay_out(elf: ElfObject, *, is_code: bool) -> tuple[bytearray, list[_Placed]]:
    data = bytearray()
    placed = []
    for section in elf.sections:
        if section.is_code is not is_code:
            continue
        data += (_PADDING if is_code else b"\0") * (-len(data) % section.align)
        placed.append(_Placed(section=section, start=len(data)))
        data += section.data
    return data, placed


def _entries(elf: ElfObject, placed: dict[int, _Placed], wanted: str) -> dict[str, CodeOffset]:
    entries = {}
    for symbol in elf.symbols:
        place = placed.get(symbol.section) if symbol.section is not None else None
        if place is None or not place.section.is_code or not symbol.name:
            continue
        if wanted and symbol.name != wanted:
            continue
        if symbol.value >= len(place.section.data):
            raise LinkError(symbol=symbol.name, detail="lies outside its section")
        entries[symbol.name] = CodeOffset(place.start + symbol.value)
    if not entries:
        raise LinkError(symbol=wanted or "object file", detail="defines no code")
    return entries


class _Linking:
    def __init__(
        self,
        code: bytearray,
        rodata: bytearray,
        placed: dict[int, _Placed],
        imports: Collection[str],
    ) -> None:
        self._code = code
        self._rodata = rodata
        self._placed = placed
        self._imports = imports
        self.relocations: list[Relocation] = []
        self._table_entries: set[int] = set()  # rodata offsets that hold code displacements
        self._referenced: set[int] = set()  # rodata offsets which code takes the address of

    def apply(self, relocation: ElfRelocation) -> None:
        place = self._placed.get(relocation.section)
        if place is None:
            return  # of a section that is no part of the program
        if not 0 <= relocation.offset <= len(place.section.data) - 4:
            raise malformed("a relocation lies outside its section")
        if relocation.kind not in {R_X86_64_PC32, R_X86_64_PLT32}:
            raise LinkError(
                symbol=relocation.symbol.name or "object file",
                detail=f"relocation type {relocation.kind} is not supported",
            )
        at = place.start + relocation.offset
        symbol = relocation.symbol
        if symbol.section is None:
            self._import(relocation, place, at)
            return
        target = self._placed.get(symbol.section)
        if target is None:
            raise LinkError(
                symbol=symbol.name, detail="lies in a section that is no part of the program"
            )
        value = (
            target.address + symbol.value + relocation.addend - (place.address + relocation.offset)
        )
        data = self._code if place.section.is_code else self._rodata
        if not place.section.is_code:
            if not target.section.is_code:
                raise LinkError(symbol=symbol.name, detail="constants refer to constants")
            self._table_entries.add(at)
        elif not target.section.is_code:
            # The field is the instruction's last four bytes where the address of a table is taken.
            self._referenced.add(target.start + symbol.value + relocation.addend + 4)
        try:
            _I32.pack_into(data, at, value)
        except struct.error:
            raise LinkError(symbol=symbol.name, detail="is too far away") from None

    def _import(self, relocation: ElfRelocation, place: _Placed, at: int) -> None:
        name = relocation.symbol.name
        if name not in self._imports:
            raise LinkError(symbol=name, detail="is neither in the object nor in the import table")
        if (
            not place.section.is_code
            or relocation.kind != R_X86_64_PLT32
            or relocation.addend != -4
        ):
            raise LinkError(symbol=name, detail="only branches can name an import")
        _I32.pack_into(self._code, at, 0)
        self.relocations.append(Relocation(offset=CodeOffset(at), kind=R_X86_64_PLT32, symbol=name))

    def jump_tables(self) -> tuple[JumpTable, ...]:
        """Runs of code displacements; a place whose address code takes starts a table of its own."""
        tables: list[JumpTable] = []
        start = end = -1
        for at in sorted(self._table_entries):
            if at != end or at in self._referenced:
                if end > start:
                    tables.append(_table_of_itself(start, end))
                start = at
            end = at + 4
        if end > start:
            tables.append(_table_of_itself(start, end))
        return tuple(tables)


def _table_of_itself(start: int, end: int) -> JumpTable:
    """Its displacements are relative to its own address."""
    base = limits.RODATA_DELTA_BYTES + start
    return JumpTable(rodata_offset=start, count=(end - start) // 4, base_offset=base)
