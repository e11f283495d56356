"""Compiled functions run in three ways: by Interlock, by CPython, and as a .wasm file under wasmtime."""

from __future__ import annotations

import builtins
import contextlib
import importlib.util
import linecache
import struct
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

import interlock
from interlock import bytecode, typed_python
from interlock.typed_python.layout import ArrayType, PointerType
from interlock.typed_python.reference import argument
from tests.typed_python import generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

_EXPECTED = (ArithmeticError, AssertionError, RuntimeError, ValueError, LookupError, TypeError)
Outcome = tuple[str, object]
"""`("gives", value)`, or `("raises", the exception's name)`."""


def load(path: Path) -> ModuleType:
    """Import a file under a name of its own."""
    name = f"typed_python_case_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def outcome(function: Callable[..., object], arguments: tuple[object, ...]) -> Outcome:
    """What a call comes to; NaN equals itself, and the sign of zero counts."""
    try:
        value = function(*arguments)
    except _EXPECTED as error:
        return "raises", type(error).__name__
    return "gives", comparable(value)


def outcome_and_arrays(
    function: Callable[..., object], arguments: tuple[object, ...]
) -> tuple[Outcome, list[str]]:
    """What a call comes to, and what is then in the arrays that were passed."""
    found = outcome(function, arguments)
    return found, [repr(each.tolist()) for each in arguments if isinstance(each, np.ndarray)]


def outcome_and_memory(
    run: Callable[..., object], function: Any, arguments: tuple[object, ...]
) -> tuple[Outcome, list[object]]:
    """What a call of a generated function comes to, in memory that is new for it, and what is then in that."""
    if len(arguments) == len(function.program().read.checked.program.exported[0].params):
        return outcome(run, arguments), []
    structs = interlock.empty(generator.STRUCTS, function.__wrapped__.__globals__["Outer"])
    numbers = interlock.asarray(np.arange(-3, generator.STRUCTS - 3, dtype=np.int32))
    structs.view(np.uint8)[:] = 0
    structs["a"], structs["c"] = numbers * 1000, numbers / 3
    place = structs if isinstance(run, Wasm) else interlock.array_address(structs)
    found = outcome(run, (place, numbers, *arguments))
    structs["next"] = 0  # which has an address of its own in each memory
    return found, [comparable_bytes(structs), numbers.tolist()]


def comparable_bytes(structs: Any) -> object:
    """What is in structs; NaNs are one, as in `comparable`."""
    inner = structs["inner"]
    for floats in (structs["c"], inner["v"]):
        floats[np.isnan(floats)] = np.nan
    return structs.tobytes()


def comparable(value: object) -> object:
    """A float by its bits, so that 0.0 and -0.0 differ, and all NaNs are one."""
    if isinstance(value, float):
        return "nan" if value != value else struct.pack("<d", value).hex()  # noqa: PLR0124
    return type(value), value


_EXCEPTIONS: dict[str, type[Exception]] = {
    "MEMORY_OUT_OF_BOUNDS": IndexError,
    "TABLE_OUT_OF_BOUNDS": TypeError,
    "INDIRECT_CALL_TO_NULL": TypeError,
    "BAD_SIGNATURE": TypeError,
    "STACK_OVERFLOW": RecursionError,
}


class Wasm:
    """A compiled function's module under wasmtime, with a memory of its own."""

    def __init__(self, function: Any) -> None:
        import wasmtime

        program = function.program().read.checked.program
        (self._signature,) = program.exported
        lowered = typed_python.lower(program, typed_python.MemoryUse.EXPORTED)
        bytecode.validate(lowered.module)
        self._failures = lowered.failures
        self._store = wasmtime.Store()
        module = wasmtime.Module(self._store.engine, bytecode.encode(lowered.module))
        exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        self._function: Any = exports[lowered.exports[self._signature]]
        self._failure: Any = exports[typed_python.FAILURE_EXPORT]
        self._memory: Any = exports.get("memory")
        self._trap = wasmtime.Trap

    def __call__(self, *arguments: Any) -> object:
        """Call it, with Python's numbers and numpy's arrays, which are copied in and out."""
        words: list[Any] = []
        placed: list[tuple[Any, int]] = []
        end = 64
        for kind, value in zip(self._signature.params, arguments, strict=True):
            if isinstance(kind, PointerType) and isinstance(value, np.ndarray):
                end = self._write(end, value.tobytes())
                placed.append((value, end - value.nbytes))
                words.append(end - value.nbytes)
                continue
            if not isinstance(kind, ArrayType):
                words.append(signed(kind, value))
                continue
            array = np.asarray(memoryview(value))
            end = self._write(end, array.tobytes())
            placed.append((array, end - array.nbytes))
            words += [end - array.nbytes, *array.shape]
        self._failure.set_value(self._store, 0)
        try:
            return self._result(self._function(self._store, *words))
        except self._trap as trap:
            raise self._error(trap) from None
        finally:
            for array, start in placed:
                if array.flags.writeable:
                    data = bytes(self._memory.read(self._store, start, start + array.nbytes))
                    array[...] = np.frombuffer(data, array.dtype).reshape(array.shape)

    def _write(self, end: int, data: bytes) -> int:
        start = -(-end // 8) * 8
        missing = start + len(data) - self._memory.data_len(self._store)
        if missing > 0:
            self._memory.grow(self._store, -(-missing // 65536))
        self._memory.write(self._store, data, start)
        return start + len(data)

    def _result(self, result: Any) -> object:
        kind = self._signature.result
        if kind is None or kind.is_float:
            return result
        return bool(result) if kind.bits == 1 else kind.wrap(result)

    def _error(self, trap: Any) -> Exception:
        number = self._failure.value(self._store)
        if number == 0:
            return _EXCEPTIONS[trap.trap_code.name](str(trap))
        failure = self._failures[number - 1]
        error: Exception = getattr(builtins, failure.exception)(failure.message)
        return error


def signed(kind: Any, value: Any) -> Any:
    """A parameter as wasmtime takes it: integers with a sign."""
    checked = argument(kind, value)
    if kind.is_float:
        return checked
    bits = max(kind.bits, 32)
    return int(checked) - (1 << bits) if int(checked) >> (bits - 1) > 0 else int(checked)


@contextlib.contextmanager
def compiled(source: str) -> Iterator[Any]:
    """The function `f` of a source, until the end of the block."""
    file = "<generated>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names: dict[str, Any] = {}
    exec(compile(source, file, "exec", dont_inherit=True), names)  # noqa: S102  (our own source)
    function = names["f"]
    try:
        yield function
    finally:
        function.program().module.close()
