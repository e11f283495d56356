"""Functions and the byte-code of `f`.  A file holds cases with `====` between them: source, `----`, instructions."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock import bytecode
from tests.typed_python import programs

HEAD = """\
import interlock
from interlock.intrinsics import *
from interlock.types import *
"""
FILES = sorted((Path(__file__).parent / "lower").glob("*.txt"))
CASES = [
    pytest.param(*case.split("----\n"), id=f"{path.stem}-{number}")
    for path in FILES
    for number, case in enumerate(path.read_text("utf-8").split("====\n"), 1)
]


@pytest.mark.parametrize(("source", "instructions"), CASES)
def test_instructions(source: str, instructions: str) -> None:
    with programs.compiled(HEAD + source) as function:
        text = bytecode.to_wat(function.program().read.module.module)

    lines = [
        line.removeprefix("    ")
        for line in text[text.index("(func $f") :].splitlines()
        if line.startswith("    ") and not line.startswith("    (")
    ]
    assert "\n".join(lines).removesuffix(")") == instructions.rstrip("\n")
