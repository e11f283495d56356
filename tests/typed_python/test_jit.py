"""`interlock.jit` itself: signatures, tracebacks, specialisation, inspection, interrupts."""

from __future__ import annotations

import inspect
import linecache
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import interlock
from interlock.types import f32, f64, i32, i64, u32
from tests.runtime.interrupting import output_under_interrupts

if TYPE_CHECKING:
    from pathlib import Path


@interlock.jit
def add(a: i32, b: i32) -> i32:
    """The sum."""
    return a + b


@interlock.jit
def outer(a: i32) -> i32:
    return add(a, 1) if a > 0 else 0


@interlock.jit
def generic(a, b):  # type: ignore[no-untyped-def]  # noqa: ANN001  (that is the test)
    return a * b


@interlock.jit
def largest(a):  # type: ignore[no-untyped-def]  # noqa: ANN001  (likewise)
    found = a[0]
    for i in range(len(a)):
        found = max(found, a[i])
    return found


@interlock.jit
def flags(a: bool, b: u32) -> f32:  # noqa: FBT001  (arguments are passed by position)
    return 0.1 if a else f32(b)


@interlock.jit
def half(a: f64) -> f64:
    return a / 2


def test_a_compiled_function_looks_like_the_function() -> None:
    assert add.__name__ == "add"
    assert add.__doc__ == "The sum."
    assert inspect.signature(add) == inspect.signature(add.__wrapped__)
    assert repr(add) == "<compiled function add>"


def test_a_builtin_is_called() -> None:
    assert add(1, 2) == 3

    assert "built-in" in repr(type(add).__call__)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((1,), TypeError),
        ((1, 2, 3), TypeError),
        ((1.0, 2), TypeError),
        (("1", 2), TypeError),
        ((1 << 31, 0), OverflowError),
        ((-(1 << 31) - 1, 0), OverflowError),
    ],
)
def test_wrong_arguments_are_python_s_exceptions(
    arguments: tuple[int, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        add(*arguments)
    with pytest.raises(error):
        add.python(*arguments)


@pytest.mark.parametrize("arguments", [(1, 0), (True, -1), (True, 1 << 32)])
def test_bools_and_unsigned_integers_are_not_taken_for_others(arguments: tuple[bool, int]) -> None:
    for function in (flags, flags.python):
        with pytest.raises((TypeError, OverflowError)):
            function(*arguments)


@pytest.mark.parametrize("argument", ["3", b"3", None, 3j])
def test_a_float_is_not_made_of_text(argument: Any) -> None:
    for function in (half, half.python):
        with pytest.raises(TypeError, match="must be real number"):
            function(argument)


@pytest.mark.parametrize("argument", [3, True, -0.0, float("inf"), np.float32(0.5)])
def test_a_float_is_made_of_any_real_number(argument: Any) -> None:
    assert str(half(argument)) == str(half.python(argument)) == str(float(argument) / 2)


def test_results_have_their_types() -> None:
    assert flags(True, 0) == 0.10000000149011612
    assert flags(False, 4294967295) == 4294967296.0


def test_the_traceback_shows_the_line_and_the_expression() -> None:
    with pytest.raises(OverflowError) as caught:
        outer(2147483647)

    text = "".join(traceback.format_exception(caught.value))
    line = add.__wrapped__.__code__.co_firstlineno + 3  # type: ignore[attr-defined]  # a function has it
    assert f'File "{__file__}", line {line}, in add\n    return a + b\n' in text
    assert caught.value.__traceback__ is not None
    innermost = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (innermost.name, innermost.colno, innermost.end_colno) == ("add", 11, 16)


def test_a_function_goes_on_after_an_exception() -> None:
    with pytest.raises(OverflowError):
        add(2147483647, 1)

    assert add(2, 2) == 4


def test_without_annotations_it_is_compiled_for_its_arguments() -> None:
    assert generic(3, 4) == 12
    assert generic(0.5, 4) == 2.0
    assert generic(np.float32(0.1), np.float32(3)) == 0.30000001192092896
    with pytest.raises(OverflowError):
        generic(1 << 32, 1 << 32)
    assert generic.python(3, 4) == 12


def test_arrays_without_annotations() -> None:
    assert largest(np.array([3, 9, 4], np.int16)) == 9
    assert largest(np.array([0.5, 0.25])) == 0.5
    assert largest(b"AZ") == 90
    with pytest.raises(TypeError, match="annotate it"):
        largest(np.array([1j]))
    with pytest.raises(interlock.PythonSubsetError):
        largest(1)


def test_stages_are_text() -> None:
    assert "i64.extend_i32_s" in add.inspect("wat")
    assert "define i32 @" in add.inspect("llvm")
    assert "ud1" in add.inspect("asm") or "brk" in add.inspect("asm")
    with pytest.raises(ValueError, match="stage"):
        add.inspect("other")


def test_only_functions_are_compiled() -> None:
    with pytest.raises(TypeError, match="int"):
        interlock.jit(3)  # type: ignore[call-overload]  # that is the test
    with pytest.raises(interlock.PythonSubsetError, match="source is not available"):
        interlock.jit(_of_text("def f(a: int) -> int:\n    return a\n")).compile()


@pytest.mark.parametrize(
    "other", ["import sys;exec(sys.stdin.read())\n", "def g(a: int) -> int:\n    return a + 1\n"]
)
def test_the_text_of_another_program_is_no_source(
    monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """As of `python -c` for what it executes, since Python 3.13."""
    lines = other.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, "<string>", (len(other), None, lines, "<string>"))

    with pytest.raises(interlock.PythonSubsetError, match="source is not available"):
        interlock.jit(_of_text("def f(a: int) -> int:\n    return a\n")).compile()


def _of_text(text: str) -> Any:
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102  (our own text)
    return names["f"]


def test_constants_of_enclosing_functions_are_those_of_the_first_call() -> None:
    scale = 3

    @interlock.jit
    def scaled(a: i64) -> i64:
        return a * scale

    assert scaled(5) == scaled.python(5) == 15


SCRIPT = """
import signal, sys
import interlock
from interlock.types import Array, i64

@interlock.jit
def spin(a: i64) -> i64:
    while a > 0:
        a = 5
    return a

@interlock.jit
def fill(a: Array[i64], n: i64) -> None:
    a[0] = 1
    while n > 0:
        n = 5

array = interlock.asarray([0, 7], i64)
call = {"spin": spin, "fill": lambda n: fill(array, n)}[sys.argv[1]]
call(0)
try:
    print("ready", flush=True)
    call(1)
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("interrupted")
print(call(0), array.tolist())
"""


@pytest.mark.parametrize(("name", "last"), [("spin", "0 [0, 7]"), ("fill", "None [1, 7]")])
def test_ctrl_c_leaves_the_function_usable(name: str, last: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, "script.py", name], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    out = output_under_interrupts(process)

    assert out.splitlines() == ["interrupted", last]


def test_arguments_are_passed_by_position() -> None:
    with pytest.raises(TypeError, match="by position"):
        generic(a=1, b=2)
