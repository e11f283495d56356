"""`interlock.jit`: Python functions that are compiled when they are first called.

A compiled function is called as a builtin: its class is its own, and the builtin is that class's `__call__`.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar, overload

from interlock import core, typed_python
from interlock.errors import InternalError
from interlock.runtime import inspection, pipeline
from interlock.runtime.externals import Global
from interlock.runtime.heap import heap
from interlock.runtime.program import default_engine
from interlock.typed_python.layout import ArrayType

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.runtime.engine import Imports
    from interlock.typed_python import Failure
    from interlock.typed_python.layout import Type

P = ParamSpec("P")
R = TypeVar("R")

_UNREACHABLE: Final = 1
_STACK_EXHAUSTED: Final = 10
# The binding's letters for Python objects that become arguments, and results that become objects.
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
    return "u" + "S" * kind.dimensions if isinstance(kind, ArrayType) else _LETTERS[kind.name]


class CompiledFunction(Generic[P, R]):
    """What `interlock.jit` makes of a function.  Arguments are passed by position.

    Compiled on the first call; raises `PythonSubsetError` then if the function is not typed Python.  An integer that its
    parameter's type does not hold is an `OverflowError`.
    """

    __wrapped__: Callable[P, R]

    def __new__(cls, function: Callable[P, R], *, is_inlined: bool) -> CompiledFunction[P, R]:
        """Make an object with a class of its own, whose `__call__` can become a builtin."""
        del is_inlined
        own = type(function.__name__, (cls,), {"__doc__": function.__doc__})
        return object.__new__(own)

    def __init__(self, function: Callable[P, R], *, is_inlined: bool) -> None:
        self.definition = typed_python.Definition(function=function, is_inlined=is_inlined)
        self.__wrapped__ = function
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__module__ = function.__module__
        self.__doc__ = function.__doc__
        self._compiled: _Compiled | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compile, and call."""
        self.compile()
        return self(*args, **kwargs)

    def compile(self) -> None:
        """Do now what the first call would do, except for machine code: that is made when it is first needed."""
        self._ready()

    @property
    def python(self) -> Callable[P, R]:
        """The same function, run by CPython with the numbers of compiled code: the same results, or the same exceptions."""
        return self._ready().python  # type: ignore[return-value]  # the checker has seen that it takes the same

    def inspect(self, stage: str) -> str:
        """A stage of the compilation as text: ``wat``, ``llvm``, ``llvm-opt`` or ``asm``, of the function and its callees."""
        return inspection.dump(self._ready().module, stage=stage)

    def _ready(self) -> _Compiled:
        if self._compiled is None:
            self._compiled = _Compiled(self.definition, self._set_callable)
        return self._compiled

    def _set_callable(self, function: Callable[..., object]) -> None:
        """A builtin is no method: as its class's `__call__` it gets the arguments alone."""
        type(self).__call__ = function  # type: ignore[method-assign,assignment]  # see above

    def __repr__(self) -> str:
        """`<compiled function f>`."""
        return f"<compiled function {self.__qualname__}>"


@overload
def jit(function: Callable[P, R], /) -> CompiledFunction[P, R]: ...
@overload
def jit(*, inline: bool = False) -> Callable[[Callable[P, R]], CompiledFunction[P, R]]: ...
def jit(function: Any = None, /, *, inline: bool = False) -> Any:
    """Compile a function of typed Python to machine code, when it is first called.

    `inline`: its body takes the place of each call from another compiled function.  What is supported:
    docs/reference/typed-python.md.
    """
    if function is None:
        return lambda function: CompiledFunction(function, is_inlined=inline)
    return CompiledFunction(function, is_inlined=inline)


class _Compiled:
    """A function's program in the default engine, and the instance that it runs in."""

    def __init__(
        self,
        definition: typed_python.Definition,
        set_callable: Callable[[Callable[..., object]], None],
    ) -> None:
        self._read = pipeline.read_python([(definition, ())])
        self._set_callable = set_callable
        self._engine = default_engine()
        self.module = self._engine.adopt(self._read.module, file=definition.file)
        (self._signature,) = self._read.checked.program.exported
        self.python = typed_python.reference(self._read.checked, self._signature)
        self._open()

    def _open(self) -> None:
        """Make an instance, and what its function's class calls."""
        has_memory = bool(self._read.module.module.imports)
        owner, memory = typed_python.MEMORY_IMPORT
        imports: Imports = {owner: {memory: heap().memory}} if has_memory else {}
        self._instance = self._engine.instantiate(self.module, imports)
        name = self._read.lowered.exports[self._signature]
        (index,) = (each.index for each in self._read.module.module.exports if each.name == name)
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
        self._set_callable(builtin if is_plain else self._passing_arrays(builtin))

    def _passing_arrays(self, builtin: Callable[..., object]) -> Callable[..., object]:
        """A method that passes arrays by address."""
        from interlock.runtime.arrays import Passing

        (function,) = (
            each
            for each in self._read.checked.program.functions
            if each.signature == self._signature
        )
        written = self._read.checked.program.written[self._signature]
        params = [(each.name, each.type, each.name in written) for each in function.params]

        def call(_self: object, *arguments: object) -> object:
            if len(arguments) != len(params):
                message = (
                    f"{self._signature.name} takes {len(params)} arguments, not {len(arguments)}"
                )
                raise TypeError(message)
            passing = Passing()
            words: list[object] = []
            for value, (name, kind, is_written) in zip(arguments, params, strict=True):
                if isinstance(kind, ArrayType):
                    words += passing.words(name, kind, value, is_written=is_written)
                else:
                    words.append(value)
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
                return _error_of(self._read.lowered.failures[number - 1])
        if kind == _STACK_EXHAUSTED:
            return RecursionError("the stack is exhausted in a compiled function")
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
