"""Each rule against texts in AArch64 assembly: accept.s holds what passes, reject_*.s what exactly one rule refuses."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.core.validator.assembly_aarch64 import assemble
from tests.core.validator.test_cases import parse_directives

if TYPE_CHECKING:
    from tests.core.validator.driver import Image, Validator

CASES = Path(__file__).parent / "cases_aarch64"
# Segments, far pointers, protection keys and prefixes exist on x86-64 only.
FOREIGN_RULES = {14, 15, 16, 17}


def _texts(pattern: str) -> list[tuple[str, str]]:
    """Name and text of each case."""
    found = []
    for path in sorted(CASES.glob(pattern)):
        for number, text in enumerate(path.read_text(encoding="ascii").split("---\n")):
            title = text.splitlines()[0].removeprefix("# ")
            found.append((f"{path.stem}-{number}-{title[:60]}", text))
    return found


def _cases(pattern: str) -> list[Any]:
    return [pytest.param(text, id=name) for name, text in _texts(pattern)]


@functools.cache
def _code() -> dict[str, bytes]:
    """The code of every case, which the assembler makes in one go."""
    texts = [text for _, text in _texts("*.s")]
    bodies = ("\n".join(ln for ln in t.splitlines() if not ln.startswith("#")) for t in texts)
    return dict(zip(texts, assemble(tuple(bodies)), strict=True))


def _image(text: str) -> Image:
    return parse_directives(["#! arch 2", *text.splitlines()], _code()[text])


@pytest.mark.parametrize("text", _cases("accept.s"))
def test_code_is_accepted(validator: Validator, text: str):
    assert validator.every(_image(text)) == []


@pytest.mark.parametrize("text", _cases("reject_*.s"))
def test_code_is_rejected_by_this_rule_alone(validator: Validator, text: str):
    image = _image(text)
    expected = int(text[3:6])

    first = validator.first(image)

    assert first is not None
    assert first.rule == expected
    assert {violation.rule for violation in validator.every(image)} == {expected}
    if first.bytes:
        assert image.code[first.offset :][: len(first.bytes)] == first.bytes


def test_every_rule_that_applies_has_a_case(repository: Path):
    rules = re.findall(
        r"^IL_RULE\((\d+)",
        (repository / "core/include/interlock/rules.def").read_text("ascii"),
        re.MULTILINE,
    )
    named = {int(text[3:6]) for _, text in _texts("reject_*.s")}

    assert {int(rule) for rule in rules} - FOREIGN_RULES == named


@pytest.mark.parametrize("text", _cases("accept.s"))
def test_every_truncation_of_accepted_code_inside_a_word_is_rejected(
    validator: Validator, text: str
):
    image = replace(_image(text), entries=(0,), relocations=(), tables=())
    for length in range(1, len(image.code)):
        found = validator.every(replace(image, code=image.code[:length]))
        assert (11 in {violation.rule for violation in found}) == (length % 4 != 0), length


@pytest.mark.parametrize("text", _cases("accept.s"))
def test_every_change_of_one_bit_is_decided_alike_by_both_forms(validator: Validator, text: str):
    """As a disturbed memory cell makes it; what is accepted then is another instruction of the table, and nothing else."""
    image = _image(text)
    for bit in range(8 * len(image.code)):
        code = bytearray(image.code)
        code[bit // 8] ^= 1 << bit % 8
        changed = replace(image, code=bytes(code))
        first, every = validator.first(changed), validator.every(changed)
        assert first == (every[0] if every else None)
