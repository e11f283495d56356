"""Random modules behave as in wasmtime: results, traps by kind, final memory and globals.  `--modules N` tries more than CI does."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import pytest

import interlock
from interlock import bytecode
from interlock.codegen.compiler_process import QUICK_IR_CHARACTERS
from tests.differential.generator import FUNCTIONS, TYPES, Generator
from tests.differential.peer import Outcome, Peer, call

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCHES = 12
ARGUMENTS = (
    (0, 0, 0.0, 0.0),
    (7, -3, 1.5, -2.25),
    (-(2**31), 2**63 - 1, math.inf, math.nan),
    (0x1234567, -(2**40), -0.5, 1e308),
)
# Wasmtime has one kind where the standard has two.
_SAME_TO_WASMTIME = {"out of bounds table access": "undefined element"}


@pytest.fixture(scope="module")
def engine() -> Iterator[interlock.Engine]:
    with interlock.Engine() as opened:
        yield opened


def _key(outcome: Outcome) -> object:
    """Comparable: floats by their bits, any NaN as one."""
    if isinstance(outcome.value, float):
        return "nan" if math.isnan(outcome.value) else struct.pack("<d", outcome.value)
    return _SAME_TO_WASMTIME.get(outcome.trap, outcome.trap) or outcome.value


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_modules_behave_as_in_wasmtime(
    engine: interlock.Engine, request: pytest.FixtureRequest, batch: int
) -> None:
    total = request.config.getoption("--modules")
    calls = ended = 0
    for seed in range(batch, total, BATCHES):
        text = Generator(seed).module()
        outcomes = _compare(engine.compile_wat(text), seed)
        calls += len(outcomes)
        ended += sum(not each.trap for each in outcomes)
    # Else the modules would have little in them that is compared.
    assert ended > calls / 2


@pytest.mark.parametrize("seed", range(4))
def test_functions_too_long_for_the_whole_optimiser_behave_as_in_wasmtime(
    engine: interlock.Engine, seed: int
) -> None:
    module = engine.compile_wat(Generator(seed, statements=100).module())
    lengths = [len(module.inspect(at, stage="llvm")) for at in module.defined_function_indices]
    assert sum(length > QUICK_IR_CHARACTERS for length in lengths) >= FUNCTIONS

    _compare(module, seed)


def _compare(module: interlock.Module, seed: int) -> list[Outcome]:
    """Call all functions in both, then look at memory and globals; what the calls came to.  Closes the module."""
    data = bytecode.encode(module.validated.module)
    ours, theirs = module.engine.instantiate(module), Peer(data)
    outcomes = []
    for name in (f"f{index}" for index in range(FUNCTIONS)):
        for arguments in ARGUMENTS:
            assert not call(ours, "refuel").trap
            theirs.call("refuel")
            mine, expected = call(ours, name, *arguments), theirs.call(name, *arguments)
            assert _key(mine) == _key(expected), (seed, name, arguments)
            outcomes.append(mine)
    memory: object = ours.exports["memory"]
    assert isinstance(memory, interlock.Memory)
    assert memory.read(0, len(memory)) == theirs.memory(), seed
    for kind in TYPES:
        variable: object = ours.exports[kind]
        assert isinstance(variable, interlock.Global)
        mine, expected = Outcome(value=variable.value), Outcome(value=theirs.value(kind))
        assert _key(mine) == _key(expected), (seed, kind)
    module.close()
    return outcomes
