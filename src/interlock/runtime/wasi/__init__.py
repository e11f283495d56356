"""WASI preview 1 for programs that come as WebAssembly.

A program sees nothing of the host but what its `Wasi` gives it.
"""

from __future__ import annotations

from interlock.runtime.wasi.abi import WASI_FUNCTIONS
from interlock.runtime.wasi.system import INHERIT, Inherit, Wasi

__all__ = ["INHERIT", "WASI_FUNCTIONS", "Inherit", "Wasi"]
