"""A compiled Python function with all that it calls, in the default engine: its instance, its builtin, its exceptions."""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING, Final

from interlock import core, typed_python
from interlock.errors import InternalError
from interlock.runtime import pipeline
from interlock.runtime.externals import Global
from interlock.runtime.heap import heap
from interlock.runtime.program import default_engine
from interlock.typed_python import tree
from interlock.typed_python.layout import ArrayType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interlock.runtime.engine import Imports
    from interlock.typed_python import Failure
    from interlock.typed_python.layout import Type

_UNREACHABLE: Final = 1
# Traps (core/include/interlock/traps.def) of instructions that check for themselves.
_EXCEPTIONS: Final[dict[int, tuple[type[Exception], str]]] = {
    5: (IndexError, "an access outside the memory"),
    7: (TypeError, "this reference leads to no function"),
    8: (TypeError, "this reference leads to no function"),
    9: (TypeError, "this reference leads to a function of other types"),
    10: (RecursionError, "the stack is exhausted in a compiled function"),
}
# The binding's letters for Python objects that become arguments, and results that become objects.
# Pointers are unsigned.
_LETTERS: Final = {
    "i32": "s",
    "u32": "u",
    "i64": "S",
    "u64": "U",
    "f32": "f",
    "f64": "F",
    "bool": "b",
}


def _letters(kind: Type) -> str:
    """What a parameter or a result is to the binding: of an array, its address and its lengths."""
    return (
        "u" + "S" * kind.dimensions if isinstance(kind, ArrayType) else _LETTERS.get(kind.name, "u")
    )


class CompiledProgram:
    """A function for one choice of parameter types.

    `function` takes its arguments; it is another one after an interrupt, of which `on_change` hears.
    """

    function: Callable[..., object]

    def __init__(
        self,
        definition: typed_python.Definition,
        arguments: Sequence[Type],
        on_change: Callable[[Callable[..., object]], None],
        *,
        is_cached: bool,
    ) -> None:
        self.read = pipeline.read_python([(definition, arguments)])
        self._on_change = on_change
        self._engine = default_engine()
        self.module = self._engine.adopt(
            self.read.module, file=definition.file, is_cached=is_cached
        )
        (self._signature,) = self.read.checked.program.exported
        self.python = typed_python.reference(
            self.read.checked, self._signature, lambda: heap().memory
        )
        self._open()

    def _open(self) -> None:
        """Make an instance and what calls its function."""
        has_memory = bool(self.read.module.module.imports)
        owner, memory = typed_python.MEMORY_IMPORT
        imports: Imports = {owner: {memory: heap().memory}} if has_memory else {}
        self._instance = self._engine.instantiate(self.module, imports)
        name = self.read.lowered.exports[self._signature]
        (index,) = (each.index for each in self.read.module.module.exports if each.name == name)
        params, result = self._signature.params, self._signature.result
        letters = "".join(_letters(each) for each in params)
        builtin = core.make_function(
            name,
            f"{name}({', '.join(map(str, params))}) -> {result}",
            self._engine._exec.address,
            self._instance._funcref(index),
            f"{letters}:{'' if result is None else _letters(result)}",
            self,
        )
        is_plain = not any(isinstance(each, ArrayType) for each in params)
        self.function = builtin if is_plain else self._passing_arrays(builtin)
        self._on_change(self.function)

    def _passing_arrays(self, builtin: Callable[..., object]) -> Callable[..., object]:
        """A function that passes arrays by address."""
        from interlock.runtime.arrays import ArrayParameter, Passing, dtype_of

        (function,) = (
            each
            for each in self.read.checked.program.functions
            if each.signature == self._signature
        )
        written = self.read.checked.program.written[self._signature]
        params = [
            ArrayParameter(
                name=each.name,
                type=each.type,
                dtype=dtype_of(each.type.element),
                is_written=each.name in written,
            )
            if isinstance(each, tree.Array)
            else None
            for each in function.params
        ]

        def call(*arguments: object) -> object:
            if len(arguments) != len(params):
                message = (
                    f"{self._signature.name} takes {len(params)} arguments, not {len(arguments)}"
                )
                raise TypeError(message)
            passing = Passing()
            words: list[object] = []
            for value, to in zip(arguments, params, strict=True):
                if to is None:
                    words.append(value)
                else:
                    words += passing.words(to, value)
            try:
                return builtin(*words)
            finally:
                passing.copy_back()

        return call

    def make_trap(self, kind: int, pc: int) -> Exception:
        """The exception for a trap (the binding calls it)."""
        if kind == _UNREACHABLE:
            number = self._failure_number()
            if number:
                return _error_of(self.read.lowered.failures[number - 1])
        if kind in _EXCEPTIONS:
            exception, message = _EXCEPTIONS[kind]
            return exception(message)
        error = self._instance.make_trap(kind, pc)
        if self._instance.is_closed:  # interrupted at an arbitrary instruction
            self._open()
        return error

    def _failure_number(self) -> int:
        """What code stored before it trapped."""
        cell = self._instance.exports[typed_python.FAILURE_EXPORT]
        if not isinstance(cell, Global):
            raise InternalError(stage="jit", detail="the failure is no global")
        number, cell.value = int(cell.value), 0
        return number


def _error_of(failure: Failure) -> Exception:
    """The exception, with the line of the source in its traceback."""
    module = ast.parse("raise error")
    for node in ast.walk(module):
        if isinstance(node, ast.stmt | ast.expr):
            node.lineno, node.col_offset, node.end_lineno, node.end_col_offset = failure.place
    code = compile(module, failure.file, "exec")
    kind: type[Exception] = getattr(builtins, failure.exception)
    error = kind(failure.message) if failure.message else kind()
    try:
        exec(code.replace(co_name=failure.function), {"error": error})  # noqa: S102  (one raise)
    except kind as raised:
        # Without this function's own frame.
        return raised.with_traceback(raised.__traceback__.tb_next if raised.__traceback__ else None)
    raise InternalError(stage="jit", detail="raise has not raised")
