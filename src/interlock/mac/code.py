"""Instructions that hosts put into guest memory: functions of 16 bytes, and what touches memory for a scenario."""

from __future__ import annotations

import struct

_MOVZ_W0, _MOVK_W0_HIGH, _RETURN, _NOP = 0x52800000, 0x72A00000, 0xD65F03C0, 0xD503201F
_IMMEDIATE = 0xFFFF << 5


def function_returning(value: int) -> bytes:
    """A function of one cell that returns a number of 32 bits; 0 stands for no function."""
    if value == 0:
        return bytes(16)
    low, high = value & 0xFFFF, value >> 16 & 0xFFFF
    return struct.pack("<4I", _MOVZ_W0 | low << 5, _MOVK_W0_HIGH | high << 5, _RETURN, _NOP)


def returned_by(cell: bytes) -> int:
    """What a function of one cell would return; 0 for no function."""
    low, high = struct.unpack_from("<2I", cell)
    if low & ~_IMMEDIATE != _MOVZ_W0 or high & ~_IMMEDIATE != _MOVK_W0_HIGH:
        return 0
    immediate: int = (low & _IMMEDIATE) >> 5 | (high & _IMMEDIATE) << 11
    return immediate


# x0 = address, x1 and x2 = the cell, x3 = how many.
STORE = struct.pack(
    "<4I",
    0xA8810801,  # stp x1, x2, [x0], #16
    0xF1000463,  # subs x3, x3, #1
    0x54FFFFC1,  # b.ne .-8
    _RETURN,
)
LOAD = struct.pack("<2I", 0xA9400400, _RETURN)  # ldp x0, x1, [x0]
# x0 = context: to, from, how many bytes.
COPY = struct.pack(
    "<8I",
    0xA9400801,  # ldp x1, x2, [x0]
    0xF9400803,  # ldr x3, [x0, #16]
    0x38401444,  # ldrb w4, [x2], #1
    0x38001424,  # strb w4, [x1], #1
    0xF1000463,  # subs x3, x3, #1
    0x54FFFFA1,  # b.ne .-12
    _MOVZ_W0,
    _RETURN,
)
READ_CACHE_TYPE = struct.pack("<2I", 0xD53B0020, _RETURN)  # mrs x0, ctr_el0
BARRIER = struct.pack("<I", 0xD5033FDF)  # isb
RUN_BARRIER = BARRIER + struct.pack("<I", _RETURN)
