"""The order of the stages, and the only file that knows it.

    bytes or text → bytecode.Module → ValidatedModule → [compiler process: LLVM] ObjectFile → link → CodeImage → core

Stages do not import each other; each takes the value of the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock import bytecode, link

if TYPE_CHECKING:
    from collections.abc import Collection

    from interlock.artifacts import CodeImage
    from interlock.bytecode import ValidatedModule
    from interlock.codegen import Compiler


def read_wasm(data: bytes, *, file: str = "") -> ValidatedModule:
    """Decode and validate a binary module."""
    return bytecode.validate(bytecode.decode(data, file=file))


def read_wat(text: str, *, file: str = "") -> ValidatedModule:
    """Parse and validate a text module."""
    return bytecode.validate(bytecode.parse_wat(text, file=file))


def build_function(
    compiler: Compiler, module_id: int, func_index: int, imports: Collection[str]
) -> CodeImage:
    """Compile one function in the compiler process and link it here."""
    return link.link(compiler.compile_function(module_id, func_index), imports)
