"""The tutorials do what they say: their Python, run as one file, prints their text."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[2] / "docs/tutorials").glob("*.md"))
_BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page",
    [page for page in TUTORIALS if "```python" in page.read_text("utf-8")],
    ids=lambda page: page.stem,
)
def test_tutorial(page: Path, tmp_path: Path) -> None:
    blocks = _BLOCK.findall(page.read_text("utf-8"))
    script = tmp_path / "tutorial.py"
    script.write_text("\n".join(text for kind, text in blocks if kind == "python"), "utf-8")

    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )

    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == "".join(text for kind, text in blocks if kind == "text")
