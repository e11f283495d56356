"""`interlock.jit`: Python functions that are compiled when they are first called.

A compiled function with scalar parameters is called as a builtin: its class is its own, and the builtin is that class's
`__call__`.
"""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from interlock import typed_python
from interlock.runtime import inspection, pipeline
from interlock.runtime.arrays import type_of_argument
from interlock.runtime.compiled_program import CompiledProgram

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.typed_python.layout import Type

P = ParamSpec("P")
R = TypeVar("R")


class CompiledFunction(Generic[P, R]):
    """What `interlock.jit` makes of a function.  Arguments are passed by position.

    Compiled on the first call; raises `PythonSubsetError` then if the function is not typed Python.  An integer that its
    parameter's type does not hold is an `OverflowError`.
    """

    __wrapped__: Callable[P, R]

    def __new__(
        cls, function: Callable[P, R], *, is_inlined: bool, is_cached: bool
    ) -> CompiledFunction[P, R]:
        """Make an object with a class of its own, whose `__call__` can become a builtin."""
        del is_inlined, is_cached
        own = type(function.__name__, (cls,), {"__doc__": function.__doc__})
        return object.__new__(own)

    def __init__(self, function: Callable[P, R], *, is_inlined: bool, is_cached: bool) -> None:
        self.definition = typed_python.Definition(function=function, is_inlined=is_inlined)
        self._is_cached = is_cached
        self.__wrapped__ = function
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__module__ = function.__module__
        self.__doc__ = function.__doc__
        code = function.__code__
        params = code.co_varnames[: code.co_argcount]
        self._is_annotated = all(name in function.__annotations__ for name in params)
        self._programs: dict[tuple[Type, ...], CompiledProgram] = {}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compile, if that is not done for arguments of these types, and call."""
        if kwargs:
            raise TypeError(f"{self.__name__} takes its arguments by position")
        return self.program(*args).function(*args)  # type: ignore[return-value]  # the checker has seen that it gives the same

    def compile(self) -> None:
        """Do now what the first call would do, except for machine code: that is made when it is first needed.

        A function without annotations is compiled for the types of its arguments, and not before.
        """
        if self._is_annotated:
            self.program()

    def program(self, *arguments: object) -> CompiledProgram:
        """What was compiled for arguments of these types; without annotations an int is an i64 and a float an f64."""
        types = () if self._is_annotated else tuple(map(type_of_argument, arguments))
        if types not in self._programs:
            on_change = self._set_call if self._is_annotated else _ignore
            self._programs[types] = CompiledProgram(
                self.definition, types, on_change, is_cached=self._is_cached
            )
        return self._programs[types]

    @property
    def python(self) -> Callable[P, R]:
        """The same function, run by CPython with the numbers of compiled code: the same results, or the same exceptions."""

        def call(*args: P.args, **_kwargs: P.kwargs) -> R:
            return self.program(*args).python(*args)  # type: ignore[return-value]  # as in __call__

        return call

    def inspect(self, stage: str) -> str:
        """A stage of the compilation as text: ``wat``, ``llvm``, ``llvm-opt`` or ``asm``, of the function and its callees.

        Without annotations: of all that has been compiled.
        """
        self.compile()
        return "\n".join(
            inspection.dump(each.module, stage=stage) for each in self._programs.values()
        )

    def _set_call(self, function: Callable[..., object]) -> None:
        """Let the class call this directly: a builtin is no method, and gets the arguments alone."""
        is_builtin = isinstance(function, BuiltinFunctionType)
        type(self).__call__ = function if is_builtin else staticmethod(function)  # type: ignore[method-assign,assignment]  # see above

    def __repr__(self) -> str:
        """`<compiled function f>`."""
        return f"<compiled function {self.__qualname__}>"


def _ignore(_function: Callable[..., object]) -> None:
    """A call looks for the program each time."""


@overload
def jit(function: Callable[P, R], /) -> CompiledFunction[P, R]: ...
@overload
def jit(
    *, inline: bool = False, cache: bool = False
) -> Callable[[Callable[P, R]], CompiledFunction[P, R]]: ...
def jit(function: Any = None, /, *, inline: bool = False, cache: bool = False) -> Any:
    """Compile a function of typed Python to machine code, when it is first called.

    `inline`: its body takes the place of each call from another compiled function.  `cache`: its machine code, and
    that of what it calls, is kept on disk for later processes.  What is supported: docs/reference/typed-python.md.
    """

    def compiled(function: Any) -> CompiledFunction[Any, Any]:
        if not isinstance(function, FunctionType):
            raise TypeError(f"interlock.jit compiles functions, not {type(function).__name__}")
        return CompiledFunction(function, is_inlined=inline, is_cached=cache)

    return compiled if function is None else compiled(function)


def build_wasm(*functions: CompiledFunction[..., Any]) -> bytes:
    """A WebAssembly module that exports these functions under their names, with all that they call.

    An array is an address and an i64 for each dimension; the module's memory is exported as ``memory``.  A function that
    raises stores a number in the exported global ``interlock.failure`` and traps; the custom section of that name says
    what each number means, in JSON.  Raises `PythonSubsetError`.
    """
    return pipeline.build_python([each.definition for each in functions])
