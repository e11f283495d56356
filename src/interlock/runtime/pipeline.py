"""The order of the stages, and the only file that knows it.

    bytes, text or typed Python → bytecode.Module → ValidatedModule → LLVM IR → [compiler process] ObjectFile → link → CodeImage → core

Stages do not import each other; each takes the value of the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock import bytecode, codegen, link

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from interlock.artifacts import CodeImage
    from interlock.bytecode import ValidatedModule
    from interlock.target import Target
    from interlock.typed_python import CheckedProgram, Definition, Lowered
    from interlock.typed_python.layout import Type


def read_wasm(data: bytes, *, file: str = "") -> ValidatedModule:
    """Decode and validate a binary module."""
    return bytecode.validate(bytecode.decode(data, file=file))


def read_wat(text: str, *, file: str = "") -> ValidatedModule:
    """Parse and validate a text module."""
    return bytecode.validate(bytecode.parse_wat(text, file=file))


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonProgram:
    """What the stages make of typed Python."""

    checked: CheckedProgram
    lowered: Lowered
    module: ValidatedModule


def read_python(
    roots: Sequence[tuple[Definition, Sequence[Type | None]]],
) -> PythonProgram:
    """Check, lower and validate Python functions and what they call."""
    from interlock import typed_python

    checked = typed_python.check(roots)
    lowered = typed_python.lower(checked.program)
    return PythonProgram(checked=checked, lowered=lowered, module=bytecode.validate(lowered.module))


def build_python(definitions: Sequence[Definition]) -> bytes:
    """Check and lower Python functions, with a memory of their own, to a binary module; its failures in a custom section."""
    from interlock import typed_python

    checked = typed_python.check([(each, ()) for each in definitions], takes_references=True)
    lowered = typed_python.lower(checked.program, typed_python.MemoryUse.EXPORTED)
    return bytecode.encode(bytecode.validate(lowered.module).module)


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
