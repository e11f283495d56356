"""Linking for x86-64 (System V ABI, AMD64 supplement, chapter 4)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.artifacts import JumpTable
from interlock.errors import LinkError
from interlock.link.linking import Linking, Placed

if TYPE_CHECKING:
    from collections.abc import Collection

    from interlock.link.elf import ElfRelocation

R_X86_64_PC32: Final = 2
R_X86_64_PLT32: Final = 4
_I32: Final = struct.Struct("<i")


class LinkingX86(Linking):
    """Everything inside an image is resolved here; branches to imports are the writer's."""

    machine = 62
    padding = b"\xcc"  # int3
    kinds = frozenset({R_X86_64_PC32, R_X86_64_PLT32})

    def __init__(
        self,
        code: bytearray,
        rodata: bytearray,
        placed: dict[int, Placed],
        imports: Collection[str],
    ) -> None:
        super().__init__(code, rodata, placed, imports)
        self._table_entries: set[int] = set()  # rodata offsets that hold code displacements
        self._referenced: set[int] = set()  # rodata offsets which code takes the address of

    def is_branch(self, relocation: ElfRelocation) -> bool:
        """`call` and `jmp` end with their field."""
        return relocation.kind == R_X86_64_PLT32 and relocation.addend == -_I32.size

    def clear(self, at: int) -> None:
        """The displacement."""
        _I32.pack_into(self.code, at, 0)

    def resolve(self, relocation: ElfRelocation, place: Placed, target: Placed) -> None:
        """Code and constants keep their distance, so a displacement is final."""
        symbol = relocation.symbol
        at = place.start + relocation.offset
        value = (
            target.address + symbol.value + relocation.addend - (place.address + relocation.offset)
        )
        if not place.section.is_code:
            self._table_entries.add(at)
        elif not target.section.is_code:
            # The field is the instruction's last four bytes where the address of a table is taken.
            self._referenced.add(target.start + symbol.value + relocation.addend + _I32.size)
        try:
            _I32.pack_into(self.code if place.section.is_code else self.rodata, at, value)
        except struct.error:
            raise LinkError(symbol=symbol.name, detail="is too far away") from None

    def jump_tables(self) -> tuple[JumpTable, ...]:
        """Runs of code displacements; a place whose address code takes starts a table of its own."""
        tables: list[JumpTable] = []
        start = end = -1
        for at in sorted(self._table_entries):
            if at != end or at in self._referenced:
                if end > start:
                    tables.append(_table_of_itself(start, end))
                start = at
            end = at + _I32.size
        if end > start:
            tables.append(_table_of_itself(start, end))
        return tuple(tables)


def _table_of_itself(start: int, end: int) -> JumpTable:
    """Its displacements are relative to its own address."""
    base = limits.RODATA_DELTA_BYTES + start
    return JumpTable(rodata_offset=start, count=(end - start) // _I32.size, base_offset=base)
