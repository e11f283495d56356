"""Typed Python: functions with annotations → bytecode.Module.

    Definition → parse → syntax tree → check → typed program → lower → bytecode.Module and what its failures mean

`reference.py` runs the same sources under CPython, with the operations of compiled code.
"""

from __future__ import annotations

from interlock.typed_python.check import CheckedProgram, check
from interlock.typed_python.diagnostics import Diagnostic
from interlock.typed_python.lower import (
    FAILURE_EXPORT,
    MEMORY_IMPORT,
    Failure,
    Lowered,
    MemoryUse,
    lower,
)
from interlock.typed_python.records import struct
from interlock.typed_python.reference import reference
from interlock.typed_python.source import Definition, parse

__all__ = [
    "FAILURE_EXPORT",
    "MEMORY_IMPORT",
    "CheckedProgram",
    "Definition",
    "Diagnostic",
    "Failure",
    "Lowered",
    "MemoryUse",
    "check",
    "lower",
    "parse",
    "reference",
    "struct",
]
