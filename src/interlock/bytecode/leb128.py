"""Writing LEB128 integers and names, as the binary format has them."""

from __future__ import annotations


def unsigned(value: int) -> bytes:
    """The shortest unsigned LEB128 form."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int) -> bytes:
    """The shortest signed LEB128 form."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def name_bytes(name: str) -> bytes:
    """A name: length and UTF-8."""
    data = name.encode()
    return unsigned(len(data)) + data
