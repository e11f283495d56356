"""Kernels compiled, under CPython, and as WebAssembly under wasmtime: the same results, bit for bit, and the same arrays."""

from __future__ import annotations

import pytest

from benchmarks import python_kernels
from tests.typed_python import programs

KERNELS = python_kernels.arguments(1)


@pytest.mark.parametrize("name", KERNELS)
def test_kernel(name: str) -> None:
    function, arguments = KERNELS[name]

    compiled = programs.outcome_and_arrays(function, arguments())
    interpreted = programs.outcome_and_arrays(function.python, arguments())
    wasm = programs.outcome_and_arrays(programs.Wasm(function), arguments())

    assert compiled[0][0] == "gives"
    assert compiled == interpreted
    assert compiled == wasm


def test_there_are_enough() -> None:
    assert len(KERNELS) >= 25
