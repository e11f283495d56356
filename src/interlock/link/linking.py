"""What linking is on every architecture: where sections lie, and which symbols a relocation may name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock import limits
from interlock.artifacts import CodeOffset, JumpTable, Relocation
from interlock.errors import LinkError
from interlock.link.elf import ElfRelocation, Section, malformed

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A section and where it starts in the code or in the constants."""

    section: Section
    start: int

    @property
    def address(self) -> int:
        """Its distance from the image's first byte of code."""
        return self.start if self.section.is_code else limits.RODATA_DELTA_BYTES + self.start


class Linking(ABC):
    """One object while its relocations are resolved; a subclass for each architecture."""

    machine: int
    """`e_machine` of its objects."""
    padding: bytes
    """What stands between sections of code, where nothing passes: one trap instruction."""
    kinds: frozenset[int]
    """The relocation types that it knows."""

    def __init__(
        self,
        code: bytearray,
        rodata: bytearray,
        placed: dict[int, Placed],
        imports: Collection[str],
    ) -> None:
        self.code = code
        self.rodata = rodata
        self.relocations: list[Relocation] = []
        self._placed = placed
        self._imports = imports

    def apply(self, relocation: ElfRelocation) -> None:
        """Resolve a relocation, or keep it for the writer.  Raises `LinkError`."""
        place = self._placed.get(relocation.section)
        if place is None:
            return  # of a section that is no part of the program
        if not 0 <= relocation.offset <= len(place.section.data) - 4:
            raise malformed("a relocation lies outside its section")
        symbol = relocation.symbol
        if relocation.kind not in self.kinds:
            raise LinkError(
                symbol=symbol.name or "object file",
                detail=f"relocation type {relocation.kind} is not supported",
            )
        if symbol.section is None:
            if symbol.name not in self._imports:
                raise LinkError(
                    symbol=symbol.name, detail="is neither in the object nor in the import table"
                )
            if not place.section.is_code or not self.is_branch(relocation):
                raise LinkError(symbol=symbol.name, detail="only branches can name an import")
            self.clear(place.start + relocation.offset)
            self.keep(place.start + relocation.offset, relocation.kind, symbol.name)
            return
        target = self._placed.get(symbol.section)
        if target is None:
            raise LinkError(
                symbol=symbol.name, detail="lies in a section that is no part of the program"
            )
        if not place.section.is_code and not target.section.is_code:
            raise LinkError(symbol=symbol.name, detail="constants refer to constants")
        self.resolve(relocation, place, target)

    def keep(self, at: int, kind: int, symbol: str | None, rodata_offset: int = 0) -> None:
        """Leave a field of the code to the writer."""
        self.relocations.append(
            Relocation(offset=CodeOffset(at), kind=kind, symbol=symbol, rodata_offset=rodata_offset)
        )

    @abstractmethod
    def is_branch(self, relocation: ElfRelocation) -> bool:
        """Whether it is one that may name an import."""

    @abstractmethod
    def clear(self, at: int) -> None:
        """Empty a field that the writer will fill."""

    @abstractmethod
    def resolve(self, relocation: ElfRelocation, place: Placed, target: Placed) -> None:
        """Resolve a relocation whose symbol lies in the image.  Raises `LinkError`."""

    @abstractmethod
    def jump_tables(self) -> tuple[JumpTable, ...]:
        """The tables of code displacements, when all relocations have been applied."""
