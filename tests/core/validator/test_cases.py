"""Each rule against texts in assembly: accept.s holds what passes, reject_*.s what exactly one rule refuses."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.core.validator.assembly import assemble
from tests.core.validator.driver import RODATA_DELTA, Image

if TYPE_CHECKING:
    from tests.core.validator.driver import Validator

CASES = Path(__file__).parent / "cases"


def _cases(pattern: str) -> list[Any]:
    params = []
    for path in sorted(CASES.glob(pattern)):
        texts = path.read_text(encoding="ascii").split("---\n")
        for number, text in enumerate(texts):
            title = text.splitlines()[0].removeprefix("# ")
            params.append(pytest.param(text, id=f"{path.stem}-{number}-{title[:40]}"))
    return params


def parse_case(text: str) -> Image:
    """A case as an image: directives start with `#!`, the rest is assembled."""
    lines = text.splitlines()
    code = assemble("\n".join(line for line in lines if not line.startswith("#")))
    return parse_directives(lines, code)


def parse_directives(lines: list[str], code: bytes) -> Image:
    """The image of this code, with what the `#!` lines say."""
    values: dict[str, Any] = {
        "relocations": [],
        "tables": [],
        "rodata": b"",
        "counts": {},
        "policy": {},
    }
    for line in lines:
        if line.startswith("#! "):
            _directive(values, *line.removeprefix("#! ").split())
    lists = {key: tuple(values[key]) for key in ("relocations", "tables")}
    return Image(code=code, **(values | lists))


def _directive(values: dict[str, Any], name: str, *words: str) -> None:
    if name == "table":  # offset : target...
        offset, targets = int(words[0]), [int(word) for word in words[2:]]
        entries = [target - RODATA_DELTA - offset for target in targets]
        values["rodata"] = bytes(offset) + struct.pack(f"<{len(entries)}i", *entries)
        values["tables"].append((offset, len(entries), RODATA_DELTA + offset))
    elif name == "code_table":  # offset, of the label which the entries count from : target...
        offset, base, targets = int(words[0]), int(words[1]), [int(word) for word in words[3:]]
        entries = [target - base for target in targets]
        values["rodata"] = bytes(offset) + struct.pack(f"<{len(entries)}i", *entries)
        values["tables"].append((offset, len(entries), base))
    elif name == "raw_table":
        offset, count = (int(word, 0) for word in words)
        values["tables"].append((offset, count, RODATA_DELTA + offset))
    elif name == "relocation":
        values["relocations"].append(tuple(int(word, 0) for word in words))
    elif name == "entries":
        values["entries"] = tuple(int(word, 0) for word in words)
    elif name == "rodata":
        values["rodata"] = bytes.fromhex(words[0])
    elif name == "count":
        values["counts"][words[0]] = int(words[1])
    elif name == "policy":  # a field of il_policy, and its value
        values["policy"][words[0]] = int(words[1], 0)
    else:
        values[name] = int(words[0], 0)


@pytest.mark.parametrize("text", _cases("accept*.s"))
def test_code_is_accepted(validator: Validator, text: str):
    assert validator.every(parse_case(text)) == []


@pytest.mark.parametrize("text", _cases("reject_*.s"))
def test_code_is_rejected_by_this_rule_alone(validator: Validator, text: str):
    image = parse_case(text)
    expected = int(text[3:6])

    first = validator.first(image)

    assert first is not None
    assert first.rule == expected
    # Behind an unknown encoding nobody knows where the next instruction starts.
    is_end_known = expected != 10
    others = validator.every(image)
    assert {v.rule for v in others if is_end_known or v.offset == first.offset} == {expected}
    if first.bytes:
        assert image.code[first.offset :][: len(first.bytes)] == first.bytes


def test_every_rule_has_a_case(repository: Path):
    rules = re.findall(
        r"^IL_RULE\((\d+)",
        (repository / "core/include/interlock/rules.def").read_text("ascii"),
        re.MULTILINE,
    )
    named = {int(param.values[0][3:6]) for param in _cases("reject_*.s")}

    assert {int(rule) for rule in rules} == named


@pytest.mark.parametrize("text", _cases("accept*.s"))
def test_every_truncation_of_accepted_code_is_rejected_inside_an_instruction(
    validator: Validator, text: str
):
    image = parse_case(text)
    starts = _starts(image.code)
    for length in range(1, len(image.code)):
        found = validator.every(Image(code=image.code[:length], rodata=image.rodata))
        if length not in starts:
            assert {10, 11, 17} & {violation.rule for violation in found}, length


def _starts(code: bytes) -> set[int]:
    import iced_x86

    return {instruction.ip for instruction in iced_x86.Decoder(64, code)}


def test_no_refused_instruction_is_longer_than_the_longest(validator: Validator):
    """However many prefixes there are, no more is read than the fifteen bytes of an instruction and an opcode."""
    found = validator.every(Image(code=b"\x66" * 64 + b"\xc3"))

    assert [violation.offset for violation in found] == [0, 16, 32, 48]


def test_only_the_bad_branch_of_two_is_reported(validator: Validator):
    """Jmp to the ret, jmp into the jmp before it."""
    found = validator.every(Image(code=b"\xeb\x02\xeb\xfd\xc3"))

    assert [(violation.rule, violation.offset) for violation in found] == [(20, 2)]


@pytest.mark.parametrize(
    ("code", "blamed"),
    [
        (b"\xb8\x00\x00\x00\x00\xc3", 0),  # mov eax, 0: no branch
        (b"\x90\xe8\x00\x00\x00\x00\xc3", 1),  # nop; call: not the field
    ],
)
def test_misplaced_relocation_is_blamed_on_its_instruction(
    validator: Validator, code: bytes, blamed: int
):
    verdict = validator.first(Image(code=code, imports=1, relocations=((1, 4, 0),)))

    assert verdict is not None
    assert (verdict.rule, verdict.offset) == (40, blamed)


def test_relocation_of_a_refused_call_is_misplaced(validator: Validator):
    """A call, then one behind a prefix: its field was not read, and says nothing of the relocation."""
    code = b"\xe8\0\0\0\0\x66\xe8\0\0\0\0\xc3"
    found = validator.every(Image(code=code, imports=1, relocations=((1, 4, 0), (7, 4, 0))))

    assert [(violation.rule, violation.offset) for violation in found] == [(40, 5), (17, 5)]
