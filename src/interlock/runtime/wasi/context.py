"""What one program's WASI calls share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.runtime.wasi.descriptors import DescriptorTable
    from interlock.runtime.wasi.guest_memory import GuestMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Arguments and environment as NUL-terminated bytes, memory, descriptors."""

    args: tuple[bytes, ...]
    env: tuple[bytes, ...]
    memory: GuestMemory
    table: DescriptorTable
    is_interrupted: Callable[[], bool]
