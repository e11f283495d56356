"""Wasmtime runs the same module: results, traps by kind, final memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import wasmtime

import interlock

# Wasmtime's trap codes in the standard's words; what is left out is told by the message.
_KINDS = {
    "STACK_OVERFLOW": "call stack exhausted",
    "MEMORY_OUT_OF_BOUNDS": "out of bounds memory access",
    "TABLE_OUT_OF_BOUNDS": "undefined element",
    "INDIRECT_CALL_TO_NULL": "uninitialized element",
    "BAD_SIGNATURE": "indirect call type mismatch",
    "INTEGER_OVERFLOW": "integer overflow",
    "INTEGER_DIVISION_BY_ZERO": "integer divide by zero",
    "BAD_CONVERSION_TO_INTEGER": "invalid conversion to integer",
    "UNREACHABLE": "unreachable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call came to: its result, or the kind of its trap."""

    value: object = None
    trap: str = ""


class Peer:
    """An instance in wasmtime."""

    def __init__(self, data: bytes) -> None:
        engine = wasmtime.Engine()
        self._store = wasmtime.Store(engine)
        instance = wasmtime.Instance(self._store, wasmtime.Module(engine, data), [])
        self._exports: Any = instance.exports(self._store)

    def call(self, name: str, *args: float) -> Outcome:
        """Call an export."""
        try:
            return Outcome(value=self._exports[name](self._store, *args))
        except wasmtime.Trap as trap:
            return Outcome(trap=_KINDS[trap.trap_code.name])

    def value(self, name: str) -> object:
        """The value of an exported global."""
        return self._exports[name].value(self._store)

    def memory(self) -> bytes:
        """The whole exported memory."""
        found = self._exports["memory"]
        return bytes(found.read(self._store, 0, found.data_len(self._store)))


def call(instance: interlock.Instance, name: str, *args: float) -> Outcome:
    """Call an export of ours."""
    function: Any = instance.exports[name]
    try:
        return Outcome(value=function(*args))
    except interlock.Trap as trap:
        return Outcome(trap=trap.kind)
