"""Bounds-checked access to the calling program's memory: a bad pointer is EFAULT, never an exception of Python's."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol

from interlock import limits
from interlock.runtime.wasi.abi import CIOVEC, Errno, WasiError

if TYPE_CHECKING:
    from collections.abc import Callable

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class LinearMemory(Protocol):
    """What WASI needs of a memory."""

    def view(self) -> memoryview:
        """A writable view of all current bytes."""


class GuestMemory:
    """The memory of the program that calls, found anew at each access since it can grow."""

    def __init__(self, memory: Callable[[], LinearMemory]) -> None:
        self._memory = memory

    def span(self, address: int, length: int) -> memoryview:
        """A writable view of exactly these bytes."""
        view = self._memory().view()
        if address + length > view.nbytes:
            raise WasiError(Errno.EFAULT)
        return view[address : address + length]

    def read(self, address: int, length: int) -> bytes:
        """A copy of these bytes."""
        with self.span(address, length) as view:
            return bytes(view)

    def write(self, address: int, data: bytes) -> None:
        """Copy bytes in."""
        with self.span(address, len(data)) as view:
            view[:] = data

    def write_u32(self, address: int, value: int) -> None:
        """Store a little-endian u32."""
        self._pack(_U32, address, value)

    def write_u64(self, address: int, value: int) -> None:
        """Store a little-endian u64."""
        self._pack(_U64, address, value)

    def _pack(self, layout: struct.Struct, address: int, value: int) -> None:
        view = self._memory().view()
        if address + layout.size > view.nbytes:
            raise WasiError(Errno.EFAULT)
        layout.pack_into(view, address, value)

    def iovecs(self, address: int, count: int) -> list[memoryview]:
        """The buffers of an iovec array, cut where the total passes `WASI_TRANSFER_BYTES_MAX`.

        A shorter transfer than asked for is legal; too many iovecs are EINVAL, as on POSIX systems.
        """
        if count > limits.WASI_IOVECS_MAX:
            raise WasiError(Errno.EINVAL)
        view = self._memory().view()
        size, end = view.nbytes, address + CIOVEC.size * count
        if end > size:
            raise WasiError(Errno.EFAULT)
        left = limits.WASI_TRANSFER_BYTES_MAX
        buffers: list[memoryview] = []
        # A copy first: reading into a buffer may change the array.  Every pointer is checked before any is used.
        for start, length in CIOVEC.iter_unpack(bytes(view[address:end])):
            if start + length > size:
                raise WasiError(Errno.EFAULT)
            if left > 0 and length:
                buffers.append(view[start : start + min(length, left)])
            left -= length
        return buffers
