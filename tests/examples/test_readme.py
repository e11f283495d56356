"""The README's Python does what its comments say."""

from __future__ import annotations

import re
import runpy
from typing import TYPE_CHECKING

import pytest

import interlock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def examples(repository: Path, tmp_path: Path) -> list[str]:
    """Paths of scripts, one for each block."""
    blocks = re.findall(
        r"```python\n(.*?)```",
        (repository / "README.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    paths = [tmp_path / f"example{number}.py" for number in range(len(blocks))]
    for path, block in zip(paths, blocks, strict=True):
        path.write_text(block, encoding="utf-8")
    return list(map(str, paths))


def test_readme_example_prints_its_comments(
    examples: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(interlock.CodeRejectedError) as caught:
        runpy.run_path(examples[0])

    assert capsys.readouterr().out == "5\n42\n"
    assert caught.value.rejection.rule_id == "V012"
    assert caught.value.rejection.offset == 0


def test_readme_function_is_compiled(
    examples: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OverflowError, match="i64 does not hold this integer"):
        runpy.run_path(examples[1])

    assert capsys.readouterr().out == "6\n6\n"
    assert len(examples) == 2
