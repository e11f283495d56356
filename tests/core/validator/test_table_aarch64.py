"""The AArch64 data table: the committed header is up to date, and its tree says what the lines say."""

from __future__ import annotations

import importlib.util
import random
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def table(repository: Path) -> Any:
    """tools/generate_aarch64_table.py as a module."""
    path = repository / "tools" / "generate_aarch64_table.py"
    spec = importlib.util.spec_from_file_location("generate_aarch64_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate_aarch64_table"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lines(table: Any, core: Path) -> Any:
    return table.parse((core / "tables" / "aarch64.instrs").read_text("ascii"))


def test_committed_header_is_what_the_generator_makes(table: Any, lines: Any, core: Path):
    assert table.render(lines) == (core / "generated" / "aarch64.h").read_text("ascii")


def test_class_numbers_agree_with_the_header(table: Any, core: Path):
    header = (core / "include" / "interlock.h").read_text("ascii")
    for name, number in table.CLASSES.items():
        assert f"IL_CLASS_{name} = 1 << {number}," in header


def _arrays(header: str) -> dict[str, list[int]]:
    """The numbers of each array of the header, nested braces flattened."""
    found = re.finditer(
        r"(il_a64_(?:root|nodes|children))\[\d+\] = \{(.*?)\n\};", header, re.DOTALL
    )
    return {match[1]: [int(n) for n in re.findall(r"\d+", match[2])] for match in found}


def test_tree_agrees_with_the_lines(table: Any, lines: Any, core: Path):
    """Words of each line, and neighbours that differ from them in one bit, through the tree and line by line."""
    arrays = _arrays((core / "generated" / "aarch64.h").read_text("ascii"))
    nodes, children = arrays["il_a64_nodes"], arrays["il_a64_children"]
    chance = random.Random(1)  # noqa: S311  (the same words in every run)
    for line in lines:
        for _ in range(20):
            word = line.value | chance.getrandbits(32) & ~line.mask
            for changed in (word, word ^ 1 << chance.randrange(32)):
                first, shift, mask = arrays["il_a64_root"][3 * (changed >> 21) :][:3]
                entry = children[first + (changed >> shift & mask)]
                while entry & table.NODE:
                    first, shift, mask = nodes[3 * (entry & 0x7FFF) :][:3]
                    entry = children[first + (changed >> shift & mask)]
                assert entry - 1 == table.classify(lines, changed), hex(changed)


def test_every_line_decides_about_some_word(table: Any, lines: Any):
    """No line is hidden behind narrower ones."""
    chance = random.Random(1)  # noqa: S311  (the same words in every run)
    for index, line in enumerate(lines):
        words = (line.value | chance.getrandbits(32) & ~line.mask for _ in range(400))
        assert any(table.classify(lines, word) == index for word in words), line.pattern


def test_nothing_is_written_by_an_accepted_line_without_saying_so(lines: Any):
    """A general register in the place of a result is in the write column, but for stores, compares and branches."""
    reads_only = ("st", "cb", "tb")
    for line in lines:
        if line.rule or "d" not in line.pattern:
            continue
        is_store = all(name.startswith(reads_only) for name in line.mnemonics)
        is_status = "m" in line.writes or "m2" in line.writes  # compare and swap, store exclusive
        assert bool({"d", "D"} & set(line.writes)) != (is_store or is_status), line.pattern


def test_rows_are_small(core: Path):
    """The tree stays in a first-level cache; that is what makes it fast."""
    arrays = _arrays((core / "generated" / "aarch64.h").read_text("ascii"))

    assert 2 * len(arrays["il_a64_children"]) + 4 * len(arrays["il_a64_root"]) // 3 < 48 << 10


def test_classes_follow_from_the_encoding(lines: Any):
    """By the manual's top level: bits 28 to 25, and what distinguishes loads and stores."""
    wrong = [
        (line.pattern, line.classes)
        for line in lines
        if not line.rule and line.classes[0] not in _classes(line.pattern)
    ]

    assert wrong == []


def _classes(pattern: str) -> set[str]:
    group, is_vector = pattern[3:7], pattern[5] == "1"
    if group[:3] == "100":
        return {"INTEGER"}
    if group[:3] == "101":
        is_hint_or_barrier = pattern.startswith("1101010100")
        if is_hint_or_barrier:
            return {"NOP" if pattern[16:20] == "0010" else "ATOMIC"}
        if pattern.startswith("11010100"):
            return {"TRAP"}
        is_through_register = pattern.startswith("1101011000")
        return {"INDIRECT" if is_through_register else "BRANCH"}
    if group[1:] == "101":
        return {"INTEGER", "BIT"}
    if group[1:] == "111" or is_vector:
        return {"SIMD"}
    is_exclusive_or_ordered = pattern[2:8] in {"001000", "011001"}
    is_operation = pattern[2:8] == "111000" and pattern[10] == "1" and pattern[20:22] == "00"
    if is_exclusive_or_ordered or is_operation:
        return {"ATOMIC"}
    is_prefetch = pattern[:2] == "11" and pattern[2] != "." and pattern[8:10] == "10"
    return {"NOP"} if is_prefetch and pattern[3:6] == "110" else {"INTEGER"}
