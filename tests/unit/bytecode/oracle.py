"""Wasmtime as the second opinion, with the features of WebAssembly 3.0 switched on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import wasmtime

from interlock import bytecode
from interlock.errors import (
    LimitExceededError,
    UnsupportedError,
    WasmInvalidError,
    WasmMalformedError,
)

FEATURES = (
    *("bulk_memory", "reference_types", "multi_value", "multi_memory", "memory64", "tail_call"),
    *("function_references", "gc", "exceptions", "simd", "relaxed_simd", "threads"),
)
SEED_NAMES = ("arithmetic", "control", "memory", "tables")
_FILETESTS = Path(__file__).parents[2] / "filetests/bytecode"


def seed(name: str) -> str:
    """One of the file tests which between them use every section and most instructions."""
    return (_FILETESTS / f"{name}.wat").read_text(encoding="utf-8")


@cache
def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    for feature in FEATURES:
        setattr(config, f"wasm_{feature}", True)
    return wasmtime.Engine(config)


def wat2wasm(text: str) -> bytes:
    """Wasmtime's translation of a text module."""
    return bytes(wasmtime.wat2wasm(text))


def is_valid(data: bytes) -> bool:
    """Wasmtime's verdict."""
    try:
        wasmtime.Module.validate(_engine(), data)
    except wasmtime.WasmtimeError:
        return False
    return True


def accepts_text(text: str) -> bool:
    """Whether wasmtime translates the text to a valid module (what is not nested right is invalid for it)."""
    try:
        return is_valid(wat2wasm(text))
    except wasmtime.WasmtimeError:
        return False


def verdict(data: bytes) -> bool | None:
    """Ours; None when the module uses what this version does not have or passes a limit.

    Whatever is refused must be refused with a place.
    """
    try:
        bytecode.validate(bytecode.decode(data))
    except (WasmMalformedError, WasmInvalidError) as error:
        assert error.span is not None  # noqa: PT017  (one of three outcomes)
        return False
    except (UnsupportedError, LimitExceededError) as error:
        assert error.span is not None  # noqa: PT017
        return None
    return True


def without_customs(module: bytecode.Module) -> bytecode.Module:
    """The module without what the text format cannot say: custom sections, a data count that nothing needs."""
    return replace(module, customs=(), data_count=None)
