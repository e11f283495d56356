"""The binary format: `decode` and `encode`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.bytecode.binary_decoder import Decoder
from interlock.bytecode.binary_encoder import encode_module

if TYPE_CHECKING:
    from interlock.bytecode.module import Module


def decode(data: bytes, *, file: str = "") -> Module:
    """Decode a binary module.

    Raises `WasmMalformedError`, `LimitExceededError` or `UnsupportedError`, each with its place.
    """
    return Decoder(bytes(data), file).decode()


def encode(module: Module) -> bytes:
    """Encode a module; the inverse of `decode` up to redundant forms of integers and segments."""
    return encode_module(module)
