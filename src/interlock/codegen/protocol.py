"""What the host and the compiler process say to each other: a header and bytes, in both directions."""

from __future__ import annotations

import struct
from typing import Final

HEADER: Final = struct.Struct("<II")
"""What is asked (`COMPILE`, `OPTIMISE`) or whether it was `DONE`, and how many bytes follow."""

COMPILE: Final = 1
OPTIMISE: Final = 2
DONE: Final = 0

SYMBOL: Final = "f"
"""The function that each module of LLVM IR defines."""
