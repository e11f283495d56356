"""What an engine is made with, and how it reports its protection."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock import limits

if TYPE_CHECKING:
    from interlock.policy import Policy


class Protection(enum.Enum):
    """Who can write published code (design: two facts, never rounded up into one word).

    `SEALED`, on Linux: the writable view lives in a separate writer process and the application's views come from a
    sealed memfd.  Where that cannot be had, opening an engine raises `CodeMemoryError`; there is no weaker fallback.
    `APPLE`, on Apple silicon: a thread can write only inside the core's write callback, and then not run code.
    `UNPROTECTED`, on Intel Macs: code memory is writable and executable, as Apple has it there.
    Nothing of this has run on a Mac.
    """

    SEALED = "sealed"
    APPLE = "apple"
    UNPROTECTED = "unprotected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Limits of one engine.

    `code_bytes_max`: published code and constants of all its modules.
    `memory_bytes_max`: each linear memory; a module whose minimum is larger cannot be instantiated, and
    `memory.grow` past it returns -1.
    `table_elements_max`: each table.
    `stack_bytes_max`: guest stack below the outermost call; 0 means the thread's whole stack.
    `policy`: what its machine code may not do beyond our own rules; its imports are the core's gates.
    `release_gil`: guest code runs without Python's lock, so that threads run in parallel, in one instance too, and
    `Instance.interrupt` can end a loop from another thread; host functions and the compiler take the lock back.  A call
    costs some 50 ns more, and each guest function that calls others a few.  Data races between threads are the guest's
    own: values may be torn or lost, the host stays well.  What one thread closes is closed for later calls, and freed
    when the calls in progress have ended.
    `cache`: compiled functions are kept on disk in a folder of the user, for later processes (`interlock cache`).
    """

    code_bytes_max: int = 32 << 20
    memory_bytes_max: int = limits.WASM_MEMORY_PAGES_MAX * limits.WASM_PAGE_BYTES
    table_elements_max: int = limits.WASM_TABLE_ELEMENTS_MAX
    stack_bytes_max: int = 0
    policy: Policy | None = None
    release_gil: bool = False
    cache: bool = False

    def __post_init__(self) -> None:
        """Check every field against the limit that bounds it."""
        bounds = {
            "code_bytes_max": (1, limits.CODE_VIEW_BYTES),
            "memory_bytes_max": (0, limits.WASM_MEMORY_PAGES_MAX * limits.WASM_PAGE_BYTES),
            "table_elements_max": (0, limits.WASM_TABLE_ELEMENTS_MAX),
            "stack_bytes_max": (0, 1 << 40),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                message = f"Config.{name} is {value}; it must be between {low} and {high}"
                raise ValueError(message)
