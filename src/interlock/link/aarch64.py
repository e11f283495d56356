"""Linking for AArch64 (ELF for the Arm 64-bit Architecture, chapter 5).

References to constants stay relocations: `adrp` counts in pages, so it depends on where the writer puts the image.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.artifacts import JumpTable
from interlock.errors import LimitExceededError, LinkError
from interlock.link.elf import malformed
from interlock.link.linking import Linking, Placed

if TYPE_CHECKING:
    from collections.abc import Collection

    from interlock.link.elf import ElfRelocation

R_AARCH64_ADR_PREL_PG_HI21: Final = 275
R_AARCH64_ADD_ABS_LO12_NC: Final = 277
R_AARCH64_JUMP26: Final = 282
R_AARCH64_CALL26: Final = 283
_BRANCHES: Final = frozenset({R_AARCH64_JUMP26, R_AARCH64_CALL26})
_LOADS: Final = frozenset({278, 284, 285, 286, 299})  # R_AARCH64_LDST<8 16 32 64 128>_ABS_LO12_NC

_U32: Final = struct.Struct("<I")
_I32: Final = struct.Struct("<i")
_IMM26: Final = (1 << 26) - 1
_BRANCH_REACH: Final = 1 << 27
_BTI_J: Final = frozenset({0xD503249F, 0xD50324DF})  # bti j, bti jc


class LinkingAArch64(Linking):
    """Branches inside an image are resolved here; what names imports and constants is the writer's."""

    machine = 183
    padding = bytes.fromhex("a0a12ad4")  # brk 0x550d
    kinds = _BRANCHES | _LOADS | {R_AARCH64_ADR_PREL_PG_HI21, R_AARCH64_ADD_ABS_LO12_NC}

    def __init__(
        self,
        code: bytearray,
        rodata: bytearray,
        placed: dict[int, Placed],
        imports: Collection[str],
    ) -> None:
        super().__init__(code, rodata, placed, imports)
        self._addresses: set[int] = set()  # rodata offsets which code refers to
        self._tables: set[int] = set()  # those whose address it takes

    def is_branch(self, relocation: ElfRelocation) -> bool:
        """`b` and `bl`."""
        return relocation.kind in _BRANCHES and relocation.addend == 0

    def clear(self, at: int) -> None:
        """The branch's distance."""
        self._set_distance(at, 0)

    def resolve(self, relocation: ElfRelocation, place: Placed, target: Placed) -> None:
        """A branch inside the image is final; the address of a constant is not."""
        symbol = relocation.symbol
        at = place.start + relocation.offset
        to = target.start + symbol.value + relocation.addend
        if not place.section.is_code:
            raise LinkError(symbol=symbol.name, detail="constants refer to code")
        if (relocation.kind in _BRANCHES) is not target.section.is_code:
            raise LinkError(symbol=symbol.name, detail="code as a constant, or a constant as code")
        if relocation.kind not in _BRANCHES:
            if not 0 <= to < len(self.rodata):
                raise malformed("a relocation names a place outside the constants")
            self._addresses.add(to)
            if relocation.kind == R_AARCH64_ADD_ABS_LO12_NC:
                self._tables.add(to)
            self.keep(at, relocation.kind, None, to)
        elif (to - at) % 4 or not -_BRANCH_REACH <= to - at < _BRANCH_REACH:
            raise LinkError(symbol=symbol.name, detail="cannot be branched to")
        else:
            self._set_distance(at, (to - at) >> 2)

    def _set_distance(self, at: int, words: int) -> None:
        (instruction,) = _U32.unpack_from(self.code, at)
        _U32.pack_into(self.code, at, instruction & ~_IMM26 | words & _IMM26)

    def jump_tables(self) -> tuple[JumpTable, ...]:
        """The tables, which an object does not name.

        LLVM writes `adr base, label; ldrsw value, [table, index, lsl 2]; add base, base, value`, later `br base`, with entries
        that are the distances of their targets from the label, and every target is a landing pad.  So a table starts where
        code takes an address of constants, ends before the next such place, and belongs to the label from which its entries
        lead to landing pads.
        """
        labels = sorted(self._labels())
        if len(labels) > limits.IMAGE_TABLES_MAX:
            raise LimitExceededError(
                limit="IMAGE_TABLES_MAX", value=len(labels), maximum=limits.IMAGE_TABLES_MAX
            )
        starts = sorted(self._addresses)
        tables = []
        for start, end in zip(starts, [*starts, len(self.rodata)][1:], strict=True):
            if start not in self._tables:
                continue
            count, base = max(
                ((self._entries(start, end, label), label) for label in labels), default=(0, 0)
            )
            if count:
                tables.append(JumpTable(rodata_offset=start, count=count, base_offset=base))
        return tuple(tables)

    def _labels(self) -> set[int]:
        """What `adr` names where it begins the sequence of a jump table."""
        words = memoryview(self.code[: len(self.code) // 4 * 4]).cast("I")
        found = set()
        for index in range(len(words) - 2):
            adr, load, add = words[index : index + 3]
            base = adr & 0x1F
            value = load & 0x1F
            if (
                adr & 0x9F000000 == 0x10000000
                and load & 0xFFE0FC00 == 0xB8A07800
                and add == 0x8B000000 | value << 16 | base << 5 | base
            ):
                distance = (adr >> 5 & 0x7FFFF) << 2 | adr >> 29 & 3
                found.add(4 * index + (distance ^ 1 << 20) - (1 << 20))
        return found

    def _entries(self, start: int, end: int, label: int) -> int:
        """How many values from `start` on lead from the label to landing pads."""
        count = 0
        for (value,) in _I32.iter_unpack(self.rodata[start : end - (end - start) % 4]):
            target = label + value
            if not 0 <= target <= len(self.code) - 4 or target % 4:
                break
            if _U32.unpack_from(self.code, target)[0] not in _BTI_J:
                break
            count += 1
        return count
