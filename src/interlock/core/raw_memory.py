"""Structs that lowered code reads: blocks at fixed addresses, and words by address."""

from __future__ import annotations

import ctypes
import struct

_U64 = struct.Struct("<Q")


class Block:
    """Zeroed memory at an address that never changes, aligned to 16 bytes; freed with the object."""

    __slots__ = ("_bytes", "_start", "address", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._bytes = ctypes.create_string_buffer(size + 16)
        start = ctypes.addressof(self._bytes)
        self._start = -start % 16
        self.address = start + self._start

    def read_u64(self, offset: int) -> int:
        """The word at an offset."""
        self._check(offset)
        value: int = _U64.unpack_from(self._bytes, self._start + offset)[0]
        return value

    def write_u64(self, offset: int, value: int) -> None:
        """Store a word at an offset."""
        self._check(offset)
        _U64.pack_into(self._bytes, self._start + offset, value)

    def _check(self, offset: int) -> None:
        if not 0 <= offset <= self.size - 8:
            message = f"offset {offset} of a block of {self.size} bytes"
            raise IndexError(message)


def read_u64(address: int) -> int:
    """The word at an address, which the caller knows to be alive."""
    return ctypes.c_uint64.from_address(address).value


def write_u64(address: int, value: int) -> None:
    """Store a word at an address, which the caller knows to be alive."""
    ctypes.c_uint64.from_address(address).value = value


def read_bytes(address: int, length: int) -> bytes:
    """A copy of memory which the caller knows to be alive."""
    return ctypes.string_at(address, length)


def write_bytes(address: int, data: bytes) -> None:
    """Store bytes at an address, which the caller knows to be alive."""
    ctypes.memmove(address, data, len(data))
