"""What our own generator makes for AArch64 of whole C programs passes the code validator, on any machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import interlock
from interlock.runtime.inspection import CrossBuild
from interlock.target import AARCH64_LINUX, AARCH64_MACOS, Target

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = Path(__file__).parent


@pytest.mark.parametrize("target", [AARCH64_LINUX, AARCH64_MACOS], ids=str)
@pytest.mark.parametrize("program", ["vm", "json"])
def test_every_function_of_a_program_is_accepted_for_aarch64(
    compile_c: Callable[[Path], Path], program: str, target: Target
):
    """The compiled program and its C library, function by function, as an engine would publish them."""
    wasm = compile_c(PROGRAMS / f"{program}.c").read_bytes()
    refused, tables = [], 0
    with interlock.Engine() as engine, CrossBuild(engine.compile_wasm(wasm), target) as made:
        module = engine.compile_wasm(wasm)
        for index in module.defined_function_indices:
            image = made.build(index)
            tables += len(image.jump_tables)
            found = interlock.validate_image(image, imports=engine.gate_names)
            if isinstance(found, interlock.Rejection):
                refused.append((index, found))

    assert refused == []
    assert tables > 0
