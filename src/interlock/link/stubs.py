"""Stub images: 16 bytes for each function, which lead to the gate that calls the host or compiles the function.

`endbr64; mov r11d, index; jmp gate` (docs/internals/abi.md, section Lazy publishing).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.artifacts import CodeImage, CodeOffset, Relocation
from interlock.link.linker import R_X86_64_PLT32

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from interlock.target import Target

_STUB: Final = struct.Struct("<4s2sIBIB")
_ENDBR64: Final = bytes.fromhex("f30f1efa")
_MOV_R11D: Final = bytes.fromhex("41bb")
_JMP: Final = 0xE9
_INT3: Final = 0xCC
_JMP_FIELD: Final = 11

# endbr64; ud1 with trap kind 13, code was retired
CLOSED: Final = _ENDBR64 + bytes.fromhex("670fb9400d")
"""Code that traps: what the functions of a closed instance become."""


def stub_images(
    target: Target, imported: Sequence[int], defined: Sequence[int]
) -> Iterator[CodeImage]:
    """Images whose entries are `f<index>`, as many as the limit of entries asks for."""
    stubs = [(index, "host_call") for index in imported] + [(index, "compile") for index in defined]
    step = limits.IMAGE_ENTRIES_MAX
    for first in range(0, len(stubs), step):
        part = stubs[first : first + step]
        code = b"".join(_STUB.pack(_ENDBR64, _MOV_R11D, index, _JMP, 0, _INT3) for index, _ in part)
        entries = {f"f{index}": CodeOffset(16 * at) for at, (index, _) in enumerate(part)}
        yield CodeImage(
            target=target,
            code=code,
            entries=entries,
            relocations=tuple(
                Relocation(
                    offset=CodeOffset(16 * at + _JMP_FIELD), kind=R_X86_64_PLT32, symbol=gate
                )
                for at, (_, gate) in enumerate(part)
            ),
        )
