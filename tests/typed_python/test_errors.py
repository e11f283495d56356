"""Functions that are not typed Python, and the whole message.

A file holds cases with `====` between them: source, `----`, message.  The functions `f`, and `g` if there is one, are compiled.
"""

from __future__ import annotations

import linecache
from pathlib import Path

import pytest

import interlock
from interlock import typed_python

FILES = sorted((Path(__file__).parent / "errors").glob("*.txt"))
CASES = [
    pytest.param(*case.split("----\n"), id=f"{path.stem}-{number}")
    for path in FILES
    for number, case in enumerate(path.read_text("utf-8").split("====\n"), 1)
]
_HEAD = """\
import math
import interlock
from interlock.intrinsics import *
from interlock.types import *
"""


def message_of(source: str, folder: Path) -> str:
    """The message for the functions of a source."""
    folder.mkdir(exist_ok=True)
    path = folder / "case.py"
    path.write_text(source, "utf-8")
    linecache.checkcache()
    names: dict[str, object] = {}
    exec(_HEAD, names)  # noqa: S102  (our own file)
    exec(compile(source, str(path), "exec", dont_inherit=True), names)  # noqa: S102  (likewise)
    roots = [names[name] for name in ("f", "g") if name in names]
    definitions = [each.definition for each in roots]  # type: ignore[attr-defined]  # compiled functions
    with pytest.raises(interlock.PythonSubsetError) as caught:
        typed_python.check([(each, ()) for each in definitions])
    return str(caught.value).replace(str(path), "case.py")


@pytest.mark.parametrize(("source", "message"), CASES)
def test_message(source: str, message: str, tmp_path: Path) -> None:
    assert message_of(source, tmp_path) == message.rstrip("\n")
