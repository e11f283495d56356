"""The AArch64 table against two disassemblers, a sample of each line; tools/classify_aarch64.py does all 2^32 words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tools import classify_aarch64

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(bool(classify_aarch64.missing()), reason=f"needs {classify_aarch64.missing()}")
def test_a_sample_of_each_line_agrees_with_llvm_and_capstone():
    """Each accepted word decodes, and mnemonic and written registers are those of the table."""
    lines, result = classify_aarch64.run_sample(500, seed=7)

    assert classify_aarch64.disagreements(lines, result) == []
    # A narrow line is hit by others' neighbours too; each accepting one must have been looked at.
    assert all(t.accepted for line, t in zip(lines, result.lines, strict=True) if not line.rule)


def test_the_page_is_about_this_table(repository: Path):
    """Generated from the lines as they are: whoever changes one runs the tool again."""
    page = (repository / "docs/internals/aarch64-classes.md").read_text("ascii")
    listed = re.findall(r"^\| `([01a-z]{32})` \| ([^|]*) \| ([^|]*) \|", page, re.MULTILINE)

    lines = classify_aarch64.read_lines()
    expected = [(n.pattern, ", ".join(n.mnemonics), ", ".join(n.writes) or "-") for n in lines]
    assert listed == expected
    assert "not explained" not in page
