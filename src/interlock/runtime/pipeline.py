"""The order of the stages, and the only file that knows it.

    bytes or text → bytecode.Module → ValidatedModule → LLVM IR → [compiler process] ObjectFile → link → CodeImage → core

Stages do not import each other; each takes the value of the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock import bytecode, codegen, link

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from interlock.artifacts import CodeImage
    from interlock.bytecode import ValidatedModule
    from interlock.target import Target


def read_wasm(data: bytes, *, file: str = "") -> ValidatedModule:
    """Decode and validate a binary module."""
    return bytecode.validate(bytecode.decode(data, file=file))


def read_wat(text: str, *, file: str = "") -> ValidatedModule:
    """Parse and validate a text module."""
    return bytecode.validate(bytecode.parse_wat(text, file=file))


def lower_function(
    module: ValidatedModule, layout: codegen.InstanceLayout, func_index: int, target: Target
) -> str:
    """LLVM IR of one defined function."""
    return codegen.lower(module, layout, func_index, target)


def build_function(
    compiler: codegen.Compiler,
    ir: str,
    imports: Collection[str],
    is_interrupted: Callable[[], bool],
) -> CodeImage:
    """Compile LLVM IR in the compiler process and link the object here."""
    return link.link(compiler.compile(ir, is_interrupted=is_interrupted), imports)
