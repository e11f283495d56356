"""Valid programs made to hurt a compiler: deep, wide, or much more code than bytes.  Each ends soon, and the engine goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

import interlock
from interlock import bytecode, limits
from interlock.bytecode import Body, Function, FuncType, Module, ValType, code_of

if TYPE_CHECKING:
    from collections.abc import Iterator

I32 = ValType.I32
CONST, END = (code_of("i32.const"), 0), (code_of("end"), None)
ADD, DROP = (code_of("i32.add"), None), (code_of("drop"), None)
NOP = (code_of("nop"), None)
Instructions = list[tuple[int, object]]


def program(instructions: Instructions, *, block_results: int = 0) -> bytes:
    """A module that exports `f: () -> i32`, with a second type for blocks."""
    codes, immediates = zip(*instructions, CONST, END, strict=True)
    body = Body(codes=codes, immediates=immediates, offsets=(0,) * len(codes))
    module = Module(
        types=(FuncType((), (I32,)), FuncType((), (I32,) * block_results)),
        functions=(Function(type_index=0, local_runs=(), body=body),),
        memories=(bytecode.MemoryType(limits=bytecode.Limits(minimum=1)),),
        exports=(bytecode.Export(name="f", kind=bytecode.ExternKind.FUNC, index=0),),
    )
    return bytecode.encode(module)


def table_of_branches(count: int) -> Instructions:
    """A br_table of so many targets, in a block."""
    return [(code_of("block"), None), CONST, (code_of("br_table"), (0,) * count), END]


def wide_branches(targets: int, results: int) -> bytes:
    """Each target of the table brings so many values."""
    return program(
        [
            (code_of("block"), 1),
            *([CONST] * (results + 1)),
            (code_of("br_table"), (0,) * targets),
            END,
            *([DROP] * results),
        ],
        block_results=results,
    )


@pytest.fixture
def engine() -> Iterator[interlock.Engine]:
    with interlock.Engine() as opened:
        yield opened
        healthy = opened.instantiate(opened.compile_wasm(program([NOP])))
        assert healthy.exports["f"]() == 0


@pytest.mark.parametrize(
    "instructions",
    [
        [(code_of("block"), None)] * 9_000 + [END] * 9_000,
        [(code_of("loop"), None)] * 9_000 + [END] * 9_000,
        [CONST, (code_of("if"), None)] * 4_000 + [END] * 4_000,
        [CONST, *([CONST, ADD] * 50_000), DROP],
        [NOP] * 500_000,
        table_of_branches(65_000),
    ],
    ids=["blocks", "loops", "ifs", "additions", "nops", "targets"],
)
def test_large_functions_compile_and_run(
    engine: interlock.Engine, instructions: Instructions
) -> None:
    instance = engine.instantiate(engine.compile_wasm(program(instructions)))

    assert instance.exports["f"]() == 0


def test_lines_of_a_function_have_a_limit(
    engine: interlock.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A constant and its addition are one line, the return another.
    data = program([CONST, *([CONST, ADD] * 100), DROP])
    monkeypatch.setattr(limits, "LOWERED_LINES_MAX", 100)
    assert engine.instantiate(engine.compile_wasm(data)).exports["f"]() == 0

    monkeypatch.setattr(limits, "LOWERED_LINES_MAX", 99)
    with pytest.raises(interlock.LimitExceededError, match="LOWERED_LINES_MAX"):
        engine.instantiate(engine.compile_wasm(data)).exports["f"]()


def test_values_that_branches_bring_have_a_limit(
    engine: interlock.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = wide_branches(targets=4, results=9)
    monkeypatch.setattr(limits, "LOWERED_EDGE_VALUES_MAX", 40)
    assert engine.instantiate(engine.compile_wasm(data)).exports["f"]() == 0

    monkeypatch.setattr(limits, "LOWERED_EDGE_VALUES_MAX", 39)
    with pytest.raises(interlock.LimitExceededError, match="LOWERED_EDGE_VALUES_MAX"):
        engine.instantiate(engine.compile_wasm(data)).exports["f"]()


def test_a_kilobyte_does_not_become_gigabytes(engine: interlock.Engine) -> None:
    data = wide_branches(targets=60_000, results=1_000)

    with pytest.raises(interlock.LimitExceededError, match="LOWERED_EDGE_VALUES_MAX"):
        engine.instantiate(engine.compile_wasm(data)).exports["f"]()


def test_a_deadline_ends_compiling(engine: interlock.Engine) -> None:
    load = (code_of("i32.load"), bytecode.MemArg(align=2, offset=0))
    data = program([CONST, *([load] * 200_000), DROP])
    instance = engine.instantiate(engine.compile_wasm(data))
    start = time.monotonic()

    with pytest.raises(interlock.Trap, match="interrupted"), instance.deadline(0.3):
        instance.exports["f"]()

    # LLVM alone takes ten times as long.
    assert time.monotonic() - start < limits.COMPILE_SECONDS_MAX / 4
    assert instance.is_closed
