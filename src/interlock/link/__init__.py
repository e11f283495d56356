"""Linking: an ELF object of LLVM's → a position-independent `CodeImage`; and the stubs that publish functions lazily.

Names resolve on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.link.linker import link
    from interlock.link.stubs import closed_code, stub_images

_HOME_OF = {
    "link": "linker",
    "closed_code": "stubs",
    "stub_images": "stubs",
}

__all__ = ["closed_code", "link", "stub_images"]


def __getattr__(name: str) -> object:
    """Import the public name's home on first use."""
    home = _HOME_OF.get(name)
    if home is None:
        message = f"module 'interlock.link' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(f"interlock.link.{home}"), name)
    globals()[name] = value
    return value
