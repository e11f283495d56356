"""Stub images: 16 bytes for each function, which lead to the gate that calls the host or compiles the function.

x86-64 `endbr64; mov r11d, index; jmp gate`, AArch64 `bti c; movz w16, low; movk w16, high, lsl 16; b gate`
(docs/internals/abi.md, section Lazy publishing).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.artifacts import CodeImage, CodeOffset, Relocation
from interlock.link.aarch64 import R_AARCH64_JUMP26
from interlock.link.x86_64 import R_X86_64_PLT32
from interlock.target import Arch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from interlock.target import Target

_STUB_BYTES: Final = 16
_ENDBR64: Final = bytes.fromhex("f30f1efa")
_BTI_C: Final = bytes.fromhex("5f2403d5")
_X86_64: Final = struct.Struct("<4s2sIBIB")
_AARCH64: Final = struct.Struct("<4sIII")


def _x86_64(index: int) -> bytes:
    mov_r11d, jmp, int3 = b"\x41\xbb", 0xE9, 0xCC
    return _X86_64.pack(_ENDBR64, mov_r11d, index, jmp, 0, int3)


def _aarch64(index: int) -> bytes:
    movz_w16, movk_w16_lsl16, b = 0x52800010, 0x72A00010, 0x14000000
    return _AARCH64.pack(
        _BTI_C, movz_w16 | (index & 0xFFFF) << 5, movk_w16_lsl16 | index >> 16 << 5, b
    )


# How a stub is written, where its branch's field lies, and the relocation of that.
_OF_ARCH: Final = {
    Arch.X86_64: (_x86_64, 11, R_X86_64_PLT32),
    Arch.AARCH64: (_aarch64, 12, R_AARCH64_JUMP26),
}
# A landing pad, then the trap of kind 13, code was retired: ud1, brk.
_CLOSED: Final = {
    Arch.X86_64: _ENDBR64 + bytes.fromhex("670fb9400d"),
    Arch.AARCH64: _BTI_C + bytes.fromhex("a0a12ad4"),
}


def closed_code(target: Target) -> bytes:
    """Code that traps: what the functions of a closed instance become."""
    return _CLOSED[target.arch]


def stub_images(
    target: Target, imported: Sequence[int], defined: Sequence[int]
) -> Iterator[CodeImage]:
    """Images whose entries are `f<index>`, as many as the limit of entries asks for."""
    write, field, kind = _OF_ARCH[target.arch]
    stubs = [(index, "host_call") for index in imported] + [(index, "compile") for index in defined]
    step = limits.IMAGE_ENTRIES_MAX
    for first in range(0, len(stubs), step):
        part = stubs[first : first + step]
        entries = {f"f{index}": CodeOffset(_STUB_BYTES * at) for at, (index, _) in enumerate(part)}
        yield CodeImage(
            target=target,
            code=b"".join(write(index) for index, _ in part),
            entries=entries,
            relocations=tuple(
                Relocation(offset=CodeOffset(_STUB_BYTES * at + field), kind=kind, symbol=gate)
                for at, (_, gate) in enumerate(part)
            ),
        )
