"""The AArch64 table against two disassemblers, a sample of each line; tools/classify_aarch64.py does all 2^32 words."""

from __future__ import annotations

import itertools
import re
import struct
from typing import TYPE_CHECKING, Any

import pytest

from tests.core.validator.driver import Image
from tools import classify_aarch64

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.validator.driver import Validator


@pytest.fixture
def comparison(core: Path) -> Any:
    """The lines of the table, and what both disassemblers say of 500 words of each."""
    if classify_aarch64.missing():
        pytest.skip(f"needs {classify_aarch64.missing()}")
    return classify_aarch64.run_sample(500, seed=7, core=core)


def test_a_sample_of_each_line_agrees_with_llvm_and_capstone(comparison: Any):
    """Each accepted word decodes, and mnemonic and written registers are those of the table."""
    lines, result = comparison

    assert classify_aarch64.disagreements(lines, result) == []
    # A narrow line is hit by others' neighbours too; each accepting one must have been looked at.
    assert all(t.accepted for line, t in zip(lines, result.lines, strict=True) if not line.rule)


def test_every_logical_immediate_is_decided_as_the_manual_decodes_it(validator: Validator):
    """And, orr, eor and ands of both widths with each N, immr and imms."""
    places = list(itertools.product(range(2), range(4), range(2), range(64), range(64)))
    words = (
        is_64 << 31
        | operation << 29
        | 0b100100 << 23
        | n << 22
        | immr << 16
        | imms << 10
        | 2 << 5
        | 1
        for is_64, operation, n, immr, imms in places
    )
    code = struct.pack(f"<{len(places) + 1}I", *words, 0xD65F03C0)

    found = validator.every(Image(code=code, arch=2))

    assert {violation.rule for violation in found} == {10}
    refused = {places[violation.offset // 4] for violation in found}
    assert refused == {place for place in places if _is_reserved_immediate(*place)}


def _is_reserved_immediate(is_64: int, _operation: int, n: int, _immr: int, imms: int) -> bool:
    """DecodeBitMasks of the Arm Architecture Reference Manual: what is UNDEFINED there."""
    length = (n << 6 | ~imms & 0x3F).bit_length() - 1
    levels = (1 << max(length, 0)) - 1
    return length < 1 or imms & levels == levels or n > is_64


def test_the_page_is_about_this_table(repository: Path):
    """Generated from the lines as they are: whoever changes one runs the tool again."""
    page = (repository / "docs/internals/aarch64-classes.md").read_text("ascii")
    listed = re.findall(r"^\| `([01a-z]{32})` \| ([^|]*) \| ([^|]*) \|", page, re.MULTILINE)

    lines = classify_aarch64.read_lines()
    expected = [(n.pattern, ", ".join(n.mnemonics), ", ".join(n.writes) or "-") for n in lines]
    assert listed == expected
    assert "not explained" not in page
