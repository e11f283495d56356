"""Random modules behave as in wasmtime: results, traps by kind, final memory.  `--modules N` tries more than CI does."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import pytest

import interlock
from interlock import bytecode
from tests.differential.generator import FUNCTIONS, Generator
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


@pytest.fixture(scope="module")
def engine() -> Iterator[interlock.Engine]:
    with interlock.Engine() as opened:
        yield opened


def _key(outcome: Outcome) -> object:
    """Comparable: floats by their bits, any NaN as one."""
    if isinstance(outcome.value, float):
        return "nan" if math.isnan(outcome.value) else struct.pack("<d", outcome.value)
    return outcome.trap or outcome.value


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_modules_behave_as_in_wasmtime(
    engine: interlock.Engine, request: pytest.FixtureRequest, batch: int
) -> None:
    total = request.config.getoption("--modules")
    ended = 0
    for seed in range(batch, total, BATCHES):
        text = Generator(seed).module()
        data = bytecode.encode(bytecode.parse_wat(text))
        module = engine.compile_wasm(data)
        ours, theirs = engine.instantiate(module), Peer(data)
        for name in (f"f{index}" for index in range(FUNCTIONS)):
            for arguments in ARGUMENTS:
                mine, expected = call(ours, name, *arguments), theirs.call(name, *arguments)
                assert _key(mine) == _key(expected), (seed, name, arguments, text)
                ended += not mine.trap
        memory: object = ours.exports["memory"]
        assert isinstance(memory, interlock.Memory)
        mine_bytes, their_bytes = memory.read(0, len(memory)), theirs.memory()
        assert mine_bytes == their_bytes or _differ_in_nans_only(mine_bytes, their_bytes), seed
        ours.close()
        module.close()
    assert ended > 0


def _differ_in_nans_only(mine: bytes, theirs: bytes) -> bool:
    """A NaN that was stored may have other bits: which one results is not said by the standard."""
    if len(mine) != len(theirs):
        return False
    places = [at for at in range(len(mine)) if mine[at] != theirs[at]]
    return all(
        any(
            _are_nans(mine, theirs, start, size)
            for size in (4, 8)
            for start in range(at - size + 1, at + 1)
        )
        for at in places
    )


def _are_nans(mine: bytes, theirs: bytes, start: int, size: int) -> bool:
    if start < 0 or start + size > len(mine):
        return False
    layout = "<f" if size == 4 else "<d"
    return all(math.isnan(struct.unpack_from(layout, data, start)[0]) for data in (mine, theirs))
