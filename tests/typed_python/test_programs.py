"""Random programs: compiled and interpreted, they give the same results or raise the same exceptions."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from tests.typed_python import programs
from tests.typed_python.generator import programs as generated


@given(generated())
def test_compiled_equals_interpreted(program: tuple[str, list[tuple[Any, ...]]]) -> None:
    source, calls = program
    with programs.compiled(source) as function:
        for arguments in calls:
            found = programs.outcome_and_memory(function, function, arguments)

            wanted = programs.outcome_and_memory(function.python, function, arguments)
            assert found == wanted, (arguments, source)


@given(generated())
def test_wasm_equals_interpreted(program: tuple[str, list[tuple[Any, ...]]]) -> None:
    source, calls = program
    with programs.compiled(source) as function:
        wasm = programs.Wasm(function)
        for arguments in calls:
            found = programs.outcome_and_memory(wasm, function, arguments)

            wanted = programs.outcome_and_memory(function.python, function, arguments)
            assert found == wanted, (arguments, source)
