"""The README's Python does what its comments say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import interlock

if TYPE_CHECKING:
    from pathlib import Path


def test_readme_example_prints_its_comments(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(blocks) == 1

    with pytest.raises(interlock.CodeRejectedError) as caught:
        exec(compile(blocks[0], "README.md", "exec"), {})  # noqa: S102  (our own README)

    assert capsys.readouterr().out == "5\n42\n"
    assert caught.value.rejection.rule_id == "V012"
    assert caught.value.rejection.offset == 0
