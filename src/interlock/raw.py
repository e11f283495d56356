"""Raw memory for typed Python: pointers, and operations on the memory as a whole.

Importing this is saying that the functions below allocate and look after memory themselves: the sandbox ends at the memory's
end, and inside it nothing is checked.
"""

from __future__ import annotations

from interlock.typed_python.pointers import (
    Pointer,
    address_of,
    memory_copy,
    memory_fill,
    memory_grow,
    memory_size,
    size_of,
)

__all__ = [
    "Pointer",
    "address_of",
    "memory_copy",
    "memory_fill",
    "memory_grow",
    "memory_size",
    "size_of",
]
