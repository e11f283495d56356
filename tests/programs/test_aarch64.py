"""What we generate for AArch64 passes its code validator: programs, examples, random modules.  Nothing of it runs here.

The suite under qemu-user (tools/test_aarch64.py) runs code; this reads all that compiling makes, on any machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import interlock
from interlock import core
from interlock.artifacts import Accepted, CodeImage, CodeOffset
from interlock.codegen.compiler_process import QUICK_IR_CHARACTERS
from interlock.link import closed_code, stub_images
from interlock.runtime.inspection import CrossBuild
from interlock.target import AARCH64_LINUX, AARCH64_MACOS, Target
from tests.differential.generator import Generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
SOURCES = sorted([*HERE.glob("*.c"), *(HERE.parents[1] / "examples").glob("*.c")])
# What a host that embeds the core in C compiles: no WebAssembly.
HOSTS = {"policy.c"}
BATCHES = 6


@pytest.fixture(scope="module")
def engine() -> Iterator[interlock.Engine]:
    with interlock.Engine() as opened:
        yield opened


def _require_accepted(image: CodeImage, name: str) -> None:
    verdict = core.validate(image, core.gate_names())
    assert isinstance(verdict, Accepted), f"{name}: {verdict}"


def _check(module: interlock.Module, target: Target = AARCH64_LINUX) -> tuple[int, int, int]:
    """Every function is accepted; how many there were, their jump tables and their references to constants."""
    functions = tables = constants = 0
    with CrossBuild(module, target) as made:
        for index in module.defined_function_indices:
            image = made.build(index)
            _require_accepted(image, module.function_name(index))
            functions += 1
            tables += len(image.jump_tables)
            constants += sum(each.symbol is None for each in image.relocations)
    module.close()
    return functions, tables, constants


@pytest.mark.parametrize(
    "source", [each for each in SOURCES if each.name not in HOSTS], ids=lambda each: each.stem
)
def test_programs(
    engine: interlock.Engine, compile_c: Callable[[Path], Path], source: Path
) -> None:
    functions, tables, constants = _check(engine.compile_wasm(compile_c(source).read_bytes()))

    assert functions > 20
    assert constants > 0
    assert tables > 0 or source.stem == "hello"


@pytest.mark.parametrize("program", ["vm", "json"])
def test_programs_for_macos(
    engine: interlock.Engine, compile_c: Callable[[Path], Path], program: str
) -> None:
    wasm = compile_c(HERE / f"{program}.c").read_bytes()
    functions, tables, _ = _check(engine.compile_wasm(wasm), AARCH64_MACOS)

    assert functions > 20
    assert tables > 0


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_modules(
    engine: interlock.Engine, request: pytest.FixtureRequest, batch: int
) -> None:
    for seed in range(batch, request.config.getoption("--modules") // 2, BATCHES):
        _check(engine.compile_wat(Generator(seed).module()))


def test_functions_too_long_for_the_whole_optimiser(engine: interlock.Engine) -> None:
    module = engine.compile_wat(Generator(1, statements=100).module())
    lengths = [len(module.inspect(at, stage="llvm")) for at in module.defined_function_indices]
    assert max(lengths) > QUICK_IR_CHARACTERS

    _check(module)


def test_stubs_and_the_code_of_closed_functions() -> None:
    indices = (0, 1, 0xFFFF, 0x10000, 0xFFFFFFFF)
    for image in stub_images(AARCH64_LINUX, indices, [each ^ 0x100 for each in indices]):
        _require_accepted(image, "stubs")
    closed = CodeImage(
        target=AARCH64_LINUX, code=closed_code(AARCH64_LINUX), entries={"closed": CodeOffset(0)}
    )
    _require_accepted(closed, "closed")
