"""Byte-code file tests: WAT in, text out.

A file's line `;;! test KIND` says what happens: `print` (parse, validate, print), `malformed`, `invalid` or `unsupported`
(the error).  Its lines `;; expect: TEXT` stand in the output in this order.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock import bytecode
from interlock.errors import (
    InterlockError,
    UnsupportedError,
    WasmInvalidError,
    WasmMalformedError,
)

FILES = sorted(Path(__file__).parent.glob("*.wat"))
ERRORS: dict[str, type[InterlockError]] = {
    "malformed": WasmMalformedError,
    "invalid": WasmInvalidError,
    "unsupported": UnsupportedError,
}


def _marked(text: str, mark: str) -> list[str]:
    return [line.removeprefix(mark) for line in text.splitlines() if line.startswith(mark)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    (kind,) = _marked(text, ";;! test ")
    if kind == "print":
        output = bytecode.to_wat(bytecode.validate(bytecode.parse_wat(text)).module)
    else:
        with pytest.raises(ERRORS[kind]) as caught:
            bytecode.validate(bytecode.parse_wat(text))
        output = str(caught.value)
    expected = _marked(text, ";; expect: ")
    at = 0
    for line in expected:
        found = output.find(line, at)
        assert found >= 0, f"{line!r} is not in what follows offset {at} of\n{output}"
        at = found + len(line)
    assert expected
