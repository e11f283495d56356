"""The level of protection that a region has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock import core
from interlock.runtime.config import Protection

if TYPE_CHECKING:
    from interlock.core.library import RegionInfo


def protection_of(info: RegionInfo) -> Protection:
    """What was verified, and no more: seals, or else a writer that is a callback."""
    if info.has_seals:
        return Protection.SEALED
    return Protection.APPLE if info.writer == core.WRITER_CALLBACK else Protection.UNPROTECTED
