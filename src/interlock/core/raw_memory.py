"""Structs that lowered code reads: blocks at fixed addresses, and words by address."""

from __future__ import annotations

import ctypes


class Block:
    """Zeroed memory at an address that never changes, aligned to 16 bytes; freed with the object.

    A word is stored at once: guest code of another thread sees the old one or the new one.  (`struct.pack_into` stores
    zeros first.)
    """

    __slots__ = ("_bytes", "_words", "address", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._bytes = ctypes.create_string_buffer(size + 16)
        start = ctypes.addressof(self._bytes)
        self.address = start + -start % 16
        self._words = (ctypes.c_uint64 * (size // 8)).from_address(self.address)

    def read_u64(self, offset: int) -> int:
        """The word at an offset."""
        self._check(offset)
        return self._words[offset >> 3]

    def write_u64(self, offset: int, value: int) -> None:
        """Store a word at an offset."""
        self._check(offset)
        self._words[offset >> 3] = value

    def _check(self, offset: int) -> None:
        if not 0 <= offset <= self.size - 8 or offset % 8:
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
