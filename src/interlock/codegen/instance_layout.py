"""Where everything of an instance lies in its vmctx block (docs/internals/abi.md, section vmctx)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from interlock.bytecode import ValidatedModule

POINTER_BYTES: Final = 8
MEMORY_BYTES: Final = 32  # il_memory
TABLE_BYTES: Final = 32  # il_table
GLOBAL_BYTES: Final = 8
FUNCREF_BYTES: Final = 24  # il_funcref
SEGMENT_BYTES: Final = 16  # il_segment
_HEADER_BYTES: Final = 24  # il_exec *, instance, interrupt word


class InstanceLayout:
    """Offsets in bytes from the start of vmctx.  An imported item is a pointer slot, a defined one lies inline.

    `size` is that of the whole block.
    """

    def __init__(self, module: ValidatedModule) -> None:
        m = module.module
        at = _HEADER_BYTES
        self._memories, at = _area(
            at, module.imported_memory_count, len(module.memory_types), MEMORY_BYTES
        )
        self._tables, at = _area(
            at, module.imported_table_count, len(module.table_types), TABLE_BYTES
        )
        self._globals, at = _area(
            at, module.imported_global_count, len(module.global_types), GLOBAL_BYTES
        )
        self._functions, at = _area(
            at, module.imported_function_count, len(module.function_type_indices), FUNCREF_BYTES
        )
        self._type_ids = at
        at += 8 * len(m.types)
        self._data_segments = at
        at += SEGMENT_BYTES * len(m.datas)
        self._elem_segments = at
        self.size = at + SEGMENT_BYTES * len(m.elems)

    def memory(self, index: int) -> int:
        """A memory of the index space: its `il_memory`, or the pointer to it."""
        return self._memories.offset(index)

    def table(self, index: int) -> int:
        """A table of the index space: its `il_table`, or the pointer to it."""
        return self._tables.offset(index)

    def global_(self, index: int) -> int:
        """A global of the index space: its cell, or the pointer to it."""
        return self._globals.offset(index)

    def function(self, index: int) -> int:
        """A function of the index space: its `il_funcref`, or the pointer to it."""
        return self._functions.offset(index)

    def type_id(self, index: int) -> int:
        """The process-wide number of a type of the module."""
        return self._type_ids + 8 * index

    def data_segment(self, index: int) -> int:
        """The `il_segment` of a data segment."""
        return self._data_segments + SEGMENT_BYTES * index

    def elem_segment(self, index: int) -> int:
        """The `il_segment` of an element segment."""
        return self._elem_segments + SEGMENT_BYTES * index


class _Area:
    """One index space: pointer slots of imports, then inline items."""

    def __init__(self, start: int, imported: int, item_bytes: int) -> None:
        self._start = start
        self._imported = imported
        self._item_bytes = item_bytes

    def offset(self, index: int) -> int:
        if index < self._imported:
            return self._start + POINTER_BYTES * index
        defined = self._start + POINTER_BYTES * self._imported
        return defined + self._item_bytes * (index - self._imported)


def _area(start: int, imported: int, total: int, item_bytes: int) -> tuple[_Area, int]:
    area = _Area(start, imported, item_bytes)
    return area, area.offset(total) if total > imported else start + POINTER_BYTES * imported
