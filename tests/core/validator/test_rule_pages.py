"""The examples on the page of each rule are true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.core.validator.test_cases import parse_directives

if TYPE_CHECKING:
    from tests.core.validator.driver import Validator

PAGES = Path(__file__).parents[3] / "docs" / "reference" / "rules"


def _examples(heading: str) -> list[Any]:
    params = []
    for page in sorted(PAGES.glob("V*.md")):
        section = page.read_text("utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
        block = re.search(r"```text\n(.*?)```", section, re.DOTALL)
        if block is None:
            raise ValueError(page)
        params += [
            pytest.param(int(page.stem[1:]), example, id=f"{page.stem}-{example[-30:]}")
            for example in block[1].strip().split("\n\n")
        ]
    return params


def _image(example: str) -> Any:
    lines = example.splitlines()
    code = "".join(line.split(";")[0] for line in lines if not line.startswith("#!"))
    return parse_directives(lines, bytes.fromhex(code))


@pytest.mark.parametrize(("rule", "example"), _examples("Rejected"))
def test_example_is_rejected_by_its_rule(validator: Validator, rule: int, example: str):
    verdict = validator.first(_image(example))

    assert verdict is not None
    assert verdict.rule == rule


@pytest.mark.parametrize(("rule", "example"), _examples("Accepted"))
def test_example_is_accepted(validator: Validator, rule: int, example: str):
    assert validator.first(_image(example)) is None, rule
