"""The values that cross stages.  Read this file first.

A type proves that a check was made: a `ValidatedModule` (bytecode package) only comes from `bytecode.validate`, a
`PublishedCode` only from the core.  Offsets and addresses are different types.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.target import Target

CodeOffset = NewType("CodeOffset", int)  # bytes from the start of an image's code
CodeAddr = NewType("CodeAddr", int)  # absolute; only the core's binding and fault reports hold one


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFile:
    """What LLVM made: a relocatable ELF object for one unit (one function).  Untrusted bytes."""

    target: Target
    data: bytes
    symbol: str  # the unit's function in the object


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocation:
    """What only the writer can resolve: a branch to an import, or (AArch64) a reference to a constant of the image.

    Analogous to an ELF `Elf64_Rela`.  The kind keeps its ELF name and number (`il_relocation_kind` in interlock.h).
    """

    offset: CodeOffset
    kind: int  # R_X86_64_PLT32 = 4
    symbol: str | None  # an import of the arena; None: the constant at `rodata_offset`
    rodata_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpTable:
    """A table of `count` 32-bit code displacements in rodata (docs/internals/abi.md, section Images)."""

    rodata_offset: int
    count: int
    base_offset: int  # what the displacements are added to, from the start of the code


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeImage:
    """Laid out and linked, position independent.  Still untrusted, still bytes."""

    target: Target
    code: bytes
    rodata: bytes = b""
    entries: Mapping[str, CodeOffset] = field(default_factory=dict)
    relocations: tuple[Relocation, ...] = ()
    jump_tables: tuple[JumpTable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The code validator's yes: an opinion everywhere but in the writer."""

    instruction_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """The code validator's no: rule, place and the bytes it saw."""

    rule: int
    text: str
    offset: CodeOffset
    bytes_seen: bytes
    detail: str = ""

    @property
    def rule_id(self) -> str:
        """`V012`."""
        return f"V{self.rule:03d}"

    def __str__(self) -> str:
        """`V012 at 0x4 (0f 05): the instruction calls the system`."""
        detail = f" ({self.detail})" if self.detail else ""
        return (
            f"{self.rule_id} at {self.offset:#x} [{self.bytes_seen.hex(' ')}]: {self.text}{detail}"
        )
