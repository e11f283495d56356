"""Files of functions, and behind each what its calls come to: compiled, under CPython, and as WebAssembly under wasmtime.

`# f(1, 2) == 3` is a call and its result, `# f(1, 0) raises ZeroDivisionError` one that raises.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.typed_python import programs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_CASE = re.compile(r"^# (\w+)(\(.*\)) (==|raises) (.+)$", re.MULTILINE)
FILES = sorted((Path(__file__).parent / "run").glob("*.py"))
CASES = [
    pytest.param(path, *match.groups(), id=f"{path.stem}-{match[1]}{match[2]}")
    for path in FILES
    for match in _CASE.finditer(path.read_text("utf-8"))
]


@pytest.fixture(scope="module")
def made() -> Iterator[dict[object, Any]]:
    """Modules and instances of wasmtime, each made once; wasmtime's must be gone before the interpreter ends."""
    cache: dict[object, Any] = {}
    yield cache
    cache.clear()


@pytest.mark.parametrize(("path", "name", "arguments", "how", "expected"), CASES)
def test_case(
    path: Path, name: str, arguments: str, how: str, expected: str, made: dict[object, Any]
) -> None:
    if path not in made:
        made[path] = programs.load(path)
    module: ModuleType = made[path]
    function = getattr(module, name)
    if how == "raises":
        wanted = "raises", expected
    else:
        wanted = "gives", programs.comparable(eval(expected, vars(module)))  # noqa: S307  (our own file)
    if (path, name) not in made:
        made[path, name] = programs.Wasm(function)

    names = vars(module) | {"np": np, "arguments": _arguments}
    found = [
        # Arrays are made anew for each, since a call may write them.
        programs.outcome_and_arrays(run, eval(f"arguments{arguments}", names))  # noqa: S307  (likewise)
        for run in (function, function.python, made[path, name])
    ]

    assert [outcome for outcome, _ in found] == [wanted] * 3
    assert found[0][1] == found[1][1] == found[2][1]


def _arguments(*arguments: object) -> tuple[object, ...]:
    return arguments


def test_every_function_has_a_case() -> None:
    for path in FILES:
        text = path.read_text("utf-8")
        called = set(re.findall(r"\b(\w+)\b", re.sub(r"def \w+\(", "", text)))  # or referred to

        assert set(re.findall(r"^def (\w+)\(", text, re.MULTILINE)) <= called
