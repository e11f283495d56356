"""The memory that arrays of compiled Python functions lie in: one for the default engine, shared by all of them.

It is the memory of an instance of its own, so that arrays outlive a function's instance, which Ctrl-C closes.
"""

from __future__ import annotations

import weakref
from typing import Final

from interlock import core, limits
from interlock.errors import InternalError
from interlock.runtime.externals import Memory
from interlock.runtime.program import default_engine

_MODULE: Final = '(module (memory (export "memory") 1))'
_GRAIN_BYTES: Final = 64  # a cache line; and an address is never 0


class Heap:
    """Blocks of one linear memory: a free block is used again for the same number of grains."""

    def __init__(self) -> None:
        engine = default_engine()
        self._instance = engine.instantiate(engine.compile_wat(_MODULE))
        memory = self._instance.exports["memory"]
        if not isinstance(memory, Memory):
            raise InternalError(stage="heap", detail="the memory is none")
        self.memory = memory
        self.base_addr = core.read_u64(memory.address)
        self._end = _GRAIN_BYTES
        # Of what is ours: compiled functions grow the memory too.
        self._limit = memory.size_bytes
        self._free: dict[int, list[int]] = {}

    def reserve(self, size_bytes: int) -> int:
        """The offset of a block; raises `MemoryError` when there is no room."""
        grains = max(1, -(-size_bytes // _GRAIN_BYTES))
        free = self._free.get(grains)
        if free:
            return free.pop()
        room_bytes = grains * _GRAIN_BYTES
        if self._end + room_bytes > self._limit:
            self._grow(room_bytes)
        offset = self._end
        self._end += room_bytes
        return offset

    def _grow(self, room_bytes: int) -> None:
        """Make room behind the end, or behind what others have grown since."""
        if self.memory.size_bytes > self._limit:
            self._end = self._limit = self.memory.size_bytes
        pages = -(-(self._end + room_bytes - self._limit) // limits.WASM_PAGE_BYTES)
        old_pages = self.memory.grow(pages)
        if old_pages < 0:
            message = f"the memory of compiled functions has no room for {room_bytes} bytes"
            raise MemoryError(message)
        self._limit = (old_pages + pages) * limits.WASM_PAGE_BYTES

    def release(self, offset: int, size_bytes: int) -> None:
        """Give a block back."""
        grains = max(1, -(-size_bytes // _GRAIN_BYTES))
        self._free.setdefault(grains, []).append(offset)

    def allocate(self, size_bytes: int) -> Block:
        """A block that is given back when the object is gone, and with it all numpy arrays that are based on it."""
        offset = self.reserve(size_bytes)
        block = Block(self.memory.view(), self.base_addr + offset, size_bytes)
        weakref.finalize(block, self.release, offset, size_bytes).atexit = False
        return block


class Block:
    """Bytes of the memory, for `numpy.asarray`: the base of what that makes, and of all its views."""

    __slots__ = ("__array_interface__", "__weakref__", "_view")

    def __init__(self, view: memoryview, address: int, size_bytes: int) -> None:
        self._view = view  # keeps the memory
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (size_bytes,),
            "data": (address, False),
        }


_heaps: list[Heap] = []


def heap() -> Heap:
    """The heap of the default engine, made when it is first needed."""
    if not _heaps:
        _heaps.append(Heap())
    return _heaps[0]
