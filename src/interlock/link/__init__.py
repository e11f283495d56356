"""Linking: an ELF object of LLVM's → a position-independent `CodeImage`; and the stubs that publish functions lazily."""

from __future__ import annotations

from interlock.link.linker import link
from interlock.link.stubs import CLOSED, stub_images

__all__ = ["CLOSED", "link", "stub_images"]
