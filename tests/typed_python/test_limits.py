"""Each limit of typed Python: at it, and one past it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from interlock import limits
from interlock.errors import LimitExceededError, PythonSubsetError
from tests.typed_python import programs

HEAD = "import interlock\n"


def _chain(functions: int) -> str:
    """A function `f` that calls another, and so on."""
    names = [f"g{number}" for number in range(functions - 1)] + ["f"]
    texts = ["@interlock.jit\ndef g0(a: int) -> int:\n    return a\n"]
    texts += [
        f"@interlock.jit\ndef {name}(a: int) -> int:\n    return {called}(a) + 1\n"
        for called, name in pairwise(names)
    ]
    return HEAD + "".join(texts)


def _exponent(number: int) -> str:
    return f"{HEAD}@interlock.jit\ndef f(a: int) -> int:\n    return a ** {number}\n"


def _backwards(passes: int) -> str:
    """A function whose variables learn their types from one another: each pass finds one, and the last that of `i`."""
    names = [f"v{number}" for number in range(passes - 1)]
    begin = "".join(f"    {name} = 0\n" for name in names)
    turns = "".join(
        f"        {name} = {source}\n"
        for source, name in reversed([*zip(["a", *names], names, strict=False)])
    )
    return (
        f"{HEAD}@interlock.jit\ndef f(a: float) -> float:\n{begin}"
        f"    for i in range({passes}):\n{turns}    return {names[-1]}\n"
    )


def test_functions_of_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PYTHON_FUNCTIONS_MAX", 5)

    with programs.compiled(_chain(5)) as function:
        assert function(1) == 5
    with (
        pytest.raises(LimitExceededError, match="PYTHON_FUNCTIONS_MAX"),
        programs.compiled(_chain(6)) as function,
    ):
        function(1)


def test_exponents() -> None:
    with programs.compiled(_exponent(limits.PYTHON_EXPONENT_MAX)) as function:
        assert function(-1) == function.python(-1) == 1
    with (
        pytest.raises(PythonSubsetError, match="from 0 to 64"),
        programs.compiled(_exponent(limits.PYTHON_EXPONENT_MAX + 1)) as function,
    ):
        function(1)


def test_passes_of_inference() -> None:
    with programs.compiled(_backwards(limits.PYTHON_INFERENCE_PASSES_MAX)) as function:
        assert function(1.5) == function.python(1.5) == 1.5
    with (
        pytest.raises(PythonSubsetError, match="the type of i is not known"),
        programs.compiled(_backwards(limits.PYTHON_INFERENCE_PASSES_MAX + 1)) as function,
    ):
        function(1.5)
