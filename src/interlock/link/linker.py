"""The linker: lays out code and constants, resolves what lies inside, keeps what only the writer can resolve.

Code and constants of an image take slots at the same offset of two views that lie `RODATA_DELTA_BYTES` apart, so the result
is position independent (docs/internals/abi.md, section Images).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.artifacts import CodeImage, CodeOffset, ObjectFile
from interlock.errors import LimitExceededError, LinkError
from interlock.link.aarch64 import LinkingAArch64
from interlock.link.elf import ElfObject, read_object
from interlock.link.linking import Linking, Placed
from interlock.link.x86_64 import LinkingX86
from interlock.target import Arch

if TYPE_CHECKING:
    from collections.abc import Collection

_LINKING: Final[dict[Arch, type[Linking]]] = {
    Arch.X86_64: LinkingX86,
    Arch.AARCH64: LinkingAArch64,
}


def link(obj: ObjectFile, imports: Collection[str]) -> CodeImage:
    """Link an object; branches to symbols in `imports` become relocations.

    Every function symbol of the object becomes an entry.  Raises `LinkError` for a malformed object, or one that refers to
    anything else.
    """
    kind = _LINKING[obj.target.arch]
    elf = read_object(obj.data, kind.machine)
    code, code_sections = _lay_out(elf, is_code=True, padding=kind.padding)
    rodata, rodata_sections = _lay_out(elf, is_code=False, padding=b"\0")
    if len(code) > limits.IMAGE_CODE_BYTES_MAX:
        raise LimitExceededError(
            limit="IMAGE_CODE_BYTES_MAX", value=len(code), maximum=limits.IMAGE_CODE_BYTES_MAX
        )
    placed = {each.section.index: each for each in (*code_sections, *rodata_sections)}
    linking = kind(code, rodata, placed, imports)
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


def _lay_out(elf: ElfObject, *, is_code: bool, padding: bytes) -> tuple[bytearray, list[Placed]]:
    data = bytearray()
    placed = []
    for section in elf.sections:
        if section.is_code is not is_code:
            continue
        data += padding * (-len(data) % section.align // len(padding))
        placed.append(Placed(section=section, start=len(data)))
        data += section.data
    return data, placed


def _entries(elf: ElfObject, placed: dict[int, Placed], wanted: str) -> dict[str, CodeOffset]:
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
